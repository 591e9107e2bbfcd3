"""Progress: its words, its screen, and real runs of this environment's Ansible, its channel broken in every way."""

import contextlib
import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import terminal
from ansible.module_utils.chatglm.core import progress, seal
from ansible.module_utils.chatglm.language import messages

ROOT = Path(__file__).resolve().parents[3]


def load(folder, name):
    specification = importlib.util.spec_from_file_location(f"{name}_{folder}", ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


callback = load("callback_plugins", "progress")
action = load("action_plugins", "normal")
apt = load("action_plugins", "apt_install")


def say(language):
    return lambda code, **values: messages.say(language, code, **values)


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (12_345_678, "12.3 MB"), (3_911_000_000, "3.91 GB"), (0.4, "0 B")],
)
def test_sizes(count, text):
    assert callback.size(count) == text


@pytest.mark.parametrize(
    ("done", "total", "unit", "en", "zh"),
    [
        (40_000_000, 3_910_000_000, "bytes", "0.04 of 3.91 GB", "0.04，共 3.91 GB"),
        (5_000_000, 0, "bytes", "5.0 MB", "5.0 MB"),
        (12, 57, "items", "12 of 57", "12，共 57"),
    ],
)
def test_amounts(done, total, unit, en, zh):
    assert callback.amount(done, total, unit, say("en")) == en
    assert callback.amount(done, total, unit, say("zh")) == zh


@pytest.mark.parametrize(
    ("seconds", "en", "zh"),
    [
        (0.4, "0 s", "0 秒"),
        (59.4, "59 s", "59 秒"),
        (59.6, "1 min 0 s", "1 分 0 秒"),
        (3599, "59 min 59 s", "59 分 59 秒"),
        (7300, "2 h 1 min", "2 小时 1 分"),
    ],
)
def test_times(seconds, en, zh):
    assert (callback.duration(seconds, say("en")), callback.duration(seconds, say("zh"))) == (en, zh)


@pytest.mark.parametrize("done", [0, 1, 49, 50, 99, 100, 1000])
def test_bars(done):
    drawn = callback.bar(done, 100)
    assert len(drawn) == callback.BAR + 2
    assert drawn.count("=") == min(callback.BAR, done // 5)


@pytest.mark.parametrize("columns", range(2, 30))
def test_wide_characters_are_cut_to_columns(columns):
    for text in ("weights.bin of the model", "正在下载模型的权重文件", "a正b在c下d载"):
        assert callback.width(callback.fit(text, columns)) <= columns
    assert callback.fit("正在", 4) == "正在"


def test_nothing_that_a_host_says_steers_the_terminal():
    assert callback.plain("\x1b[2J\r\nmodel\u202e.bin\x9b") == "?[2J??model?.bin?"
    assert callback.width(callback.plain("x" * 10_000)) == 62


def test_names_of_hosts_have_one_width():
    names = callback.names(["beta", "主机", "a" * 60])
    assert {callback.width(name) for name in names} == {30}


def meter(*seen):
    made = callback.Meter()
    for now, at, done in seen:
        made.add(now, at, done)
    return made


def test_a_rate_goes_by_the_host_s_clock():
    assert meter((0, 100.0, 0), (1.7, 101.0, 50), (2.1, 102.0, 100)).rate(2.2) == 50


def test_a_resumed_file_s_first_bytes_do_not_count():
    assert meter((0, 0.0, 1_000_000), (1, 1.0, 1_000_010)).rate(1) == 10


def test_too_early_to_tell_a_rate():
    assert callback.Meter().rate(9) is None
    assert meter((0, 0.0, 5)).rate(1) is None


def test_a_rate_falls_when_nothing_moves():
    seen = meter(*((second, float(second), 100 * second) for second in range(11)))
    assert seen.rate(12) == 100
    assert 0 < seen.rate(20) < 60
    assert seen.rate(40) == 0


def test_a_file_begun_anew_has_a_rate_of_its_own():
    assert meter((0, 0.0, 900), (1, 1.0, 1000), (2, 2.0, 0), (3, 3.0, 7)).rate(3) == 7


def shown(language="en", **state):
    made = callback.Shown(0.0)
    made.take(0.0, {**state, "at": 0.0, "done": 0, "written": 0}, language)
    made.take(10.0, {**state, "at": 10.0}, language)
    return made


def test_a_download_s_line():
    state = {"stage": "fetch", "name": "model.bin", "done": 500_000_000, "total": 4_000_000_000}
    bar = "[" + "=" * 2 + ">" + " " * 17 + "]"
    en = f"here  fetching model.bin  {bar}  0.50 of 4.00 GB  12%  50.0 MB/s  1 min 10 s left"
    zh = f"here  正在下载 model.bin  {bar}  0.50，共 4.00 GB  12%  50.0 MB/s  剩余 1 分 10 秒"
    assert shown(**state).line("here", 10) == en
    assert shown("zh", **state).line("here", 10) == zh
    assert shown(**state).line("here", 10, 80) == en.replace(bar + "  ", "")


def test_packages_have_no_time_left():
    line = shown(stage="packages", name="", done=12, total=57, items=1, written=250_000_000).line("here", 12)
    assert line.endswith("12 of 57  21%  250.0 MB written  25.0 MB/s  for 12 s")


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("columns", [20, 40, 79, 100])
def test_a_line_never_wraps(language, columns):
    made = shown(language, stage="fetch", name="权重" * 20, done=5, total=10**12)
    assert callback.width(made.line("主机", 10, columns)) <= columns


@pytest.mark.parametrize(
    "stage",
    re.findall(
        r'progress\.tell\(\s*"(\w+)"',
        "".join(
            path.read_text() for folder in ("library", "module_utils/chatglm") for path in (ROOT / folder).rglob("*.py")
        ),
    ),
)
def test_every_stage_has_words(stage):
    assert f"progress.{stage}" in messages.MESSAGES


@pytest.mark.parametrize("value", [None, -1, 1.5, True, "x", [1], {}, 10**30, float("nan")])
@pytest.mark.parametrize("name", ["stage", "name", "done", "total", "written", "memory", "items", "at"])
def test_any_state_makes_a_line(name, value):
    made = callback.Shown(0.0)
    for now in (0.0, 5.0):
        made.take(now, {"stage": "fetch", "name": "x", "done": 1, "total": 2, "at": now, name: value}, "en")
        assert made.line("here", now, 60).startswith("here  ")


# --- the host's side --------------------------------------------------------------------------------------------------


@pytest.fixture
def reporter(tmp_path, monkeypatch):
    monkeypatch.setenv(progress.VARIABLE, "me")
    monkeypatch.setattr(progress, "_reporter", None)
    monkeypatch.setattr(progress.atexit, "register", lambda function: None)
    progress.begin(str(tmp_path / "lock"))
    return tmp_path / progress.NAME


def test_a_state_is_told_and_removed(reporter):
    progress.tell("fetch", "a.bin", 1, 2)
    told = json.loads(reporter.read_text())
    assert {name: told[name] for name in ("run", "stage", "name", "done", "total")} == {
        "run": "me",
        "stage": "fetch",
        "name": "a.bin",
        "done": 1,
        "total": 2,
    }
    assert stat.S_IMODE(reporter.stat().st_mode) == 0o600
    assert progress.VARIABLE not in os.environ  # no program that is started tells in this name
    progress._reporter.end()
    assert list(reporter.parent.iterdir()) == []


def test_it_is_written_now_and_then(reporter, monkeypatch):
    writes = []
    monkeypatch.setattr(progress.os, "replace", lambda *paths: writes.append(paths))
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        progress.tell("fetch", "a.bin", 1, 2)
    assert len(writes) == 1
    progress.tell("fetch", "b.bin", 1, 2)
    assert len(writes) == 2


def test_nobody_asked(tmp_path, monkeypatch):
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    monkeypatch.setattr(progress, "_reporter", None)
    progress.begin(str(tmp_path / "lock"))
    progress.tell("fetch")
    with progress.watched(lambda: pytest.fail("watched")):
        time.sleep(progress.SECONDS + 0.2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("obstacle", ["folder", "link", "gone", "full"])
def test_what_is_in_the_way_is_passed_over(obstacle, reporter, monkeypatch, tmp_path):
    aim = tmp_path / "aim"
    if obstacle == "folder":
        (reporter / "x").mkdir(parents=True)
    elif obstacle == "link":
        aim.write_text("mine")
        Path(f"{reporter}{progress.NEW}").symlink_to(aim)
    elif obstacle == "gone":
        progress._reporter.path = str(tmp_path / "no" / "where")
    else:
        monkeypatch.setattr(progress.os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    progress.tell("fetch", "a.bin", 1, 2)
    progress._reporter.end()
    assert obstacle != "link" or aim.read_text() == "mine"


def test_a_program_is_watched_while_it_runs(reporter):
    with progress.watched(
        lambda: progress.tell("packages", "", 3, 9, written=progress.of_process(os.getpid(), "io", "wchar"))
    ):
        time.sleep(2 * progress.SECONDS + 0.3)
    assert json.loads(reporter.read_text())["written"] > 0
    assert "progress" not in {thread.name for thread in threading.enumerate()}
    assert progress.of_process(os.getpid(), "status", "VmRSS") > 1_000_000
    assert progress.of_process(0, "io", "wchar") == 0


def test_what_a_killed_run_left_breaks_no_seal(reporter):
    home = reporter.parent
    (home / "state").mkdir()
    (home / "file").write_text("x")
    before = seal.fingerprint(str(home))
    for name in (progress.NAME, progress.NAME + progress.NEW):
        (home / "state" / name).write_text("{}")
    assert seal.fingerprint(str(home)) == before
    (home / "state" / "other").write_text("{}")
    assert seal.fingerprint(str(home)) != before


# --- the action plugin ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lock", "word"),
    [
        ("~/chatglm/state/lock", "~/chatglm/state/progress.json"),
        ("/home/a b/state/lock", "/'home/a b/state/progress.json'"),
        ("/x;reboot/lock", "/'x;reboot/progress.json'"),
        ("/lock", "/progress.json"),
        ("", ""),
        (None, ""),
        ("relative/lock", ""),
        ("~other/lock", ""),
        ("$HOME/lock", ""),
    ],
)
def test_where_the_file_is(lock, word):
    assert action.progress_file(lock) == word


URIS = """'http://deb/pool/libcublaslt11_11%7e11.8_amd64.deb' libcublaslt11_11~11.8_amd64.deb 206493700 MD5Sum:c68b9c
'http://deb/pool/libcudart11.0_11.8_amd64.deb' libcudart11.0_11.8_amd64.deb 167360 SHA256:ec93f7
"""
"""What apt-get --print-uris said on Debian bookworm, shortened."""


def test_how_much_of_apt_s_files_is_there():
    files = apt.wanted(URIS)
    assert files == {"libcublaslt11_11~11.8_amd64.deb": 206493700, "libcudart11.0_11.8_amd64.deb": 167360}
    assert apt.wanted("E: Unable to locate package x") == {}
    there = "1000 partial/libcublaslt11_11~11.8_amd64.deb\r\n167360 libcudart11.0_11.8_amd64.deb\n9 other_1_all.deb\n"
    assert apt.arrived(there, files) == 168360
    assert apt.arrived("", files) == 0


def test_apt_is_watched_from_its_download_to_its_end(monkeypatch):
    asked = []

    waiting = ["unattended-upgr (812)\n"]

    def ask(connection, command):
        if "/proc/locks" in command:
            return waiting.pop() if waiting else ""
        asked.append((connection, command))
        if "print-uris" in command:
            return URIS if len(asked) > 1 else ""
        come = 100_000_000 * (len(asked) - 2)
        return f"{come} partial/libcublaslt11_11~11.8_amd64.deb\n167360 libcudart11.0_11.8_amd64.deb"

    watch = apt.AptWatch(["lib;x"], None, None, {})
    monkeypatch.setattr(watch, "connect", lambda become=False: "root" if become else "user")
    monkeypatch.setattr(watch, "ask", ask)
    assert watch.look() == {"stage": "apt_wait", "name": "unattended-upgr (812)"}
    states = [watch.look() for _ in range(6)]
    assert [state["stage"] for state in states] == ["apt", "fetch", "fetch", "apt", "apt", "apt"]
    assert [state["done"] for state in states[1:3]] == [100_167_360, 200_167_360]
    assert [connection for connection, _ in asked] == ["user", "user", "root", "root", "root"]  # never root for nothing
    assert "'lib;x'" in asked[0][1]


# --- the screen -------------------------------------------------------------------------------------------------------


@pytest.fixture
def screen():
    """A screen that writes into a pipe, and a terminal that reads it."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    made, seen = callback.Screen(writing, "utf-8"), terminal.Terminal(40, 8)

    class Out:
        def write(self, text):
            return os.write(writing, text.encode())

    def look():
        with contextlib.suppress(BlockingIOError):
            seen.feed(os.read(reading, 65536).decode().replace("\n", "\r\n"))
        return seen.lines()

    yield made, callback.Stream(Out(), made), look
    os.close(reading)
    os.close(writing)


def test_lines_give_way(screen):
    made, out, look = screen
    out.write("TASK one\n")
    made.draw(["alpha 10%", "beta 20%"])
    assert look() == ["TASK one", "alpha 10%", "beta 20%"]
    out.write("ok: [beta]\nok: [x]\n")
    assert look() == ["TASK one", "ok: [beta]", "ok: [x]"]
    made.draw(["alpha 15% longer than before"])
    made.draw(["alpha 20%"])
    assert look() == ["TASK one", "ok: [beta]", "ok: [x]", "alpha 20%"]
    made.draw([])
    assert look() == ["TASK one", "ok: [beta]", "ok: [x]"]


def test_nothing_is_drawn_below_a_question(screen):
    made, out, look = screen
    out.write("Really? ")
    made.draw(["alpha 10%"])
    assert look() == ["Really?"]
    out.write("\n")
    made.draw(["alpha 10%"])
    assert look() == ["Really?", "alpha 10%"]


def test_the_end_is_the_end(screen):
    made, _, look = screen
    made.draw(["alpha 10%"])
    made.end()
    made.draw(["alpha 11%"])
    assert look() == []


def test_lines_at_the_bottom_of_the_screen(screen):
    made, out, look = screen
    out.write("".join(f"line {number}\n" for number in range(20)))
    for percent in range(5):
        made.draw([f"alpha {percent}%", f"beta {percent}%"])
    out.write("ok\n")
    made.draw(["alpha 5%"])
    assert look() == ["line 15", "line 16", "line 17", "line 18", "line 19", "ok", "alpha 5%"][-7:]


def test_threads_do_not_tear_the_screen(screen):
    made, out, look = screen
    stop = threading.Event()

    def draw():
        while not stop.is_set():
            made.draw(["alpha", "beta"])
            time.sleep(0.002)  # whoever reads has to keep up

    thread = threading.Thread(target=draw)
    thread.start()
    for number in range(300):
        out.write(f"line {number}\n")
        assert set(look()) <= {"alpha", "beta", *(f"line {before}" for before in range(number + 1))}
    stop.set()
    thread.join()


# --- real runs --------------------------------------------------------------------------------------------------------

MODULE = """
import json, os, time
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import progress

def main():
    module = AnsibleModule({name: {"type": kind} for name, kind in
        {"lock": "path", "seconds": "float", "fault": "str"}.items()}, supports_check_mode=True)
    asked, begin = os.environ.get(progress.VARIABLE, ""), time.monotonic()
    path = os.path.join(os.path.dirname(module.params["lock"]), progress.NAME)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fault = "" if module.check_mode else module.params["fault"]
    progress.begin(module.params["lock"])
    texts = {
        "garbage": b"\\xff\\x1b[2J no JSON", "huge": b"[" * 10_000_000, "list": b"[1, 2]",
        "other": b'{"run": "another", "stage": "fetch", "name": "other"}',
        "types": json.dumps({"run": asked, "stage": [1], "name": {"a": "\\x1b[2J"}, "done": "x", "total": -5}).encode(),
    }
    if fault == "fifo":
        os.mkfifo(path)
    elif fault == "folder":
        os.mkdir(path)
    elif fault in texts:
        with open(path, "wb") as stream:
            stream.write(texts[fault])
    while (spent := time.monotonic() - begin) < module.params["seconds"] and not module.check_mode:
        if fault not in (*texts, "fifo", "folder"):
            progress.tell("fetch", "模型.bin", int(2e6 * spent), 20_000_000)
        time.sleep(0.05)
    module.exit_json(changed=True, asked=bool(asked))

if __name__ == "__main__":
    main()
"""
PLUGIN = """
from ansible.plugins.loader import action_loader
class ActionModule(action_loader.get("normal", class_only=True)):
    def own(self):
        return True
"""
CONNECTION = '''
DOCUMENTATION = """
name: {name}
short_description: one that fails when it is asked for progress
description: [for tests]
extends_documentation_fragment: [connection_pipelining]
"""
import time
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local

class Connection(Local):
    transport = "{name}"

    def exec_command(self, cmd, in_data=None, sudoable=True):
        if "progress.json" in str(cmd):
            {what}
        return super().exec_command(cmd, in_data, sudoable)
'''
JSON = '''
DOCUMENTATION = """
name: json
type: stdout
short_description: JSON
description: [for tests, as the one of the collection ansible.posix]
"""
import json
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "stdout", "json"

    def v2_playbook_on_stats(self, stats):
        self._display.display(json.dumps({host: stats.summarize(host) for host in stats.processed}))
'''


@pytest.fixture
def lab(tmp_path):
    """A folder with a module that tells its progress, and the environment to run it in."""
    files = {
        "library/sleeper.py": MODULE,
        "action/sleeper.py": PLUGIN,
        "connection/dead.py": CONNECTION.format(name="dead", what="raise AnsibleConnectionFailure('gone')"),
        "connection/slow.py": CONNECTION.format(name="slow", what="time.sleep(60)"),
        "callback/json.py": JSON,
        "ansible.cfg": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "tmp").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "CHATGLM"))}
    return {
        **environment,
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(tmp_path / "tmp"),
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "ANSIBLE_LIBRARY": str(tmp_path / "library"),
        "ANSIBLE_MODULE_UTILS": str(ROOT / "module_utils"),
        "ANSIBLE_ACTION_PLUGINS": f"{ROOT / 'action_plugins'}:{tmp_path / 'action'}",
        "ANSIBLE_CONNECTION_PLUGINS": str(tmp_path / "connection"),
        "ANSIBLE_CALLBACK_PLUGINS": f"{ROOT / 'callback_plugins'}:{tmp_path / 'callback'}",
        "ANSIBLE_CALLBACKS_ENABLED": "progress",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_FORKS": "20",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }


def playbook(tmp_path, hosts, *tasks):
    """Write a playbook and its inventory; return the command that runs it."""
    play = [{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    listed = {name: {"ansible_connection": "local", **values} for name, values in hosts.items()}
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": listed}}))
    return [sys.executable, "-m", "ansible", "playbook", str(tmp_path / "play.yml"), "-i", str(tmp_path / "hosts.yml")]


def task(**more):
    options = {"seconds": "{{ seconds }}", "fault": "{{ fault | default('') }}"}
    options["lock"] = "{{ playbook_dir }}/home/{{ inventory_hostname }}/lock"
    return {"name": "Sleep", "sleeper": options, "register": "slept", **more}


LINE = re.compile(
    r"(alpha|beta) +fetching 模型\.bin +\[[=> ]{20}\] +\d+\.\d of 20\.0 MB +\d+%(  [\d.]+ [kM]B/s  \d+ s left)?"
)
OTHER = re.compile(r"PLAY.*|TASK.*|changed: \[\w+\]|\w+ +: ok=.*|\*+|[ \w=]+")


def test_two_hosts_on_a_terminal(lab, tmp_path):
    command = playbook(tmp_path, {"alpha": {"seconds": 4}, "beta": {"seconds": 7}}, task())
    status, last, screens = terminal.run(command, lab)
    assert status == 0, last.lines()
    bars = [[line for line in screen if LINE.fullmatch(line)] for screen in screens]
    assert any(len(lines) == 2 for lines in bars), screens
    assert any("changed: [alpha]" in screen and lines for screen, lines in zip(screens, bars, strict=True)), screens
    assert max(len(lines) for lines in bars) == 2  # in place: no line is ever there twice
    for screen in [*screens, last.lines()]:
        assert [line for line in screen if not LINE.fullmatch(line) and not OTHER.fullmatch(line)] == []
    assert not any(LINE.fullmatch(line) for line in last.lines())
    assert last.x == 0
    rates = [float(rate) for lines in bars for line in lines for rate in re.findall(r"([\d.]+) MB/s", line)]
    assert rates
    assert all(1.7 <= rate <= 2.3 for rate in rates), rates
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_interrupted_run_leaves_the_terminal_as_it_was(lab, tmp_path):
    command = playbook(tmp_path, {"alpha": {"seconds": 30}}, task())
    status, last, _ = terminal.run(command, lab, interrupt=lambda lines: any(map(LINE.fullmatch, lines)), limit=60)
    assert status == 99
    assert not any(LINE.fullmatch(line) for line in last.lines())
    assert "User interrupted execution" in last.lines()[-1]
    assert last.x == 0
    assert list((tmp_path / "tmp").iterdir()) == []


FAULTS = ["garbage", "huge", "list", "other", "types", "fifo", "folder"]


def test_lines_in_a_log_whatever_breaks(lab, tmp_path):
    hosts = {"good": {}, **{fault: {"fault": fault} for fault in FAULTS}}
    hosts |= {name: {"ansible_connection": name} for name in ("dead", "slow")}
    checked = task(check_mode=True, failed_when="slept.asked")
    command = playbook(tmp_path, {name: {"seconds": 4, **values} for name, values in hosts.items()}, task(), checked)
    left = tmp_path / "home" / "good" / progress.NAME  # by a run that was killed
    left.parent.mkdir(parents=True)
    left.write_text('{"run": "killed", "stage": "fetch", "name": "of a dead run"}')
    begin = time.monotonic()
    done = subprocess.run(
        command, env={**lab, "CHATGLM_PROGRESS_INTERVAL": "1"}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - begin < 50  # the slow one was not waited for
    for name in hosts:
        assert done.stdout.count(f"changed: [{name}]") == 2
    told = [line for line in done.stdout.splitlines() if re.match(r"\w+  \w", line)]
    assert {line.split()[0] for line in told} == {"good", "types"}
    assert sum(line.startswith("good  fetching 模型.bin  [") for line in told) in range(1, 5)
    assert "\x1b" not in done.stdout
    assert "dead run" not in done.stdout
    assert list(left.parent.iterdir()) == []
    assert done.stderr == ""


NO_FOLDER = """
import tempfile
made = tempfile.mkdtemp
def mkdtemp(suffix=None, prefix=None, dir=None):
    if prefix == "chatglm-":
        raise OSError(28, "No space left on device")
    return made(suffix, prefix, dir)
tempfile.mkdtemp = mkdtemp
"""


@pytest.mark.parametrize("fault", ["JSON", "no socket"])
def test_silence(fault, lab, tmp_path):
    command = playbook(tmp_path, {"alpha": {"seconds": 3}}, task())
    env = {**lab, "CHATGLM_PROGRESS_INTERVAL": "0.5"}
    if fault == "JSON":
        env["ANSIBLE_STDOUT_CALLBACK"] = "json"
    else:
        (tmp_path / "sitecustomize.py").write_text(NO_FOLDER)
        env["PYTHONPATH"] = str(tmp_path)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fetching" not in done.stdout
    if fault == "JSON":
        assert json.loads(done.stdout)["alpha"]["changed"] == 1
