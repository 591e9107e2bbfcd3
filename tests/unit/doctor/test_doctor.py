"""The doctor itself: its probes, what it prints, and the playbook for real with this environment's Ansible."""

import fcntl
import hashlib
import http.server
import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import doctor
import pytest
import yaml
from ansible.module_utils.chatglm.doctor import checks
from ansible.module_utils.chatglm.language import messages
from ansible.module_utils.chatglm.weights import snapshot
from doctor_evidence import HEALTHY

ROOT = Path(__file__).resolve().parents[3]
FREE = {"listening": False, "status": 0, "error": ""}


def load_callback():
    specification = importlib.util.spec_from_file_location("doctor_callback", ROOT / "callback_plugins" / "doctor.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


callback = load_callback()


# --- probes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "names", "unusable", "loopback"),
    [
        ({}, [], 0, False),
        ({"http_proxy": "http://p:8080", "no_proxy": "localhost, 127.0.0.1"}, ["http_proxy"], 0, True),
        ({"HTTPS_PROXY": "http://p:8080", "NO_PROXY": "*"}, ["HTTPS_PROXY"], 0, True),
        ({"all_proxy": "socks5://127.0.0.1:7890", "no_proxy": "localhost"}, ["all_proxy"], 1, False),
        ({"http_proxy": "127.0.0.1:7890", "https_proxy": ""}, ["http_proxy"], 0, False),
    ],
)
def test_proxies(environment, names, unusable, loopback):
    seen = doctor.seen_proxies(environment)
    assert (sorted(seen["set"]), len(seen["unusable"]), seen["loopback"]) == (names, unusable, loopback)


def test_a_proxy_s_password_is_not_told():
    assert "hunter2" not in str(doctor.seen_proxies({"http_proxy": "socks5://me:hunter2@p:8080"}))


@contextmanager
def page(status):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [200, 500])
def test_page_is_asked_past_the_proxies(status, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with page(status) as url:
        assert doctor.ask_page(url, True) == {"listening": True, "status": status, "error": ""}
    assert doctor.ask_page(url, True)["error"]
    assert doctor.ask_page(url, False) == FREE


def test_page_from_windows(tmp_path, monkeypatch):
    """A stand-in for curl.exe: does not prove that WSL's interoperability works."""
    curl = tmp_path / "curl.exe"
    curl.write_text("#!/bin/sh\nprintf 000\necho 'curl: (7) Failed to connect' >&2\nexit 7\n")
    curl.chmod(0o755)
    monkeypatch.setattr(doctor, "CURL", str(curl))
    seen = doctor.ask_windows("http://127.0.0.1:7860", 2, 200)
    assert (seen["asked"], seen["status"]) == (True, "000")
    assert "Failed to connect" in seen["error"]
    assert not doctor.ask_windows("http://127.0.0.1:7860", 2, 0)["asked"]
    assert not doctor.ask_windows("http://127.0.0.1:7860", 0, 200)["asked"]
    monkeypatch.setattr(doctor, "CURL", "/nonexistent")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "curl.exe" in doctor.ask_windows("http://127.0.0.1:7860", 2, 200)["why"]


@pytest.fixture
def model(tmp_path):
    """A model folder of two files with the launcher's sums."""
    folder = tmp_path / "models" / "m"
    folder.mkdir(parents=True)
    (tmp_path / "state").mkdir()
    lines, files = "", {}
    for name in ("config.json", "modeling.py"):
        (folder / name).write_text(name)
        digest = hashlib.sha256(name.encode()).hexdigest()
        lines += f"{digest}  ../models/m/{name}\n"
        files[name] = {"size": len(name), "sha256": digest, "stat": dict.fromkeys(snapshot.STAT_KEYS, 0)}
    (tmp_path / "state" / "weights.sha256").write_text(lines)
    (tmp_path / "state" / "weights.json").write_text(
        json.dumps(snapshot.Record(path=str(folder), files=files).as_json())
    )
    return folder


def test_sums(tmp_path, model):
    sums = str(tmp_path / "state" / "weights.sha256")
    assert doctor.read_sums(sums) == {"error": "", "files": 2}
    (model / "modeling.py").write_text("tampered!!!")
    assert doctor.read_sums(sums)["error"].endswith("has another sum of ../models/m/modeling.py")
    (model / "modeling.py").unlink()
    assert doctor.read_sums(sums)["error"]
    Path(sums).write_text("")
    assert doctor.read_sums(sums)["error"].endswith("is empty")
    Path(sums).unlink()
    assert "No such file" in doctor.read_sums(sums)["error"]


def test_module_cache_of_a_page_that_runs(tmp_path, model):
    record = json.loads((tmp_path / "state" / "weights.json").read_text())

    def seen():
        return doctor.read_module_cache(str(tmp_path), record, str(model))

    assert seen() == {"files": 0, "differing": [], "pid": 0}
    for pid in (os.getpid(), 2**22 + 1):  # a process that lives, a number that none can have
        copy = tmp_path / "cache" / "modules" / str(pid) / "transformers_modules" / "m"
        copy.mkdir(parents=True)
        (copy / "__init__.py").touch()
        shutil.copy(model / "modeling.py", copy)
    assert seen() == {"files": 2, "differing": [], "pid": 0}
    (copy / "modeling.py").write_text("of a page that has ended")
    assert seen()["differing"] == []
    live = tmp_path / "cache" / "modules" / str(os.getpid()) / "transformers_modules"
    for path, text in (("m/modeling.py", "tampered"), ("m/more.py", ""), ("__init__.py", "import evil")):
        (live / path).write_text(text)
    assert {os.path.relpath(path, live) for path in seen()["differing"]} == {
        "m/modeling.py",
        "m/more.py",
        "__init__.py",
    }
    assert seen()["pid"] == os.getpid()


def test_only_the_proof_s_bytecode_is_used(tmp_path):
    proof, cache = tmp_path / "proof.json", tmp_path / "cache" / "pycache"
    none = doctor.NO_BYTECODE
    assert doctor.bytecode(str(tmp_path), str(proof)) == none
    proof.touch()
    assert doctor.bytecode(str(tmp_path), str(proof)) == none
    cache.mkdir(parents=True)
    (cache / "a.pyc").touch()
    later = cache.stat().st_ctime_ns + 10**9
    os.utime(proof, ns=(later, later))
    assert doctor.bytecode(str(tmp_path), str(proof)) == str(cache)
    os.utime(proof, ns=(0, 0))
    assert doctor.bytecode(str(tmp_path), str(proof)) == none


@pytest.fixture
def worker(tmp_path):
    def start(python=sys.executable, timeout=60):
        made.append(doctor.Worker(python, doctor.NO_BYTECODE, str(tmp_path), timeout, {}))
        made[-1].start()
        return made[-1]

    made = []
    yield start
    for each in made:
        each.stop()


def test_worker_tells_the_raw_error(worker):
    asked = worker()
    answer = asked.ask({"imports": ["json", "no_such_module"], "cuda": False})
    assert answer["modules"]["json"] == ""
    assert answer["modules"]["no_such_module"] == "ModuleNotFoundError: No module named 'no_such_module'"
    assert answer["versions"]["python"] == sys.version.split()[0]
    assert "error" in asked.ask({"tokenizer": "/nonexistent", "text": "x"})


def test_worker_that_gives_no_answer(worker, tmp_path):
    assert "No such file" in worker(str(tmp_path / "python")).ask({})["error"]
    for text, word in (("exec sleep 60", "no answer within"), ("kill -9 $$", "signal 9"), ("exit 3", "status 3")):
        python = tmp_path / word.split()[0]
        python.write_text(f"#!/bin/sh\n{text}\n")
        python.chmod(0o755)
        assert word in worker(str(python), timeout=1).ask({})["error"]


def test_tokenizer_that_does_not_give_the_text_back(monkeypatch):
    from ansible.module_utils.chatglm.doctor import doctor_worker

    class Tokenizer:
        @classmethod
        def from_pretrained(cls, folder, trust_remote_code):
            return cls()

        def encode(self, text, add_special_tokens):
            return [1]

        def decode(self, tokens):
            return "?"

    monkeypatch.setitem(sys.modules, "transformers", type("M", (), {"AutoTokenizer": Tokenizer}))
    assert doctor_worker.tokenize("/m", "你好")["error"] == "'你好' came back as '?'"


@pytest.mark.parametrize(("deep", "command"), [(False, "site.yml -e virtualenv_verify=full"), (True, "site.yml")])
def test_what_only_reading_all_shows_is_mended_by_reading_all(deep, command):
    """The playbook gives ``site`` with both options where it has read every file."""
    params = {"url": "http://127.0.0.1:7860", "home": "/h", "model_path": "/m", "site": "site.yml", "deep": deep}
    found = doctor.context(params, {"likely": {"device": "cpu"}})
    assert (found["full"], found["next_port"], found["device"]) == (command, 7861, "cpu")


def test_notes():
    evidence = {
        "host": {"warnings_found": ["just enough memory"]},
        "virtualenv": {"extras": {"mine": "1"}, "lost": [], "other_files": ["lib/x"]},
        "weights": {"extra_files": ["a.bin"]},
    }
    assert doctor.notes(evidence) == [
        "just enough memory",
        "your own packages in the virtualenv, which are kept: mine",
        "files of yours in the virtualenv, which are kept: lib/x",
        "other files beside the weights, which are kept: a.bin",
    ]
    evidence["virtualenv"]["lost"] = ["mine==1"]
    assert "will lack: mine" in doctor.notes(evidence)[1]


# --- what people see --------------------------------------------------------------------------------------------------


def result(language="en", text="", **verdicts):
    """A result of the module with these checks."""
    found = []
    for code, verdict in verdicts.items():
        bad = verdict in ("repairable", "yours")
        found.append(
            {
                **checks.outside("unreachable", f"value of {code}", language),
                "code": code,
                "verdict": verdict.partition(" ")[0],
                "cause": "why" if bad else "",
                "remedy": "SITE" if verdict == "repairable" else "do it" if bad else "",
                "skipped_by": verdict.partition(" ")[2],
            }
        )
    return {
        "checks": found,
        "status": checks.status_of(found),
        "notes": ["a note"],
        "site": "SITE",
        "error": {"text": text, "causes": [{"code": "disk", "verdict": "yours", "title": "t"}] if text else []},
    }


def test_table():
    lines = callback.table(
        "one", result(text="a  text", git="ok", disk="yours", proof="unknown disk"), "en", full=True, columns=80
    )
    assert [line for _, line in lines] == [
        "one",
        "  ok          git   value of git",
        "  yours       disk  value of disk",
        "      cause  why",
        "      do     do it",
        "      not looked at, because of what is broken: proof",
        "  your text: a text",
        "      disk  shown here          t",
        "  note: a note",
        "  1 for you to do",
    ]
    assert [verdict for verdict, _ in lines] == ["", "ok", *["yours"] * 3, "unknown", "", "yours", "", "yours"]


def test_table_of_many_hosts_shows_what_is_wrong():
    lines = callback.table("one", result(git="ok", proof="repairable", x="unknown proof"), "en", full=False, columns=80)
    texts = [line for _, line in lines]
    assert not any("git" in text for text in texts)
    assert "      do     run the command of the last line" in texts
    assert "      not looked at, because of what is broken: 1" in texts
    assert texts[-1] == "  1 to repair: SITE"
    both = callback.table("one", result(disk="yours", proof="repairable"), "en", full=False, columns=80)
    assert both[-1] == ("yours", "  1 for you to do; then 1 to repair: SITE")
    assert callback.table("one", result(git="ok"), "en", full=False, columns=80)[-1] == (
        "ok",
        "  1 checks: all is well",
    )


def test_chinese_stands_in_columns():
    lines = [line for _, line in callback.table("一", result("zh", git="ok", disk="yours"), "zh", True, 80)]
    columns = {callback.width(line[: line.index("value")]) for line in lines if "value" in line}
    assert columns == {2 + 6 + 2 + 4 + 2}
    assert "  正常    git   value of git" in lines


def test_both_languages_have_the_same_words():
    english, chinese = callback.WORDS["en"], callback.WORDS["zh"]
    assert english.keys() == chinese.keys()
    assert set(callback.WORDS) == set(messages.LANGUAGES)
    for name, text in english.items():
        assert text.count("{") == chinese[name].count("{"), name


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("one two three", ["one two", "three"]),
        ("一二三四五六七", ["一二三四", "五六七"]),
        ("/a/long/path/to/a/file x", ["/a/long/path/to/a/file", "x"]),
        ("在 /a/long/path 里", ["在", "/a/long/path", "里"]),
    ],
)
def test_wrap(text, lines):
    assert callback.wrap(text, 9) == lines


def test_the_command_repeats_the_settings_and_no_secret():
    typed = ["chatglm_home=/x y", "error=a b", "doctor_deep=true", "chatglm_port=1"]
    assert callback.repeated(typed) == " -e 'chatglm_home=/x y' -e chatglm_port=1"
    secret = ["chatglm_hub_token=hf_x", '{"virtualenv_index_url": "https://me:pw@host/"}', "@vault.yml"]
    assert callback.repeated([*secret, "chatglm_port=1"]) == " -e chatglm_port=1 -e ..."


def test_pasted_text(tmp_path):
    assert callback.pasted(["a=1", "error=No module\nnamed 'x'"], "No") == "No module\nnamed 'x'"
    assert callback.pasted(['{"error": "a b"}'], "a b") == "a b"
    assert callback.pasted([], None) == ""
    (tmp_path / "log").write_text("it's broken\n")
    assert callback.pasted([f"error=@{tmp_path}/log"], "") == "it's broken"


# --- for real ---------------------------------------------------------------------------------------------------------


def play(tmp_path, playbook, hosts, *options, **environment):
    """Run a playbook on local hosts of these variables; return the process, and the report if there is one."""
    program = shutil.which("ansible-playbook", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "chatglm_device": "cpu",
        "preflight_check_sources": "never",
    }
    inventory = {"all": {"children": {"chatglm": {"hosts": hosts, "vars": common}}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    report = tmp_path / "report.json"
    report.unlink(missing_ok=True)
    done = subprocess.run(
        [program, str(playbook), "-i", str(tmp_path / "hosts.yml"), "-e", f"doctor_report={report}", *options],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
            **environment,
        },
        capture_output=True,
        text=True,
    )
    return done, json.loads(report.read_text()) if report.exists() else None


def state_of(folder):
    """Every file below, with all of its status."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path)] = (status.st_mode, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, content)
    return found


def named(report, host):
    return {
        each["code"]: each["verdict"]
        for each in report["hosts"][host]["checks"]
        if each["verdict"] != "ok" and not each["skipped_by"]
    }


FREE_PORT = {"chatglm_port": 18139}


def test_playbook_on_hosts_of_every_kind(tmp_path):
    half, ssh = tmp_path / "half", tmp_path / "ssh"
    for path, text in (
        ("venv/mine.txt", "not a virtualenv"),
        ("models/chatglm2-6b-int4/tokenizer.model", "version https://git-lfs.github.com/spec/v1\n"),
        ("state/proof.json", json.dumps({"verdict": "failed", "subject": {}, "reasons": ["no answer"]})),
        ("state/lock", ""),
    ):
        (half / path).parent.mkdir(parents=True, exist_ok=True)
        (half / path).write_text(text)
    hosts = {
        "bare": {"chatglm_home": str(tmp_path / "bare"), **FREE_PORT},
        "half": {"chatglm_home": str(half), **FREE_PORT},
        "wrong": {"chatglm_home": str(tmp_path / "wrong"), "chatglm_port": 80},
        "pythonless": {"ansible_python_interpreter": "/nonexistent/python3"},
        "gone": {"ansible_connection": "ssh", "ansible_ssh_executable": str(ssh)},
    }
    # A stand-in for ssh: does not prove anything about ssh itself.
    ssh.write_text("#!/bin/sh\necho 'ssh: connect to host gone port 22: Connection refused' >&2\nexit 255\n")
    ssh.chmod(0o755)
    before = state_of(half)
    text = "RuntimeError: Internal: [model_proto->ParseFromArray(serialized.data(), serialized.size())]"
    with (half / "state" / "lock").open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        done, report = play(tmp_path, "playbooks/doctor.yml", hosts, "-e", f"error={text}")
    assert state_of(half) == before
    assert {path.name for path in tmp_path.iterdir()} <= {"half", "hosts.yml", "report.json", "ansible", "ssh"}
    assert done.returncode == 2, done.stdout + done.stderr
    assert (report["schema"], report["exit_status"]) == (1, 2)
    assert {host: found["status"] for host, found in report["hosts"].items()} == {
        "bare": "repairable",
        "half": "yours",
        "wrong": "yours",
        "pythonless": "yours",
        "gone": "yours",
    }
    assert named(report, "bare") == dict.fromkeys(("venv_missing", "source_missing", "weights_missing"), "repairable")
    assert named(report, "half") == {
        "lock": "yours",
        "venv_blocked": "yours",
        "source_missing": "repairable",
        "weights_missing": "repairable",
        "weights_pointer": "repairable",
    }
    assert named(report, "wrong") == {"settings": "yours"}
    assert named(report, "pythonless") == {"host_python": "yours"}
    assert named(report, "gone") == {"unreachable": "yours"}
    assert "Connection refused" in report["hosts"]["gone"]["checks"][0]["evidence"]
    causes = report["hosts"]["half"]["error"]["causes"]
    assert causes[0] == {"code": "weights_pointer", "verdict": "repairable", "title": "Git LFS pointers"}
    command = f"./bootstrap ansible-playbook site.yml -i {tmp_path}/hosts.yml --limit bare"
    missing = next(each for each in report["hosts"]["bare"]["checks"] if each["code"] == "venv_missing")
    assert missing["remedy"] == command
    for words in (f"  3 to repair: {command}", "  yours       venv_blocked", f"report: {tmp_path}/report.json"):
        assert words in done.stdout
    assert "\033" not in done.stdout
    assert set(re.findall(r"changed=(\d+)", done.stdout)) == {"0"}, "the doctor changes nothing"
    assert "noop" not in done.stdout + done.stderr


def test_playbook_in_chinese(tmp_path):
    hosts = {"bare": {"chatglm_home": str(tmp_path / "bare"), **FREE_PORT}}
    done, report = play(tmp_path, "playbooks/doctor.yml", hosts, LANG="zh_CN.UTF-8")
    assert done.returncode == report["exit_status"] == 1, done.stdout + done.stderr
    assert "  可修复  venv_missing" in done.stdout
    missing = next(each for each in report["hosts"]["bare"]["checks"] if each["code"] == "venv_missing")
    assert missing["cause"] == "还没有虚拟环境"


def test_other_playbooks_are_left_alone(tmp_path):
    hosts = {"bare": {"chatglm_home": str(tmp_path / "bare"), **FREE_PORT}}
    done, report = play(tmp_path, "playbooks/preflight.yml", hosts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert report is None
    assert done.stdout.rstrip().endswith("ignored=0")


PYTHON = """#!{python}
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    answer = {{"error": "", "tokens": 4, "text": "x", "versions": {{}}, "cuda": {{}}}}
    answer["modules"] = dict.fromkeys(request.get("imports", []), "")
    print("@@chatglm-doctor@@ " + json.dumps(answer), flush=True)
"""


def test_healthy_host(tmp_path, model):
    """Evidence and Python are stand-ins: that a real installation is found healthy is for the part repair to prove."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    evidence = {
        name: HEALTHY[name]
        for name in ("settings", "host", "virtualenv", "source", "weights", "web_demo", "proof", "service")
    }
    evidence["host"] = {**evidence["host"], "likely": {**evidence["host"]["likely"], "device": "cpu"}}
    task = {
        "home": str(tmp_path),
        "model_path": str(model),
        "record": str(tmp_path / "state" / "weights.json"),
        "sums": str(tmp_path / "state" / "weights.sha256"),
        "proof": str(tmp_path / "state" / "proof.json"),
        "lock": str(tmp_path / "state" / "lock"),
        "evidence": evidence,
    }
    playbook = tmp_path / "healthy.yml"
    playbook.write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "chatglm",
                    "gather_facts": False,
                    "vars": {"doctor_language": "en"},
                    "tasks": [{"name": "Judge", "doctor": task}],
                }
            ]
        )
    )
    done, report = play(tmp_path, playbook, {"one": {}})
    assert done.returncode == report["exit_status"] == 0, done.stdout + done.stderr
    assert named(report, "one") == {}
    assert [each["code"] for each in report["hosts"]["one"]["checks"]] == [check.code for check in checks.CHECKS]
    assert done.stdout.split("report:")[0].rstrip().endswith("all is well")
