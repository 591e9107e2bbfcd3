"""The chat as a service, on the host: its state, its start without systemd, and the parent process of the page.

Both kinds of service run the page under ``chatglm serve`` (here: :func:`serve`), which turns a death by lack of memory
into an exit status of its own. Where systemd is not booted, ``chatglm supervise`` (:func:`supervise`) does what the
unit says: it starts the page again after a crash, and stops after a death by lack of memory or after too many starts.

Runs on the host's own Python, which may be as old as 3.8.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import selectors
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ..core.files import read_json, write_json
from ..core.processes import die_with_parent, isolated
from ..core.seal import SERVICE
from . import unit

FOLDER = SERVICE
"""Where a running service writes, below chatglm_home."""
LOG_BYTES = 4 << 20
TAIL_BYTES = 16384
GPU_WAIT = 120.0  # seconds; a cold WSL takes several to bring its devices
WSL_LIBCUDA = "/usr/lib/wsl/lib/libcuda.so.1"
_NO_MEMORY = re.compile(
    rb"CUDA out of memory|OutOfMemoryError|CUDA error: out of memory|cudaErrorMemoryAllocation"
    rb"|CUBLAS_STATUS_ALLOC_FAILED|can't allocate memory|^MemoryError",
    re.MULTILINE,
)


def booted() -> bool:
    """Tell whether systemd runs this host."""
    return os.path.isdir("/run/systemd/system")


def place(home: str, name: str) -> str:
    """Return the path of a file of the running service: chatglm.log, process.json, serving.json."""
    return os.path.join(home, FOLDER, name)


def command_of(home: str) -> str:
    """Return the command chatglm as it is pasted: its short name may be another installation's, or not on PATH yet."""
    return shlex.quote(os.path.join(home, "bin", "chatglm"))


def settings_path(home: str) -> str:
    """Return the path of what role service has written down for the command."""
    return os.path.join(home, "state", "service.json")


def started(pid: int, proc: str = "/proc") -> str:
    """Return when a process was started, in the kernel's ticks; empty when there is none (a zombie is none)."""
    try:
        with open(f"{proc}/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def age(pid: int) -> float:
    """Return how many seconds ago a process was started; infinite when there is none."""
    ticks = started(pid)
    with open("/proc/uptime", encoding="ascii") as stream:
        now = float(stream.read().split()[0])
    return now - int(ticks) / os.sysconf("SC_CLK_TCK") if ticks else float("inf")


def supervisor(home: str) -> int:
    """Return the process id of the supervisor that runs now, 0 for none; a number that was given anew is none."""
    note = read_json(place(home, "process.json"))
    if not isinstance(note, dict) or not isinstance(note.get("pid"), int):
        return 0
    return int(note["pid"]) if note.get("start") and started(note["pid"]) == note["start"] else 0


def stamp(home: str) -> str:
    """Return a digest of what a running page was made from: any change means that it serves something old."""
    # Not state/service.json: what of it the page is made from is in the launcher and the unit too.
    names = ["bin/chatglm", "bin/chatglm-run", "state/page_password", "state/weights.sha256", "state/weights.json"]
    names += ["state/proof.json", "venv/.chatglm-env.json"]
    digest = hashlib.sha256()
    for path in [os.path.join(home, name) for name in names] + sorted(
        str(path)
        for pattern in ("source/*.py", "lib/chatglm/**/*.py", "state/*_patch.json")
        for path in Path(home).glob(pattern)
    ):
        with contextlib.suppress(OSError):
            found = os.stat(path)
            digest.update(f"{path} {found.st_ino} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def observe(home: str, path: str = unit.PATH) -> dict[str, Any]:
    """Return the state of the service of ``home``.

    ``kind`` is systemd, background or none; ``unit`` is the unit file's text, ``foreign`` whether it belongs to another
    installation; ``active`` whether it runs or is about to, ``pid`` of its first process, ``current`` whether that
    serves, or is about to serve, what is installed now; ``enabled`` is False for a unit that does not start with the
    distribution; ``show`` what systemctl says.
    """
    found: dict[str, Any] = {"kind": "none", "unit": "", "foreign": False, "active": False, "pid": 0, "show": {}}
    with contextlib.suppress(OSError):
        found["unit"] = Path(path).read_text(encoding="utf-8", errors="replace")
    found["foreign"] = bool(found["unit"]) and unit.home_of(found["unit"]) != home
    if found["unit"] and not found["foreign"] and booted():
        found["kind"] = "systemd"
        found["show"] = show = unit.parse_show(systemctl("show", "--property", ",".join(unit.SHOWN), unit.NAME)[1])
        found["active"] = show.get("ActiveState") in ("active", "activating", "reloading")
        found["pid"] = int(show.get("MainPID") or 0)
    found["enabled"] = found["kind"] != "systemd" or found["show"].get("UnitFileState") == "enabled"
    pid = 0 if found["active"] else supervisor(home)
    if pid:
        found.update(kind="background", active=True, pid=pid)
    note = read_json(place(home, "serving.json"))
    if not isinstance(note, dict) or note.get("pid") != found["pid"]:
        note = read_json(place(home, "process.json"))  # it has not begun to serve
    known = isinstance(note, dict) and note.get("pid") == found["pid"] != 0
    found["current"] = known and note["start"] == started(found["pid"]) and note.get("stamp") == stamp(home)
    # A unit that waits for the GPU has read nothing yet.
    found["current"] |= found["active"] and found["show"].get("SubState") == "start-pre"
    return found


def condition(home: str, state: dict[str, Any]) -> tuple[str, str]:
    """Return how the service does whose state :func:`observe` returned, in a word, and why it failed.

    The words: running, activating (it waits for the GPU, or between two starts), crashed (it is about to be started
    again), no_memory, failed (it crashed too often), gone (killed, or the distribution was stopped; without systemd),
    stopped (by the user, or never started).
    """
    show = state["show"]
    if state["active"] and show.get("SubState") == "auto-restart":
        return "crashed", f"{show.get('Result', '')}, status {show.get('ExecMainStatus')}"
    if state["active"]:
        serving = read_json(place(home, "serving.json"))
        serves = isinstance(serving, dict) and serving.get("pid") == state["pid"]
        waits = state["kind"] == "background" and not serves
        return "activating" if waits or show.get("ActiveState") == "activating" else "running", ""
    if state["kind"] == "systemd":
        if show.get("ActiveState") != "failed":
            return "stopped", ""
        ended, why = show.get("ExecMainStatus"), show.get("Result", "")
        no_memory = ended == str(unit.OUT_OF_MEMORY) or why == "oom-kill"
        return ("no_memory", "") if no_memory else ("failed", f"{why}, status {ended}")
    note = read_json(place(home, "process.json"))
    if not isinstance(note, dict):
        return "stopped", ""
    if "ended" not in note:
        return "gone", ""
    return ("no_memory", "") if note["ended"] == unit.OUT_OF_MEMORY else ("failed", f"status {note['ended']}")


def belongs(pid: int, state: dict[str, Any]) -> bool:
    """Tell whether process ``pid`` is part of the service whose state :func:`observe` returned."""
    if not state["pid"]:
        return False
    try:
        return pid == state["pid"] or os.getsid(pid) == os.getsid(state["pid"])
    except OSError:
        return False


def systemctl(*words: str) -> tuple[int, str]:
    """Run systemctl; return its exit status and all that it wrote."""
    try:
        done = subprocess.run(
            ["systemctl", *words],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=240,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, done.stdout


def no_memory(tail: bytes, status: int, kills: int = 0) -> bool:
    """Tell whether a page died because memory ran out.

    Args:
        tail: the end of its log; only the last traceback counts, since gradio survives an error in a handler.
        status: its exit status, negative for a signal.
        kills: how many processes the kernel has killed for want of memory while it ran.

    """
    if status in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return kills > 0
    last = b"\n".join(tail.splitlines()[-40:]).rpartition(b"Traceback (most recent call last)")[2]
    return status != 0 and bool(_NO_MEMORY.search(last))


def kernel_kills() -> int:
    """Return how many processes the kernel has killed for want of memory since it was booted."""
    with contextlib.suppress(OSError, ValueError), open("/proc/vmstat", encoding="ascii") as stream:
        return next((int(line.split()[1]) for line in stream if line.startswith("oom_kill ")), 0)
    return 0


class Stop:
    """Whether the service was told to end; SIGTERM and SIGINT reach the page too."""

    def __init__(self) -> None:
        """Take over the signals."""
        self.asked = False
        self.child: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on)

    def _on(self, *_arguments: object) -> None:
        self.asked = True
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the end is asked for."""
        deadline = time.monotonic() + seconds
        while not self.asked and time.monotonic() < deadline:
            time.sleep(min(0.2, seconds))


class Log:
    """Standard output, or a file that keeps within its size by one older part beside it."""

    def __init__(self, path: str = "") -> None:
        """Open the file, if there is one."""
        self.path = path
        self.stream: IO[bytes] = open(path, "ab", buffering=0) if path else sys.stdout.buffer  # noqa: SIM115

    def write(self, data: bytes) -> None:
        """Write; a full disk must not end the chat."""
        with contextlib.suppress(OSError):
            if self.path and self.stream.tell() > LOG_BYTES:
                os.replace(self.path, self.path + ".1")
                self.stream.close()
                self.stream = open(self.path, "ab", buffering=0)  # noqa: SIM115
            self.stream.write(data)
            self.stream.flush()

    def say(self, text: str) -> None:
        """Write a line of our own."""
        self.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} chatglm: {text}\n".encode())


def run_page(home: str, log: Log, stop: Stop) -> int:
    """Run the page to its end and return the exit status of the service: 0 when it was told to end."""
    kills = kernel_kills()
    note = {"pid": os.getpid(), "start": started(os.getpid()), "stamp": stamp(home)}
    write_json(place(home, "serving.json"), note)
    child = stop.child = subprocess.Popen(
        [os.path.join(home, "bin", "chatglm-run")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=die_with_parent(),  # noqa: PLW1509 - there is one thread
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert child.stdout is not None
    tail, quiet = b"", 0
    if stop.asked:
        child.terminate()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        deadline = 0.0
        while True:
            if selector.select(0.5):
                data = os.read(child.stdout.fileno(), 65536)
                if not data:
                    break
                log.write(data)
                tail = (tail + data)[-TAIL_BYTES:]
            elif child.poll() is not None:
                quiet += 1  # a grandchild may hold the pipe open
                if quiet > 2:
                    break
            if stop.asked:
                deadline = deadline or time.monotonic() + 10
                if time.monotonic() > deadline:
                    child.kill()
    status = child.wait()
    if stop.asked:
        return 0
    if no_memory(tail, status, kernel_kills() - kills):
        log.say(
            "memory ran out; it is not started again by itself. Close what uses the GPU, then: "
            + command_of(home)
            + " start"
        )
        return unit.OUT_OF_MEMORY
    return 128 - status if status < 0 else status or 1  # a page that ends by itself is a crash too


def serve(home: str) -> int:
    """Run the page once, its log on standard output: what the unit starts."""
    return run_page(home, Log(), Stop())


def may_start(starts: list[float], now: float) -> bool:
    """Tell whether one more start stays within the limit, given the times of those before."""
    return sum(now - at < unit.PERIOD for at in starts) < unit.STARTS


def supervise(home: str, wait: Callable[[Callable[[float], None]], str]) -> int:
    """Run the page, and again after a crash, its log in a file: what stands in for the unit without systemd.

    Args:
        home: the installation.
        wait: waits for the GPU, with the function that it shall sleep by, and returns why it is not there.

    """
    os.umask(0o077)
    os.makedirs(os.path.join(home, FOLDER), exist_ok=True)
    alone = open(place(home, "supervisor.lock"), "ab")  # noqa: SIM115 - held as long as this process lives
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError):  # not for want of locks on this file system
            return 1  # another one is at work: of two, one could not be stopped
    log, stop = Log(place(home, "chatglm.log")), Stop()
    note = {"pid": os.getpid(), "start": started(os.getpid()), "stamp": stamp(home)}
    write_json(place(home, "process.json"), note)
    starts: list[float] = []
    status = 0
    while not stop.asked:
        starts.append(time.monotonic())
        trouble = wait(stop.sleep)
        if trouble:
            log.say(trouble)
        status = 1 if trouble else run_page(home, log, stop)
        if stop.asked or status == unit.OUT_OF_MEMORY:
            break
        if not may_start(starts, time.monotonic()):
            log.say(f"{unit.STARTS} starts in {unit.PERIOD // 60} minutes; no more by itself")
            break
        pause = min(10.0 * 2 ** (len(starts) - 1), 300.0)
        log.say(f"it ended with status {status}; again in {pause:.0f} s")
        stop.sleep(pause)
    if status == unit.OUT_OF_MEMORY or not stop.asked:
        write_json(place(home, "process.json"), {"pid": 0, "start": "", "ended": status})
    else:
        with contextlib.suppress(OSError):
            os.unlink(place(home, "process.json"))
    return status


def start_background(home: str, python: str) -> None:
    """Start the supervisor in a session of its own, so that it outlives the terminal.

    Raises:
        OSError: it cannot be started.

    """
    os.makedirs(os.path.join(home, FOLDER), mode=0o700, exist_ok=True)
    with open(place(home, "chatglm.log"), "ab") as log:
        process = subprocess.Popen(
            isolated(python, os.path.join(home, "bin", "chatglm"), "supervise"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=home,
        )
    deadline = time.monotonic() + 10
    while not supervisor(home) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)


def stop_background(home: str, seconds: float = 15.0) -> bool:
    """End the supervisor and with it the page; tell whether both are gone. Nothing else is touched."""
    pid = supervisor(home)
    if not pid:
        return True
    deadline = time.monotonic() + seconds
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    while supervisor(home) == pid and time.monotonic() < deadline:
        time.sleep(0.05)
    if supervisor(home) == pid:
        with contextlib.suppress(ProcessLookupError):  # its session: the supervisor and what it started
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.2)
    return not supervisor(home)


def gpu_trouble(library: str, sleep: Callable[[float], None], seconds: float = GPU_WAIT) -> str:
    """Wait for a GPU that libcuda sees; return why there is none after ``seconds``.

    Args:
        library: libcuda_worker.py, which asks in a process of its own.
        sleep: waits.
        seconds: the longest wait.

    """
    deadline = time.monotonic() + seconds
    path = WSL_LIBCUDA if os.path.exists(WSL_LIBCUDA) else "libcuda.so.1"
    while True:
        told = "no answer"
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            done = subprocess.run(isolated(sys.executable, library, path), check=False, capture_output=True, timeout=30)
            answer = read_answer(done.stdout)
            if answer.get("gpus"):
                return ""
            told = answer.get("error") or told
        if time.monotonic() > deadline:
            return f"no GPU within {seconds:.0f} s ({path}: {told})"
        sleep(2.0)


def read_answer(output: bytes) -> dict[str, Any]:
    """Return the JSON object in the last line of a worker's output; empty when there is none."""
    try:
        answer = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}
