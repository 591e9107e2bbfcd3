"""What the summary says; Ansible itself renders it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.chatglm.language import messages

ROOT = Path(__file__).resolve().parents[3]


def file(action, planned=0, path="f"):
    return {"path": path, "action": action, "planned_bytes": planned}


def told(files, fetched=0, changed=True):
    return {"files": files, "bytes_fetched": fetched, "changed": changed}


KEPT = file("kept")
CASES = [
    (False, told([KEPT], changed=False), ""),
    (False, told([file("fetched", 3000), file("fetched", 5000)], 8192), "weights: 2 files, 8.00 KB fetched"),
    (False, told([KEPT, file("mended", 1 << 20, "big.bin")], 1 << 20), "weights: big.bin mended, 1.00 MB fetched"),
    (
        False,
        told([file("fetched", 5), file("mended", 1 << 20, "big.bin")], 5 + (1 << 20)),
        "weights: 1 files, big.bin mended, 1.00 MB fetched",
    ),
    (False, told([file("mended", 0, "big.bin")]), "weights: big.bin mended, found in place and verified"),
    (False, told([file("adopted"), KEPT]), "weights: 1 files, found in place and verified"),
    (True, told([]), "weights: all files, to be fetched"),
    (True, told([file("fetched", None)]), "weights: 1 files, to be fetched"),
    (True, told([KEPT, file("mended", 1 << 20, "big.bin")]), "weights: big.bin mended, 1.00 MB to be fetched"),
    (True, told([file("adopted")]), "weights: 1 files, found in place and verified"),
]


HOME = "/home/you/chatglm-demo"
UNCHANGED = {
    "cuda_libs_found": {"skipped": True},
    "virtualenv_result": {"changed": False, "install": [], "reinstall": [], "extras": {}, "bytes_installed": 0},
    "source_result": {"changed": False, "modified": []},
    "weights_result": {"changed": False, "files": [], "bytes_fetched": 0, "extra_files": []},
    "web_demo_result": {"changed": False},
    "service_result": {"kind": "none", "changed": False, "todo": [], "runs": False},
    "smoke_test_result": {
        "verdict": "ok",
        "time": "2026-11-22T13:24:46+00:00",
        "verdicts": [
            {"name": "engine", "found": "torch: 8 layers compared, the largest error 0.06 of what is allowed"},
        ],
        "report": {
            "model": {
                "answer": "你好👋！" + "我是\n小模型" * 30,
                "tokens_per_second": 7.613,
                "first_token_seconds": 0.2,
            }
        },
    },
    "preflight_found": {"plan": {"device": "cpu"}},
    "chatglm_home": HOME,
    "chatglm_listen": "127.0.0.1",
    "chatglm_port": 7860,
    "chatglm_app": "web_demo",
    "chatglm_service": "auto",
}


def play(tmp_path, tasks, check=False, **variables):
    """Run tasks with the role's variables, and return what Ansible said."""
    played = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {**UNCHANGED, **variables},
        "vars_files": [str(ROOT / "roles" / role / "vars/main.yml") for role in ("chatglm", "summary")],
        "tasks": tasks,
    }
    (tmp_path / "play.json").write_text(json.dumps([played]))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "play.json"]
    environment = {**os.environ, "ANSIBLE_CONFIG": "absent", "ANSIBLE_STDOUT_CALLBACK": "default"}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {
        "ANSIBLE_FILTER_PLUGINS": str(ROOT / "filter_plugins"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    command += ["--check"] if check else []
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_weights(tmp_path, check):
    chosen = [(result, text) for mode, result, text in CASES if mode == check]
    line = "__summary_done | select('search', 'weights') | first | default('')"
    task = {
        "ansible.builtin.assert": {"that": f"{line} == item.text", "fail_msg": f"{{{{ {line} }}}}"},
        "vars": {"weights_result": "{{ item.result }}"},
        "loop": [{"result": result, "text": text} for result, text in chosen],
    }
    # What the smoke test measures on a GPU (smoke_test/smoke_worker.py) is what the summary looks for.
    gpu = {
        "ansible.builtin.assert": {"that": "(__summary_gpu | int | human_readable) == '7.00 Bytes'"},
        "vars": {"smoke_test_result": {"report": {"model": {"gpu": {"reserved_peak": 7}}}}},
    }
    assert play(tmp_path, [task, gpu], check).count("ok: [localhost] => (item=") == len(chosen)


def block(tmp_path, language="en", check=False, **variables):
    """Return the summary's lines."""
    file = tmp_path / "lines.json"
    copy = {"content": f"{{{{ summary_lines | spoken('{language}') | to_json }}}}", "dest": str(file)}
    play(tmp_path, [{"ansible.builtin.copy": copy, "check_mode": False}], check, **variables)
    lines = json.loads(file.read_text())
    assert all(messages.width(line) <= 92 for line in lines), lines
    return lines


STANDING = [
    "proven    2026-11-22T13:24:46+00:00, 7.6 tokens/s, first after 0.2 s, on cpu",
    '          "你好！' + "我是 小模型" * 6 + "我是 小..",
    "engine    torch: 8 layers compared, the largest error 0.06 of what is allowed",
]
BY_HAND = [
    f"start     {HOME}/bin/chatglm start",
    "open      http://127.0.0.1:7860",
    f"stop      {HOME}/bin/chatglm stop; of chatglm-run in a terminal: Ctrl+C",
]
REPAIR = "repair    run the same command again"
WORK = {
    "cuda_libs_found": {"missing": ["cudart"], "origin": "apt"},
    "cuda_libs_installed": {"changed": True, "fetched": "206 MB"},
    "virtualenv_python_result": {"changed": True, "action": "create", "version": "3.12.16", "bytes_installed": 9 << 20},
    "virtualenv_result": {
        "changed": True,
        "action": "create",
        "install": ["a==1", "b==1"],
        "reinstall": [],
        "extras": {"mine": "1"},
        "bytes_installed": 3 << 20,
    },
    "source_result": {"changed": True, "plan": "clone", "modified": [{"path": "a.py", "kind": "edited"}]},
    "web_demo_result": {"changed": True},
    "service_result": {"kind": "systemd", "changed": True, "todo": ["write", "enable", "start"], "runs": True},
}


def test_nothing_to_do(tmp_path):
    assert block(tmp_path) == ["done      nothing: all was in order", *STANDING, *BY_HAND, REPAIR]


def test_each_role_s_work_has_a_line(tmp_path):
    assert block(tmp_path, **WORK) == [
        "done      CUDA libraries: installed, 206 MB fetched",
        "          Python: brought along, 3.12.16, 9.00 MB on disk",
        "          virtualenv: built, 2 packages, 3.00 MB on disk",
        "          source repository: clone",
        "          web demo: patched",
        "          service: unit written, starts with the distribution, started",
        "kept      your changes to a.py",
        "          your packages mine",
        *STANDING,
        "chat      runs in the background, and starts with the distribution",
        "open      http://127.0.0.1:7860",
        f"stop      {HOME}/bin/chatglm stop",
        REPAIR,
    ]


def test_the_same_in_chinese(tmp_path):
    lines = block(tmp_path, "zh", **WORK)
    assert lines[:9] == [
        "完成      CUDA 库：已安装，下载 206 MB",
        "          Python：已带来，3.12.16，占磁盘 9.00 MB",
        "          虚拟环境：已建立，2 个软件包，占磁盘 3.00 MB",
        "          源码仓库：克隆",
        "          网页演示：已打补丁",
        "          服务：已写入单元文件，随发行版启动，已启动",
        "保留      你对 a.py 的修改",
        "          你的软件包 mine",
        "已证明    2026-11-22T13:24:46+00:00，7.6 token/秒，首个 0.2 秒后，设备 cpu",
    ]
    assert lines[-4:] == [
        "聊天      在后台运行，随发行版启动",
        "打开      http://127.0.0.1:7860",
        f"停止      {HOME}/bin/chatglm stop",
        "修复      再运行一次同样的命令",
    ]


def test_a_preview_says_what_comes_next_and_of_nothing_that_it_is_there(tmp_path):
    due = {"verdict": "due", "due_reason": "never proven"}
    lines = block(tmp_path, check=True, **{**WORK, "smoke_test_result": due, "cuda_libs_installed": {"skipped": True}})
    assert lines[0] == "would do  CUDA libraries: installed"
    assert lines[-2:] == ["proof     would be made: never proven", "next      the same command without --check"]
    assert not [line for line in lines if line.startswith(("chat", "open", "start", "stop"))]


@pytest.mark.parametrize(
    ("service", "told"),
    [
        ({"kind": "background", "runs": True}, "chat      runs in the background until the distribution stops"),
        ({"kind": "systemd", "runs": False}, f"chat      does not run; to start it: {HOME}/bin/chatglm start"),
    ],
)
def test_the_service(tmp_path, service, told):
    lines = block(tmp_path, service_result={"changed": False, "todo": [], **service})
    assert told in lines
    assert any(line.startswith("stop") for line in lines) == service["runs"]


@pytest.mark.parametrize(
    ("todo", "changed", "told"),
    [
        (["enable"], False, "service: starts with the distribution"),  # root will do it
        (["remove"], False, "service: removed"),
        (["stop", "start"], True, "service: stopped, started"),
        (["restart"], True, "service: started anew"),
        ([], True, "service: command written"),
    ],
)
def test_whatever_is_done_to_the_service_is_told(tmp_path, todo, changed, told):
    result = {"kind": "systemd", "runs": True, "changed": changed, "todo": todo}
    assert block(tmp_path, check=True, service_result=result)[0] == f"would do  {told}"


def test_the_api_s_base_address(tmp_path):
    assert "open      http://127.0.0.1:7860/v1" in block(tmp_path, chatglm_app="openai_api")


@pytest.mark.parametrize(
    ("origin", "told"),
    [("virtualenv", "linked from the virtualenv"), ("system", "links to those of the virtualenv removed")],
)
def test_links_to_the_virtualenv_s_cuda_libraries_are_told(tmp_path, origin, told):
    given = {"cuda_libs_found": {"origin": origin}, "cuda_links_result": {"changed": True}}
    assert block(tmp_path, **given)[0] == f"done      CUDA libraries: {told}"


def test_an_answer_too_short_to_measure(tmp_path):
    proven = json.loads(json.dumps(UNCHANGED["smoke_test_result"]))
    proven["report"]["model"]["tokens_per_second"] = None
    assert block(tmp_path, smoke_test_result=proven)[1] == (
        "proven    2026-11-22T13:24:46+00:00, first after 0.2 s, on cpu"
    )


@pytest.mark.parametrize(
    ("facts", "result", "first", "chat"),
    [
        ({"kind": "systemd", "active": True}, {}, "nothing: all is as it was when it was proven", "chat      runs in"),
        ({"kind": "systemd", "active": False}, {"kind": "systemd", "changed": True, "todo": ["start"], "runs": True},
         "service: started", "chat      runs in"),
        ({"kind": "systemd", "active": False}, {"kind": "systemd", "changed": False, "todo": [], "runs": False},
         "nothing: all is as it was when it was proven", "chat      does not run"),
    ],
)  # fmt: skip
def test_a_sealed_run_tells_the_service_as_it_is(tmp_path, facts, result, first, chat):
    tasks = yaml.safe_load((ROOT / "roles/preflight/tasks/main.yml").read_text())
    sealed = next(task for task in tasks if task["name"].startswith("Nothing has changed"))["block"]
    debug = next(task for task in sealed if task["name"] == "Sum up")
    found = {"facts": {"service": facts}, "seal": {"lines": ["proven    then"]}}
    variables = {"preflight_found": found, "chatglm_language": "en", "service_result": result}
    shown = play(tmp_path, [debug], **variables)
    assert f"done      {first}" in shown
    assert chat in shown
    assert "repair    run the same command again" in shown
    preview = play(tmp_path, [debug], check=True, **variables)
    assert f"would do  {first}" in preview
    assert ("next      the same command without --check" in preview) is (first == "service: started")
    assert (chat in preview) is not (first == "service: started")


HOMES = ["plain", "my chat", "it's $HOME", 'a "b"', "\u6211\u7684\u804a\u5929", "twice//", "~"]


@pytest.mark.parametrize("name", HOMES)
def test_the_lines_that_are_pasted_work_whatever_the_home_is_called(tmp_path, name):
    home = tmp_path / ("my chat" if name == "~" else name)
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "chatglm").write_text('#!/bin/sh\necho "did $*"\n')
    (home / "bin" / "chatglm").chmod(0o755)
    file = tmp_path / "lines.json"
    copy = {"content": "{{ chatglm_standing | to_json }}", "dest": str(file)}
    given = "~/my chat" if name == "~" else f"{tmp_path}/{name}"
    play(tmp_path, [{"ansible.builtin.copy": copy}], chatglm_home=given)
    lines = dict(line.split(maxsplit=1) for line in json.loads(file.read_text()))
    assert "//" not in lines["start"]
    for what in ("start", "stop"):
        command = lines[what].partition("; of chatglm-run")[0]
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env={"HOME": str(tmp_path)})
        assert done.stdout == f"did {what}\n", command
