"""The service: its unit, its supervisor run for real with a pretended page, and what the module plans."""

import ast
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import chat_service
import doctor
import int4_smoke_test
import pytest
from ansible.module_utils.chatglm.core import lock, version
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.doctor import checks
from ansible.module_utils.chatglm.service import command, service, unit

SETTINGS = unit.Settings("/home/me/chatglm", "me", "/usr/bin/python3", "cuda", True)
NO_MEMORY = b"""Traceback (most recent call last):
  File "<string>", line 1, in <module>
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 214.00 MiB. GPU 0 has a total capacity of 6.00 GiB
"""


def values(text, name):
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


# --- the unit ---


def test_the_unit_names_its_installation_and_waits_for_the_gpu_only_where_there_is_one():
    text = unit.render(SETTINGS)
    assert unit.home_of(text) == "/home/me/chatglm"
    assert values(text, "User") == ["me"]
    assert values(text, "ExecStartPre") == ["/usr/bin/python3 -IB /home/me/chatglm/bin/chatglm wait-gpu"]
    assert values(unit.render(unit.Settings("/h", "me", "/p", "cpu", True)), "ExecStartPre") == []


def test_the_unit_gives_up_when_memory_ran_out_and_after_some_crashes():
    text = unit.render(SETTINGS)
    assert values(text, "RestartPreventExitStatus") == [str(unit.OUT_OF_MEMORY)]
    assert values(text, "StartLimitBurst") == [str(unit.STARTS)]
    # The limit counts only what falls into its period: all the starts it allows, with their waits and pauses, must.
    longest = int(values(text, "TimeoutStartSec")[0]) + int(values(text, "RestartSec")[0])
    assert unit.STARTS * longest < int(values(text, "StartLimitIntervalSec")[0])


def test_only_a_page_on_loopback_is_cut_off_from_the_network():
    assert values(unit.render(SETTINGS), "IPAddressDeny") == ["any"]
    opened = unit.Settings("/h", "me", "/p", "cpu", False)
    assert values(unit.render(opened), "IPAddressDeny") == []


ODD = [
    "my chat",
    'my "chat"',
    "it's",
    "50% of $HOME",
    "a:b",
    "back\\slash",
    "semi;colon",
    "\u6211\u7684\u804a\u5929",
    "#1 [x]",
]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze reads the unit")
@pytest.mark.parametrize("name", ["chat", *ODD])
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_systemd_loads_the_unit_whatever_the_home_is_called(tmp_path, name, device):
    home = tmp_path / name
    python = tmp_path / "python"
    readable = tmp_path / f"py {name}"
    for folder in (*unit.WRITABLE, "bin"):
        (home / folder).mkdir(parents=True)
    readable.mkdir()
    python.symlink_to("/bin/sh")
    text = unit.render(unit.Settings(str(home), "root", str(python), device, True, (str(readable),)))
    assert unit.home_of(text) == str(home)
    assert values(text, "WorkingDirectory") == [str(home).replace("%", "%%")], "it takes no quotes"
    path = tmp_path / "chatglm.service"
    path.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True)
    assert "chatglm" not in done.stderr, done.stderr
    path.write_text(text.replace("WorkingDirectory=", "WorkingDirectory=x"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True)
    assert "chatglm" in done.stderr, "what is wrong is told"


def test_a_foreign_unit_is_nobodys():
    assert unit.home_of("[Unit]\nDescription=mine\n") == ""


def test_what_systemctl_shows_is_read():
    assert unit.parse_show("ActiveState=active\nMainPID=7\nOther=x\nnoise\n") == {
        "ActiveState": "active",
        "MainPID": "7",
    }


# --- how a page died ---


@pytest.mark.parametrize(
    ("tail", "status", "kills", "expected"),
    [
        (NO_MEMORY, 1, 0, True),
        (b"RuntimeError: CUDA error: out of memory", 1, 0, True),
        (b"RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried", 1, 0, True),
        (NO_MEMORY, 0, 0, False),
        # gradio shows such an error to the user and goes on; what it died of later is something else
        (NO_MEMORY + b"INFO: next\nTraceback (most recent call last):\nValueError: x\n", 1, 0, False),
        (b"ModuleNotFoundError: No module named 'torch'", 1, 0, False),
        (b"", -9, 1, True),  # the kernel killed something meanwhile: this, most likely
        (b"", 137, 1, True),
        (b"", -9, 0, False),  # a user did
        (NO_MEMORY, -9, 0, False),
        (b"", -11, 1, False),
    ],
)
def test_whether_memory_ran_out(tail, status, kills, expected):
    assert service.no_memory(tail, status, kills) is expected


def test_the_number_of_starts_is_limited():
    now = 10_000.0
    assert service.may_start([now - 1] * (unit.STARTS - 1), now)
    assert not service.may_start([now - 1] * unit.STARTS, now)
    assert service.may_start([now - unit.PERIOD - 1] * unit.STARTS, now)


# --- the supervisor ---


def install(home, page):
    """Make an installation with a pretended page, and the command as the role writes it."""
    (home / "bin").mkdir(parents=True)
    launcher = home / "bin" / "chatglm-run"
    launcher.write_text(f"#!/bin/sh\n{page}\n")
    launcher.chmod(0o755)
    params = {
        "home": str(home),
        "app": "web_demo",
        "url": "http://127.0.0.1:1",
        "device": "cpu",
        "language": "en",
        "control": {},
    }
    for path, (content, mode) in chat_service.wanted_files(params, "background").items():
        if path.startswith(str(home)):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(path).write_bytes(content)
            Path(path).chmod(mode)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(chat_service, "system_python", lambda: sys.executable)
    place = tmp_path / "chatglm"
    yield place
    service.stop_background(str(place))


def within(seconds, what):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if value := what():
            return value
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s")


def log(home):
    path = Path(service.place(str(home), "chatglm.log"))
    return path.read_text() if path.exists() else ""


def test_the_supervisor_runs_the_page_and_ends_it_and_nothing_else(home):
    install(home, "echo up; exec sleep 300")
    other = subprocess.Popen(["sleep", "300"])
    try:
        service.start_background(str(home), sys.executable)
        within(20, lambda: "up" in log(home))
        state = service.observe(str(home), str(home / "no-unit"))
        assert (state["kind"], state["active"], state["current"]) == ("background", True, True)
        page = int(subprocess.check_output(["pgrep", "--parent", str(state["pid"])]).split()[0])
        assert service.belongs(page, state)
        assert not service.belongs(other.pid, state)
        (home / "bin" / "chatglm-run").write_text("#!/bin/sh\n")
        assert not service.observe(str(home), str(home / "no-unit"))["current"]
        assert service.stop_background(str(home))
        within(5, lambda: not service.started(page))
        assert not service.observe(str(home), str(home / "no-unit"))["active"]
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_killed_supervisor_takes_the_page_with_it(home):
    install(home, "echo up; exec sleep 300")
    service.start_background(str(home), sys.executable)
    within(20, lambda: "up" in log(home))
    pid = service.supervisor(str(home))
    page = int(subprocess.check_output(["pgrep", "--parent", str(pid)]).split()[0])
    os.kill(pid, signal.SIGKILL)
    within(5, lambda: not service.started(page))
    assert service.supervisor(str(home)) == 0


def test_the_supervisor_gives_up_when_memory_ran_out(home, capsys):
    install(home, "echo 'torch.OutOfMemoryError: CUDA out of memory.' >&2; exit 1")
    service.start_background(str(home), sys.executable)
    within(20, lambda: "memory ran out" in log(home))
    within(5, lambda: not service.supervisor(str(home)))
    assert log(home).count("OutOfMemoryError") == 1
    assert command.main(str(home), ["status"]) == command.STOPPED
    assert "memory ran out" in capsys.readouterr().out


def test_the_supervisor_starts_a_crashed_page_again_after_a_pause(home):
    install(home, "echo crash; exit 7")
    service.start_background(str(home), sys.executable)
    within(20, lambda: "it ended with status 7; again in 10 s" in log(home))
    assert service.supervisor(str(home))


def test_a_process_number_that_was_given_anew_is_no_supervisor(home):
    Path(service.place(str(home), "")).mkdir(parents=True)
    for start in ("1", "", None):
        service.write_json(service.place(str(home), "process.json"), {"pid": os.getpid(), "start": start})
        assert service.supervisor(str(home)) == 0


def test_a_log_keeps_within_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "LOG_BYTES", 100)
    written = service.Log(str(tmp_path / "log"))
    for number in range(100):
        written.say(str(number))
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"log", "log.1"}
    assert max(sizes.values()) < 200


def test_waiting_for_a_gpu_ends(tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text('print(\'{"gpus": [], "error": "cuInit answered 100"}\')')
    assert "cuInit answered 100" in service.gpu_trouble(str(worker), time.sleep, 0)
    worker.write_text('print(\'{"gpus": [{}], "error": ""}\')')
    assert service.gpu_trouble(str(worker), time.sleep, 0) == ""


# --- what the module plans ---

TEXT = unit.render(SETTINGS)
RUNS = {"unit": TEXT, "foreign": False, "kind": "systemd", "active": True, "current": True}


@pytest.mark.parametrize(
    ("kind", "state", "enabled", "stale", "expected"),
    [
        ("systemd", RUNS, True, False, []),
        ("systemd", {**RUNS, "unit": "", "kind": "none", "active": False}, False, True, ["write", "enable", "start"]),
        ("systemd", {**RUNS, "unit": "# chatglm_home: /home/me/chatglm"}, True, False, ["write", "restart"]),
        ("systemd", {**RUNS, "active": False}, True, False, ["start"]),
        ("systemd", {**RUNS, "current": False}, True, False, ["restart"]),
        ("systemd", RUNS, True, True, ["restart"]),
        ("systemd", RUNS, False, False, ["enable"]),
        ("systemd", {**RUNS, "unit": "", "kind": "background"}, False, False, ["write", "enable", "stop", "start"]),
        ("none", RUNS, True, False, ["remove"]),
        ("none", {**RUNS, "unit": "", "kind": "background"}, False, False, ["stop"]),
        ("none", {**RUNS, "unit": "", "kind": "none", "active": False}, False, False, []),
        ("background", {**RUNS, "unit": "", "kind": "none", "active": False}, False, False, ["start"]),
        ("background", {**RUNS, "unit": "", "kind": "background"}, False, False, []),
        ("none", {**RUNS, "unit": "", "kind": "background", "by_hand": True}, False, False, []),
        # systemd was switched off since: its unit does nothing
        ("background", {**RUNS, "kind": "none", "active": False}, False, False, ["start"]),
    ],
)
def test_the_plan(kind, state, enabled, stale, expected):
    by_hand = state.get("by_hand", False)
    assert chat_service.plan_service(kind, state, TEXT, enabled=enabled, stale=stale, by_hand=by_hand) == expected


@pytest.fixture
def host(home, monkeypatch):
    """Return options for the module on a host without systemd, whose page sleeps."""
    install(home, "exec sleep 300")
    monkeypatch.setattr(service, "booted", lambda: False)
    return {"home": str(home), "unit_path": str(home / "no-unit"), "url": "http://127.0.0.1:1", "port": 1}


def test_without_systemd_the_module_starts_the_supervisor_once(run_module, host, home):
    seen = run_module(chat_service, check=True, **host)
    assert seen["changed"]
    assert seen["todo"] == ["start"]
    assert not service.supervisor(str(home))
    first = run_module(chat_service, **host)
    assert first["changed"]
    pid = service.supervisor(str(home))
    assert pid
    within(20, lambda: service.observe(str(home), host["unit_path"])["current"])
    again = run_module(chat_service, **host)
    assert not again["changed"], again
    assert service.supervisor(str(home)) == pid
    assert os.readlink(home.parent / ".local/bin/chatglm") == str(home / "bin/chatglm")
    talk = {"language": "zh", "control": {"host": "another"}}
    told = run_module(chat_service, **host, **talk)
    assert (told["changed"], told["todo"]) == (True, []), "no model is loaded anew for another language"
    assert not run_module(chat_service, **host, **talk)["changed"]
    assert service.observe(str(home), host["unit_path"])["current"]
    assert service.supervisor(str(home)) == pid
    none = run_module(chat_service, service="none", **host)
    assert (none["changed"], none["todo"]) == (True, ["stop"])
    assert not service.supervisor(str(home))


def test_what_was_started_by_hand_is_the_user_s(run_module, host, home):
    run_module(chat_service, service="none", **host)
    service.start_background(str(home), sys.executable)
    pid = service.supervisor(str(home))
    again = run_module(chat_service, service="none", **host)
    assert (again["changed"], again["todo"], again["runs"]) == (False, [], False)
    assert service.supervisor(str(home)) == pid


def test_what_is_to_be_stopped_first_does_not_hold_the_port_of_its_successor(run_module, host, home, monkeypatch):
    run_module(chat_service, service="none", **host)
    service.start_background(str(home), sys.executable)
    monkeypatch.setattr(chat_service.processes, "port_free", lambda *_: False)
    monkeypatch.setattr(service, "booted", lambda: True)
    monkeypatch.setattr(service, "systemctl", lambda *_: (0, ""))
    seen = run_module(chat_service, check=True, **host)
    assert (seen["todo"], seen["started"], seen["runs"]) == (["write", "enable", "stop", "start"], True, True)


def test_a_service_between_two_starts_is_told_so(home):
    show = {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code", "ExecMainStatus": "1"}
    state = {"show": show, "active": True, "kind": "systemd", "pid": 0}
    assert service.condition(str(home), state) == ("crashed", "exit-code, status 1")
    state["show"] = {"ActiveState": "activating", "SubState": "start-pre"}
    assert service.condition(str(home), state) == ("activating", "")
    state = {"show": {}, "active": True, "kind": "background", "pid": 7}
    assert service.condition(str(home), state) == ("activating", ""), "it waits for the GPU: nothing is served yet"
    service.write_json(service.place(str(home), "serving.json"), {"pid": 7})
    assert service.condition(str(home), state) == ("running", "")


def test_of_two_supervisors_one_stays(home):
    """Each once wrote its number over the other's, which nobody could stop then."""
    install(home, "exec sleep 300")
    words = [sys.executable, "-IB", home / "bin" / "chatglm", "supervise"]
    both = [subprocess.Popen(words, start_new_session=True) for _ in range(2)]
    within(30, lambda: [one for one in both if one.poll() is not None])
    assert sorted(one.poll() is None for one in both) == [False, True]
    (stays,) = [one.pid for one in both if one.poll() is None]
    assert within(10, lambda: service.supervisor(str(home))) == stays
    assert service.stop_background(str(home))
    for one in both:
        one.wait(10)


def wait_for_a_rival(monkeypatch, module, does):
    """Let a rival do something while the module waits for the lock."""
    hold = lock.hold

    @contextlib.contextmanager
    def held(params, doing, tell):
        monkeypatch.setattr(module.lock, "hold", hold)
        does()
        with hold(params, doing, tell):
            yield

    monkeypatch.setattr(module.lock, "hold", held)


def test_a_service_that_a_rival_started_meanwhile_is_not_started_again(run_module, host, home, monkeypatch):
    wait_for_a_rival(monkeypatch, chat_service, lambda: service.start_background(str(home), sys.executable))
    seen = run_module(chat_service, lock=str(home / "state" / "lock"), **host)
    assert (seen["todo"], seen["runs"]) == ([], True)
    assert service.supervisor(str(home)) == seen["found"]["pid"]


def test_a_service_that_still_waits_is_not_started_again(home, monkeypatch):
    """A second run once ended what the first had just started, while that waited for the GPU."""
    pid = subprocess.Popen(["sleep", "300"], start_new_session=True).pid
    note = {"pid": pid, "start": service.started(pid), "stamp": service.stamp(str(home))}
    service.write_json(service.place(str(home), "process.json"), note)
    service.write_json(service.place(str(home), "serving.json"), {"pid": 1, "start": "", "stamp": ""})
    assert service.observe(str(home), str(home / "no-unit"))["current"]
    service.write_json(service.place(str(home), "process.json"), {**note, "stamp": "of something older"})
    assert not service.observe(str(home), str(home / "no-unit"))["current"]
    (home / "unit").write_text(unit.render(unit.Settings(str(home), "me", "/p", "cuda", True)))
    monkeypatch.setattr(service, "booted", lambda: True)
    for state, current in (("start-pre", True), ("auto-restart", False)):
        shown = f"ActiveState=activating\nSubState={state}\nMainPID=0\n"
        monkeypatch.setattr(service, "systemctl", lambda *_, shown=shown: (0, shown))
        assert service.observe(str(home), str(home / "unit"))["current"] is current


def test_the_command_starts_no_second_one_either(host, home, monkeypatch):
    started = []
    monkeypatch.setattr(service, "observe", lambda *_: {"active": bool(started), "kind": "none", "show": {}, "pid": 0})
    monkeypatch.setattr(service, "start_background", lambda *_: started.append("second"))
    wait_for_a_rival(monkeypatch, command, lambda: started.append("rival's"))
    assert command.main(str(home), ["start", "--no-wait"]) == 0
    assert started == ["rival's"]


def test_the_command_names_who_is_at_work(host, home, monkeypatch, capsys):
    monkeypatch.setattr(command, "LOCK_TIMEOUT", 0.0)
    with lock.hold({"lock": str(home / "state" / "lock"), "lock_timeout": 0}, "proving the chat", print):
        # flock counts per open file: the same process is as good as another
        assert command.main(str(home), ["start"]) == 1
    assert "proving the chat" in capsys.readouterr().err
    assert not service.supervisor(str(home))


@pytest.mark.parametrize(
    ("planned", "state", "left"),
    [
        (["write", "enable", "start"], {}, ["write", "enable", "start"]),
        (["write", "enable", "start"], {"unit": "U", "enabled": True, "active": True}, []),
        (["write", "enable", "start"], {"unit": "old", "enabled": True, "active": True}, ["write", "restart"]),
        (["restart"], {"unit": "U", "enabled": True}, ["start"]),
        (["restart"], {"unit": "U", "enabled": True, "active": True, "current": True}, []),
        (["write"], {"unit": "old", "enabled": True}, ["write"]),  # the port is another's: it was not to be started
        (["remove"], {"unit": "U"}, ["remove"]),
        (["remove"], {}, []),
    ],
)
def test_root_does_what_is_left_of_the_plan(planned, state, left):
    seen = {"unit": "", "foreign": False, "kind": "systemd", "active": False, "current": True, **state}
    seen["show"] = {"UnitFileState": "enabled" if state.get("enabled") else "disabled"}
    params = {"unit": "U", "unit_path": "/u", "todo": planned}
    assert chat_service.still_to_do(params, seen) == left


def test_root_leaves_a_unit_that_another_installation_has_put_there_meanwhile():
    with pytest.raises(Failure, match="belongs to another program"):
        chat_service.still_to_do({"unit_path": "/u", "todo": ["remove"]}, {"foreign": True})


def test_what_the_commands_modules_import_is_installed_with_them():
    parts = {tuple(part.__name__.split(".")[-2:]) for part in chat_service.PARTS}
    for part in chat_service.PARTS:
        for node in ast.walk(ast.parse(Path(part.__file__).read_text())):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            words = node.module.split(".") if node.module else []
            folder = part.__name__.split(".")[-2] if node.level == 1 else words.pop(0)
            for module in words or [name.name for name in node.names]:
                assert (folder, module) in parts, f"{part.__name__} imports {folder}/{module}"


def test_the_commands_modules_run_on_python_3_8():
    for part in chat_service.PARTS:
        for node in ast.walk(ast.parse(Path(part.__file__).read_text(), feature_version=(3, 8))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "zip":
                assert not node.keywords, f"{part.__name__}, line {node.lineno}: zip has no strict there"


def test_a_preview_shows_of_the_commands_modules_only_which(run_module, host, home):
    run_module(chat_service, service="none", **host)
    modules = home / "lib" / "chatglm"
    names = sorted(str(path.relative_to(modules)) for path in modules.rglob("*.py"))
    (modules / "smoke_test" / "page.py").write_text("broken")
    [part] = run_module(chat_service, check=True, service="none", **host)["diff"]
    assert [part[side].split()[0] for side in ("before", "after")] == ["smoke_test/page.py"] * 2
    assert part["before"] != part["after"]
    for path in modules.rglob("*.py"):
        path.unlink()
    [part] = run_module(chat_service, check=True, service="none", **host)["diff"]
    assert part["before"] == ""
    assert sorted(line.split()[0] for line in part["after"].splitlines()) == names


# --- what the doctor makes of it ---


@pytest.fixture
def examined(run_module, host, home):
    """Return a function that lets the doctor judge the service, by what the module says in check mode."""

    def judge(deep=False, code="service", **options):
        said = run_module(chat_service, check=True, **{**host, **options})
        probes = doctor.Probes({"home": str(home), "timeout": 5, "answer_timeout": 5, "record": "/no"}, {}, "")
        evidence = {"service": said, "context": {"home": str(home), "deep": deep, "site": "site.yml"}}
        return checks.examine(evidence, probes, checks=[checks.BY_CODE[code]])[0]

    return judge


def told(result):
    return result["verdict"], result["evidence"]


def test_the_doctor_on_a_service_without_systemd(run_module, examined, host, home, monkeypatch):
    assert told(examined()) == ("ok", f"stopped; to start it: {home}/bin/chatglm start")
    run_module(chat_service, **host)
    pid = service.supervisor(str(home))
    within(20, lambda: service.observe(str(home), host["unit_path"])["current"])
    assert told(examined()) == ("ok", f"runs, process {pid}; not asked (doctor_deep asks)")
    assert told(examined(language="zh", control={"host": "other"}))[0] == "ok"
    assert told(examined(deep=True)) == ("ok", f"runs, process {pid}, loads the model")
    monkeypatch.setattr(command, "LOAD_TIMEOUT", 0)
    dead = examined(deep=True)
    assert dead["verdict"] == "yours"
    assert "does not answer" in dead["evidence"]
    assert dead["remedy"] == f"{home}/bin/chatglm restart"
    monkeypatch.setattr(command, "ask", lambda *_: "hello")
    assert told(examined(deep=True)) == ("ok", f"runs, process {pid}, answers: hello")
    assert told(examined(service="none"))[0] == "repairable"

    (home / "source").mkdir()
    (home / "source" / "web_demo.py").touch()
    assert told(examined()) == ("repairable", f"process {pid} serves what was installed before")
    assert service.stop_background(str(home))
    assert told(examined())[1].startswith("stopped; to start it")

    run_module(chat_service, **host)
    os.kill(service.supervisor(str(home)), signal.SIGKILL)
    within(5, lambda: not service.supervisor(str(home)))
    assert told(examined()) == ("repairable", "it was killed, or the distribution was stopped")
    (home / "bin" / "chatglm").unlink()
    (home / "state" / "service").rename(home / "away")
    assert told(examined(code="command")) == ("repairable", f"missing or changed: {home}/bin/chatglm")


@pytest.mark.parametrize("kind", ["none", "auto"])
def test_the_doctor_names_what_is_gone_of_the_command(run_module, examined, host, home, kind):
    link = home.parent / ".local" / "bin" / "chatglm"
    completion = home.parent / ".local" / "share" / "bash-completion" / "completions" / "chatglm"
    settings = home / "state" / "service.json"
    parts = [home / "bin" / "chatglm", home / "lib" / "chatglm" / "service" / "command.py", settings, link, completion]
    options = {"code": "command", "service": kind}
    run_module(chat_service, **{**host, "service": kind})
    assert told(examined(**options)) == ("ok", f"{home}/bin/chatglm")
    assert told(examined(**options, language="zh", control={"host": "other"}))[0] == "ok"
    for path in parts:
        path.rename(home / "away")
        assert told(examined(**options)) == ("repairable", f"missing or changed: {path}")
        if path == link:
            [part] = run_module(chat_service, check=True, **{**host, "service": kind})["diff"]
            assert (part["before"], part["after"]) == ("", f"-> {home}/bin/chatglm\n")
        (home / "away").rename(path)
    link.unlink()
    link.symlink_to(home / "gone")
    assert told(examined(**options)) == ("repairable", f"missing or changed: {link}")
    run_module(chat_service, **{**host, "service": kind})
    assert told(examined(**options))[0] == "ok"
    assert link.resolve() == home / "bin" / "chatglm"
    completion.write_text("# mine\n")
    assert told(examined(**options))[0] == "ok"


@pytest.mark.parametrize(
    ("page", "verdict", "piece"),
    [
        ("echo 'torch.OutOfMemoryError: CUDA out of memory.' >&2; exit 1", "yours", "memory ran out"),
        ("exit 7", "repairable", "it failed (status 7); its log:"),
    ],
)
def test_the_doctor_on_a_page_that_died(examined, home, page, verdict, piece):
    (home / "bin" / "chatglm-run").write_text(f"#!/bin/sh\n{page}\n")
    supervise = (
        f"import sys; sys.path.insert(0, '{home}/lib'); from chatglm.service import service; "
        f"service.Stop.sleep = lambda *_: None; service.supervise('{home}', lambda _: '')"  # the pauses take minutes
    )
    subprocess.run([sys.executable, "-IBc", supervise], check=True, timeout=60)
    result = examined()
    assert result["verdict"] == verdict
    assert piece in result["evidence"]


UNIT_STATES = [
    ({"ActiveState": "active", "MainPID": "1", "UnitFileState": "enabled"}, "repairable", "process 1 serves"),
    ({"ActiveState": "active", "MainPID": "1", "UnitFileState": "disabled"}, "repairable", "does not start with"),
    ({"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}, "ok", "stopped; to start it"),
    ({"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "15"}, "ok", "stopped; to start it"),
    ({"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "86"}, "yours", "memory ran out"),
    ({"ActiveState": "failed", "Result": "oom-kill", "ExecMainStatus": "9"}, "yours", "memory ran out"),
    (
        {"ActiveState": "failed", "Result": "start-limit-hit", "ExecMainStatus": "1"},
        "repairable",
        "it failed (start-limit-hit, status 1); its log: journalctl",
    ),
    ({"ActiveState": "activating", "SubState": "start-pre", "MainPID": "0"}, "ok", "it is starting"),
    (
        {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code", "ExecMainStatus": "1"},
        "repairable",
        "it crashed (exit-code, status 1) and is started again",
    ),
]


@pytest.mark.parametrize("case", UNIT_STATES, ids=lambda case: "-".join(case[0].values()))
def test_the_doctor_on_a_unit(examined, run_module, host, monkeypatch, case):
    show, verdict, piece = case
    monkeypatch.setattr(service, "booted", lambda: True)
    unit_path = Path(host["home"], "chatglm.service")
    first = run_module(chat_service, **{**host, "unit_path": str(unit_path)})
    assert first["todo"] == ["write", "enable", "start"]
    assert told(examined(unit_path=str(unit_path))) == ("repairable", "its unit file is missing or changed")
    unit_path.write_text(first["unit"])
    shown = {"UnitFileState": "enabled", **show}
    systemctl = unit_path.parent / "programs" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text("#!/bin/sh\n" + "".join(f"echo {name}={value}\n" for name, value in shown.items()))
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    result = examined(unit_path=str(unit_path))
    assert result["verdict"] == verdict, result
    assert piece in result["evidence"]
    monkeypatch.setattr(service, "booted", lambda: False)
    assert told(examined(unit_path=str(unit_path))) == ("repairable", "systemd, which would run it, is switched off")


def test_a_foreign_command_of_that_name_stays(run_module, host, home):
    theirs = home.parent / ".local" / "bin" / "chatglm"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine\n")
    answer = run_module(chat_service, **host)
    assert "is not this installation's" in str(answer["warnings"])
    assert theirs.read_text() == "mine\n"


def test_the_link_of_another_home_stays_and_is_told(run_module, host, home):
    """Without a service too: the short name starts the other chat."""
    other = home.parent / "other" / "bin" / "chatglm"
    other.parent.mkdir(parents=True)
    other.write_text("#!/bin/sh\n")
    link = home.parent / ".local" / "bin" / "chatglm"
    link.parent.mkdir(parents=True)
    link.symlink_to(other)
    for service_kind in ("none", "auto"):
        answer = run_module(chat_service, **{**host, "service": service_kind})
        assert f"the command is {home}/bin/chatglm" in str(answer["warnings"])
    assert link.resolve() == other


def test_a_first_link_is_told_with_the_whole_path(run_module, host, home, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert f"{home}/bin/chatglm is this installation's command" in str(run_module(chat_service, **host)["warnings"])
    assert chat_service.plan_link(str(home / "bin" / "chatglm")) == (False, "")
    service.stop_background(str(home))
    command.main(str(home), ["status"])
    assert f"start it with: {home}/bin/chatglm start" in capsys.readouterr().out
    monkeypatch.setenv("PATH", f"{home.parent}/.local/bin:/usr/bin")
    command.main(str(home), ["status"])
    assert "start it with: chatglm start" in capsys.readouterr().out


def test_a_foreign_unit_is_refused(run_module, host, home, monkeypatch):
    monkeypatch.setattr(service, "booted", lambda: True)
    Path(host["unit_path"]).write_text("[Unit]\n")
    answer = run_module(chat_service, **host)
    assert "belongs to another program" in answer["msg"]
    assert "chatglm_service=none" in answer["msg"]
    assert Path(host["unit_path"]).read_text() == "[Unit]\n"


def test_a_dead_service_is_told_instead_of_waited_for(run_module, host):
    answer = run_module(chat_service, state="answering", **host)
    assert "the service has ended" in answer["msg"]


# --- the command ---


@pytest.mark.parametrize(
    ("words", "expected"),
    [([], "help"), (["status", "--ask"], "status"), (["stop", "now"], "help"), (["logs", "-f"], "logs"),
     (["doctor", "-e", "doctor_deep=true"], "doctor"), (["start", "--help"], "help")],
)  # fmt: skip
def test_words_of_the_command(words, expected):
    assert command.parse(words).command == expected


def test_help_is_there_in_both_languages(home, monkeypatch, capsys):
    for language, word in (("en_US.UTF-8", "doctor"), ("zh_CN.UTF-8", "聊天")):
        monkeypatch.setenv("LC_ALL", language)
        assert command.main(str(home), ["help"]) == 0
        assert word in capsys.readouterr().out
    assert command.main(str(home), ["nonsense"]) == 2


def test_the_doctor_is_run_where_the_project_is_else_told_where(home, capsys):
    control = {"host": "laptop", "path": str(home / "absent"), "inventory": ["inventory/wsl"]}
    service.write_json(service.settings_path(str(home)), {"control": control, "language": "en"})
    assert command.main(str(home), ["doctor"]) == 1
    assert "on laptop" in (told := capsys.readouterr().out)
    assert "./bootstrap ansible-playbook playbooks/doctor.yml -i inventory/wsl" in told
    (home / "absent").mkdir()
    fake = home / "absent" / "bootstrap"
    fake.write_text('#!/bin/sh\necho "$@" >ran\nexit 2\n')
    fake.chmod(0o755)
    assert command.main(str(home), ["doctor", "-e", "doctor_deep=true"]) == 2
    assert (home / "absent" / "ran").read_text().split()[-2:] == ["-e", "doctor_deep=true"]
    kept = home / "state" / "page_password"
    kept.write_text("geheim-12345")
    assert command.main(str(home), ["doctor"]) == 2
    ran = (home / "absent" / "ran").read_text()
    assert f"lookup('ansible.builtin.file', '{kept}')" in ran
    assert "geheim" not in ran


def test_bash_completes_the_command():
    text = chat_service.COMPLETION.format(words=" ".join(command.COMMANDS))
    for words, expected in ((["chatglm", "sta"], ["start", "status"]), (["chatglm", "status", ""], ["--ask"])):
        script = f"{text}\nCOMP_WORDS=({' '.join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}; _chatglm\n"
        done = subprocess.run(
            ["bash", "-c", script + 'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == expected


def test_the_installed_command_runs_by_itself(home):
    install(home, "exit 0")
    done = subprocess.run([home / "bin/chatglm", "where"], capture_output=True, text=True, env={"LANG": "C.UTF-8"})
    assert done.returncode == 0, done.stderr
    assert str(home) in done.stdout
    assert subprocess.run([home / "bin/chatglm", "logs"], capture_output=True).returncode == 1


@pytest.mark.parametrize(("language", "row"), [("en_US.UTF-8", "version   "), ("zh_CN.UTF-8", "版本      ")])
def test_where_tells_the_version_first(home, monkeypatch, capsys, language, row):
    monkeypatch.setenv("LC_ALL", language)
    assert command.main(str(home), ["where"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{row}{version.VERSION}"


def test_a_failure_reads_as_one(home, monkeypatch, capsys):
    def fails(*_arguments):
        raise Failure("a", "b", "c")

    monkeypatch.setitem(command.ACTIONS, "where", fails)
    assert command.main(str(home), ["where"]) == 1
    assert capsys.readouterr().err == "Found: a. Expected: b. To do: c\n"
    monkeypatch.setattr(command, "spoken", lambda *_: "zh")
    assert command.main(str(home), ["where"]) == 1
    assert capsys.readouterr().err == "发现：a\n应为：b\n处理：c\n"


# --- a proof needs port and memory ---


class Ended(Exception):
    """What a module answered at its end."""


class FakeModule:
    """Enough of an AnsibleModule for give_way."""

    def __init__(self, home):
        self.params = {"launcher": str(home / "bin" / "chatglm-run")}

    def exit_json(self, **result):
        raise Ended(result)


def test_a_unit_is_stopped_by_root_so_the_proof_says_that_it_is_busy(home):
    with pytest.raises(Ended) as caught:
        int4_smoke_test.give_way(FakeModule(home), {"due": True, "changed": True}, {"active": True, "kind": "systemd"})
    answer = caught.value.args[0]
    assert (answer["verdict"], answer["changed"], answer["home"]) == ("busy", False, str(home))
    assert "chatglm stop" in answer["msg"]


def test_the_background_chat_is_stopped_for_a_proof(home):
    install(home, "exec sleep 300")
    service.start_background(str(home), sys.executable)
    assert service.supervisor(str(home))
    int4_smoke_test.give_way(FakeModule(home), {}, service.observe(str(home), str(home / "no-unit")))
    assert not service.supervisor(str(home))
    int4_smoke_test.give_way(FakeModule(home), {}, service.observe(str(home), str(home / "no-unit")))


def test_the_service_is_not_started_beside_a_page_that_holds_the_port(run_module, host, home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = run_module(chat_service, **{**host, "port": port, "url": f"http://127.0.0.1:{port}"})
    assert answer["todo"] == []
    assert "not started beside it" in str(answer["warnings"])
    assert not service.supervisor(str(home))
