"""Errors in Chinese: an entry for every text in the code, and their way to the screen."""

import ast
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import doctor_evidence
import pytest
import python_env
import wrong_settings
import yaml
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.language import translations
from ansible.module_utils.chatglm.preflight import plan
from ansible.module_utils.chatglm.smoke_test import smoke
from ansible.module_utils.chatglm.virtualenv import uv_command
from ansible.module_utils.chatglm.weights import snapshot
from ansible.module_utils.chatglm.weights.content import TransferError

ROOT = Path(__file__).resolve().parents[3]
CODE = sorted([*(ROOT / "library").glob("*.py"), *(ROOT / "module_utils" / "chatglm").rglob("*.py")])
YAML = sorted([*(ROOT / "roles").glob("*/tasks/*.yml"), *(ROOT / "playbooks").glob("*.yml")])


MADE = {"Failure": 0, "Refusal": 1, "Verdict": 2, "refusal": 2, "Refused": 2, "TransferError": 1}
"""What an error is made by, and the first of its arguments that is a text."""
SECOND = {"lock.hold", "Finding", "refuse"}
"""Calls whose texts begin with the second argument."""
TOLD = re.compile(
    r"^(lock\.hold|Finding|tell|module\.warn)$|\brefuse$|\b(warnings|notes|texts|remedies)('\])?\.append$"
)
"""Other calls that are given a text for users: a lock's reason, the doctor's finding, warnings."""
RETURNED = {"due_reason", "_note", "damage", "interpreter_fault", "plan_link"}
"""Functions that return one."""


def forms(node, names):
    """Return the texts that an expression can be, with {} for values; ``names``: of variables, what they are given."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        parts = [
            (forms(part.value, {}) if isinstance(part.value, ast.IfExp) else ["{}"])
            if isinstance(part, ast.FormattedValue)
            else forms(part, {})
            for part in node.values
        ]
        return ["".join(each) for each in itertools.product(*parts)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a in forms(node.left, names) for b in forms(node.right, names)]
    if isinstance(node, ast.IfExp):
        return forms(node.body, names) + forms(node.orelse, names)
    if isinstance(node, ast.Tuple):
        return [text for value in node.elts if not isinstance(value, ast.Constant) for text in forms(value, names)]
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in forms(value, names)]
    if isinstance(node, ast.Name):
        return [text for value in names.get(node.id, ()) for text in forms(value, {})] or ["{}"]
    return ["{}"]


def texts(source):
    """Return (line, text) of what the failures of a source say."""
    tree = ast.parse(source)
    constants = {
        node.targets[0].id: [node.value]
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef):
            continue
        names = {name: list(values) for name, values in constants.items()}
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names.setdefault(node.targets[0].id, []).append(node.value)
        for node in ast.walk(scope):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MADE:
                for argument in node.args[MADE[node.func.id] :]:
                    for text in forms(argument, names):
                        yield node.lineno, text
            if isinstance(node, ast.Call) and (told := TOLD.search(ast.unparse(node.func))):
                for argument in node.args[told[0] in SECOND :]:
                    for text in forms(argument, names):
                        yield node.lineno, text
            if isinstance(node, ast.Return) and scope.name in RETURNED and node.value:
                for text in forms(node.value, names):
                    yield node.lineno, text


def test_the_texts_are_found_in_the_code():
    source = """
STOP = "stop it"
def f(a):
    todo = f"wait {a}" if a else "go"
    raise Failure(f"{a} is {'old' if a else 'new'}", "one" + (" or two" if a else ""), todo)
def g():
    raise Failure("x", "y", STOP)
"""
    assert [text for _, text in texts(source)] == [
        "{} is old",
        "{} is new",
        "one or two",
        "one",
        "wait {}",
        "go",
        "x",
        "y",
        "stop it",
    ]


PROSE = re.compile(r"(?<![-\w])(?!sudo |pip )(?:[a-z][a-z']+,? ){2,}[a-z']+")
"""Three English words in a row that are no command: an entry for the frame of a text alone leaves them."""


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.name)
def test_every_text_has_its_chinese(path):
    missing = set()
    for line, text in texts(path.read_text()):
        english = text.replace("{}", "X7")
        chinese = translations.chinese(english)
        if not translations.needs_none(text) and (chinese == english or PROSE.search(chinese)):
            missing.add(f"{path.name}:{line}: {text!r}: {chinese!r}")
    assert not missing


def messages_of(value):
    """Return the messages of all tasks in a parsed playbook."""
    if isinstance(value, list):
        return [message for item in value for message in messages_of(item)]
    if not isinstance(value, dict):
        return []
    own = [str(value[name]) for name in ("msg", "fail_msg") if name in value]
    return own + [message for item in value.values() for message in messages_of(item)]


def said_by_roles(path):
    """Return the parts of failures, and the single sentences, that a playbook says, with {} for values."""
    for message in messages_of(yaml.safe_load(path.read_text())):
        if " Expected: " in message:
            for plain in itertools.product(*(choices(part) for part in re.split(r"(\{\{.*?\}\})", message))):
                pattern = r"(?:Found: )?(.*?)\. Expected: (.*?)\. To do: (.*?)\.?"
                yield from re.fullmatch(pattern, "".join(plain)).groups()
        elif found := re.search(r"\{\{ \((.*)\) \| said\(chatglm_spoken\)", message, re.DOTALL):
            yield "".join(quoted or "{}" for quoted in re.findall(r"'([^']{9,})'|~ [^'~(]+", found[1])[:2])
        elif "spoken(" not in message:
            yield re.sub(r"(?s)\{\{.*?\}\}", "{}", message)


def choices(part):
    """Return what a piece of a template can be."""
    if "'' if" in part:
        return ["", *(text + "{}" for text in re.findall(r"else '([^']*)'", part))]
    return ["{}"] if part.startswith("{{") else [part]


@pytest.mark.parametrize("path", YAML, ids=lambda path: f"{path.parts[-3]}-{path.name}")
def test_every_text_of_a_role_has_its_chinese(path):
    for told in said_by_roles(path):
        assert translations.needs_none(told) or translations.chinese(told) != told, told


def test_the_texts_of_roles_are_found():
    found = [told for path in YAML for told in said_by_roles(path)]
    for told in ("no uv on the control side", "would install {}", "{}: {}", "capacity_memory_gb is {}"):
        assert told in found


def test_no_entry_is_left_over():
    said = [
        node.value
        for path in CODE
        if path.name != "translations.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    summary = (ROOT / "roles/summary/vars/main.yml").read_text()
    said.append(re.sub("'(create|rebuild|repair)': '", "virtualenv ", summary))
    said += [re.sub(r"'\s*~\s*'", "", re.sub(r"\s+", " ", path.read_text())) for path in YAML]
    said += [f"{word} " for word in python_env.DOING.values()]
    said.append(re.sub(r"'\s*~\s*'", "", wrong_settings.EXPRESSION))
    said.append(wrong_settings.VARS.read_text())
    for english in translations.CHINESE:
        for piece in english.split("{}"):
            own = max(re.split(r"; |: |\. |, ", piece), key=len).strip(" .,:;'\"()")
            assert any(own in text for text in said), f"nobody says {english!r} any more: {own!r}"


def test_each_entry_has_the_same_values_and_is_chinese():
    for english, chinese in translations.CHINESE.items():
        assert {int(number) for number in re.findall(r"\{(\d)\}", chinese)} == set(range(english.count("{}"))), english
        assert re.search("[\u3000-\u9fff\uff00-\uffef]", chinese), english


def test_a_failure_in_chinese():
    failure = Failure("/x is Python 3.8", "an absolute path", "move /a b away")
    assert translations.failure(str(failure)) == "发现：/x 是 Python 3.8\n应为：绝对路径\n处理：把 /a b 移到别处"
    assert translations.failure(f"{failure}\nthe log\nof it").endswith("把 /a b 移到别处")
    assert translations.failure("MODULE FAILURE: see stdout") == ""
    unknown = translations.failure("Found: what nobody knows. Expected: a free port. To do: sudo rm -r x")
    assert unknown == "发现：what nobody knows\n应为：空闲的端口\n处理：sudo rm -r x"


def test_values_that_are_texts_themselves():
    refusal = plan.Refusal(
        "no_gpu",
        "no /dev/dxg: WSL offers no GPU; libcuda: no GPU",
        "an NVIDIA GPU that libcuda can use",
        "in PowerShell: wsl --update; wsl --shutdown (Windows 10 21H2 or newer); or -e chatglm_device=cpu",
    )
    other = plan.Refusal(
        "git", "no git on PATH", "git, which fetches the source repository", "sudo apt-get install -y git"
    )
    told = translations.failure(f"{refusal}\n\n{other}")
    assert told.splitlines() == [
        "发现：没有 /dev/dxg：WSL 不提供 GPU；libcuda：没有 GPU",
        "应为：libcuda 能用的 NVIDIA GPU",
        "处理：在 PowerShell 里运行：wsl --update; wsl --shutdown（需要 Windows 10 21H2 或更新）；"
        "或者：-e chatglm_device=cpu",
        "",
        "发现：PATH 上没有 git",
        "应为：git，用来取源码仓库",
        "处理：sudo apt-get install -y git",
    ]


def test_the_report_in_chinese():
    host = doctor_evidence.HEALTHY["host"]
    lines = plan.make_plan(host["facts"], plan.Settings(home=doctor_evidence.HOME)).report
    assert len(lines) >= 8
    for line in lines:
        told = translations.report(line)
        assert told != line, line
        assert re.search("[\u3000-\u9fff\uff00-\uffef]", told) or line.startswith(("python", "packages", "cuda")), told
    memory = next(line for line in lines if line.startswith("memory"))
    assert translations.report(memory).startswith("内存      ")


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("done      weights: 8 files, 1.08 MB fetched", "完成      权重：8 个文件，下载 1.08 MB"),
        (
            "would do  weights: a.bin mended, 1.00 MB to be fetched",
            "将会      权重：已修补 a.bin，需要下载 1.00 MB",
        ),
        ("done      nothing: all was in order", "完成      无：一切正常"),
        ("kept      other files beside the weights: z", "保留      权重旁边的其他文件：z"),
        ('          "weights: He is tall"', '          "weights: He is tall"'),
        (
            "proven    2026-11-22T21:09:48+00:00, 7.6 tokens/s, first after 0.2 s, on cuda, GPU memory 4.1 GB",
            "已证明    2026-11-22T21:09:48+00:00，7.6 token/秒，首个 0.2 秒后，设备 cuda，显存 4.1 GB",
        ),
        ("repair    run the same command again", "修复      再运行一次同样的命令"),
    ],
)
def test_the_summary_in_chinese(english, chinese):
    assert translations.summary(english, "zh") == chinese
    again = translations.summary(english, "zh", True)
    assert again.startswith(" " * 10)
    assert chinese.endswith(again[10:])
    assert translations.summary(english, "en") == english


def test_all_that_the_summary_says_has_its_chinese():
    text = (ROOT / "roles/summary/vars/main.yml").read_text().split("\n", 2)[2]
    standing = wrong_settings.VARS.read_text().partition("# What to tell of the chat")[2].partition("# One sentence")[0]
    assert standing
    text += standing
    pieces = {piece.strip(" ;,()") for piece in re.findall(r"'([^'\n]*)'", text)}
    known = [*translations.CHINESE, *translations.LABELS]
    asked = {"mended", "kept", "create", "rebuild", "action", "equalto", "planned_bytes", "path", "key", "patched"}
    asked |= {"kind", "due", "ok", "none", "systemd", "in", "s, on", "[\\U00010000-\\U0010ffff]", "clean", "verify"}
    asked |= {"regex_replace", "background", "extract", "openai_api", "runs", "tidy"}
    pieces = {item for piece in pieces - asked for item in piece.partition(": ")[::2]}
    pieces |= set(yaml.safe_load(wrong_settings.VARS.read_text())["__chatglm_service_words"].values())
    unknown = {
        piece
        for piece in pieces
        if re.search("[a-z]{2}", piece) and not any(re.split(r"  +", piece)[-1] in text for text in known)
    }
    assert not unknown


@pytest.mark.parametrize("cause", uv_command._CAUSES, ids=lambda cause: cause[1])
def test_what_uv_says_is_told_in_chinese(cause):
    said = Failure(f"{cause[1]} (https://x.example/a) while installing 3 packages: error: x", *cause[2:])
    for line in translations.failure(str(said)).splitlines():
        assert not re.search(r"[a-z]{3,} (a|an|the|that|of|no|not|with|which) ", line), line
    assert "安装 3 个软件包" in translations.failure(str(said))
    assert "安装 3 个软件包" in translations.chinese(f"{cause[1]} while installing 3 packages: error: x")


def test_what_each_source_said_is_told_in_chinese():
    reset = TransferError("network", "no connection to a.example: Connection refused")
    gone = TransferError("http", "HTTP 404 from b.example: it has no such file", status=404)
    reasons = {"big.bin": [("hub https://a.example", reset), ("a share", gone)], "small": [("a share", gone)]}
    told = translations.failure(str(snapshot.failure("o/n", "d" * 40, "/home/me/m", 8, reasons)))
    assert told.splitlines()[0] == (
        "发现：o/n 的 8 个文件中有 2 个拿不到："
        "big.bin（hub https://a.example：连不上 a.example：Connection refused；"
        "a share：b.example 回应 HTTP 404：没有这个文件）；"
        "small（a share：b.example 回应 HTTP 404：没有这个文件）"
    )
    assert not re.search("[a-z]{3,} [a-z]{2,} ", told.replace("Connection refused", "")), told


@pytest.mark.parametrize("command", ["sudo ldconfig; ldconfig -p", "git add x; git commit (see above)", "a; free"])
def test_a_row_of_commands_stays_as_it_is(command):
    assert translations.several(command) == command


def test_a_user_s_names_are_not_translated():
    line = "kept      your packages free"
    assert translations.summary(line, "zh") == "保留      你的软件包 free"


def test_every_wrong_setting_in_chinese():
    wrong = {
        "chatglm_source_version": "main",
        "chatglm_model_revision": "v1",
        "chatglm_model_repo": "x",
        "chatglm_hub_endpoint": "hub",
        "chatglm_port": 80,
        "chatglm_listen": "0.0.0.0",
        "chatglm_home": "/",
        "chatglm_model_sources": [],
    }
    streamlit = {**wrong, "chatglm_app": "streamlit"}
    found = [wrong_settings.problems(**each) for each in (wrong, streamlit)]
    found.append(wrong_settings.problems(**{**streamlit, "chatglm_page_password": "short"}))
    problems = list(dict.fromkeys(itertools.chain(*found)))
    assert len(problems) == len(wrong) + 3
    told = translations.failure("\n".join(problems))
    for part in told.split("\n\n"):
        for line in part.splitlines():
            assert re.search("[\u4e00-\u9fff]", line.partition("：")[2]) or "-e " in line or "git " in line, line
    assert told.count(translations.EXPECTED) == len(problems)


def test_a_failed_proof_in_chinese():
    verdicts = [
        smoke.timed_out("model, load", 900, "smoke_test_load_timeout"),
        smoke.diagnose(
            "CUDA out of memory",
            {"cuda": {"available": True, "free": 1 << 30, "total": 6 << 30}},
            "page, answer",
            "cuda",
        ),
        *smoke.judge_page({"answer": "He is tall", "partials": 1}, {"partials": 9}, smoke.Demands("cuda", "you")),
    ]
    told = translations.failure("\n".join(["the chat is not proven.", *(str(each) for each in verdicts), "a log: x"]))
    lines = told.splitlines()
    assert lines[:8] == [
        "模型，加载",
        "发现：900 秒内没有结束",
        "应为：在 900 秒内结束",
        "处理：看日志；如果只是机器慢，调大 smoke_test_load_timeout",
        "网页，回答",
        "发现：显存不足；加载之前 6.0 GiB 中空闲 1.0 GiB",
        "应为：空闲 5.1 GiB 或更多",
        "处理：关闭占用 GPU 的程序（nvidia-smi 会列出；Windows 上的浏览器、游戏），或还在运行的演示；再运行一次",
    ]
    assert "发现：'He is tall'" in lines
    assert "应为：其中有 you" in lines


def test_every_name_of_a_verdict_has_its_chinese():
    tree = ast.parse(
        (ROOT / "module_utils/chatglm/smoke_test/smoke.py").read_text()
        + (ROOT / "library/int4_smoke_test.py").read_text()
    )
    calls = {"Verdict": 0, "judge_answer": 0, "timed_out": 0, "diagnose_exit": 3}
    names = set()
    for node in ast.walk(tree):
        name = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
        if name in calls and isinstance(node.args[calls[name]], ast.Constant):
            names.add(node.args[calls[name]].value)
    assert len(names) > 8
    for name in names:
        assert not re.search("[a-z]{2}", translations.verdict(name)) or name == "int4", name


@pytest.mark.parametrize(
    ("setting", "locale", "expected"),
    [
        ("zh", "C", "演示将监听 0.0.0.0"),
        ("auto", "zh_CN.UTF-8", "演示将监听 0.0.0.0"),
        ("en", "zh_CN", "will listen on"),
    ],
)
def test_a_warning_on_the_screen(tmp_path, setting, locale, expected):
    task = {"path": f"{tmp_path}/web_demo.py", "model_path": "/m", "listen": "0.0.0.0", "record": f"{tmp_path}/record"}
    play = {"hosts": "all", "gather_facts": False, "check_mode": True}
    play["tasks"] = [{"patch_web_demo": {**task, "to_be_restored": True}}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = on_screen(tmp_path, locale, "-e", f"chatglm_language={setting}")
    assert done.returncode == 0, done.stdout
    shown = "".join(line for line in (done.stdout + done.stderr).splitlines() if "ansible_python" not in line)
    assert expected in shown
    assert ("演示将监听" in shown) != ("will listen on" in shown)


def on_screen(tmp_path, locale, *options):
    """Run the play in the folder with this project's configuration."""
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "here,", "-c", "local", *options]
    environment = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LANG": locale, "LC_ALL": "C.UTF-8", "LC_MESSAGES": ""}
    return subprocess.run(
        [*command, tmp_path / "play.yml"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment, "ANSIBLE_PYTHON_INTERPRETER": sys.executable},
        check=False,
    )


@pytest.mark.parametrize(
    ("setting", "locale", "expected"),
    [("auto", "zh_CN.UTF-8", True), ("zh", "en_US.UTF-8", True), ("en", "zh_CN.UTF-8", False), ("auto", "C", False)],
)
def test_the_screen(tmp_path, setting, locale, expected):
    (tmp_path / "play.yml").write_text(
        "- {hosts: all, gather_facts: false, tasks: [{fail: {msg: 'Found: no gcc on PATH. Expected: a free port. "
        "To do: run again'}}]}\n"
    )
    done = on_screen(tmp_path, locale, "-e", f"chatglm_language={setting}")
    assert done.returncode == 2
    assert "Found: no gcc on PATH" in done.stdout
    lines = ["here:", "发现：PATH 上没有 gcc", "应为：空闲的端口", "处理：再运行一次"]
    assert ("\n".join(lines) in done.stdout) is expected
    assert expected or "发现" not in done.stdout
