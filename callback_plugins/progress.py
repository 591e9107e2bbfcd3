"""Callback plugin: show what long tasks are at, live on a terminal, by a line now and then elsewhere."""

from __future__ import annotations

DOCUMENTATION = """
name: progress
type: notification
short_description: What a long task is at, how fast, and how long it will take
description:
  - Draws a line for each host that is at a long task, below Ansible's own output; or, where the output is no terminal,
    prints one every so often. Silent where the output is meant for programs (the C(json) callback).
  - Listens on a socket of its own for what the action plugin C(normal) sends. If it cannot, nothing is shown.
options:
  mode:
    description: V(live) needs a terminal; V(auto) is V(live) on one, else V(lines).
    type: str
    choices: [auto, live, lines, none]
    default: auto
    env: [{name: CHATGLM_PROGRESS_MODE}]
    ini: [{section: callback_progress, key: mode}]
  interval:
    description: Seconds between two lines of a host where the output is no terminal.
    type: float
    default: 15
    env: [{name: CHATGLM_PROGRESS_INTERVAL}]
    ini: [{section: callback_progress, key: interval}]
requirements: [enabled in ansible.cfg]
"""

import atexit
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import constants as C  # noqa: N812
from ansible.plugins.callback import CallbackBase

ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from ansible.module_utils.chatglm.language import messages

LISTENER = "CHATGLM_PROGRESS_SOCKET"  # action_plugins/normal.py
READABLE = {"calm", "default", "debug", "minimal", "oneline", "skippy", "timestamp", "unixy", "yaml"}
"""Standard output callbacks, by the last part of their name, that write lines for people."""
TICK = 0.5
WINDOW = 15.0
"""Seconds over which a rate is taken."""
SILENCE = 60.0
"""Seconds after which a host that says nothing more is no longer shown."""
BAR = 20
LONGEST = 8192
# Only ASCII is drawn around the texts: block and arrow characters are of ambiguous width, two columns in many Chinese
# terminals.


# --- words ------------------------------------------------------------------------------------------------------------


def width(text: str) -> int:
    """Return the columns of a terminal that ``text`` takes."""
    return int(messages.width(text))


def fit(text: str, columns: int) -> str:
    """Return ``text`` cut to at most so many columns."""
    return str(messages.fit(text, columns))


def plain(text: Any, longest: int = 60) -> str:
    """Return what a host told as text that cannot steer a terminal: its end, for names differ there."""
    told = "".join(char if char.isprintable() else "?" for char in str(text)[-1000:])
    return told if len(told) <= longest else ".." + told[-longest:]


def number(value: Any) -> int:
    """Return a count that a host told; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 60 else 0


def size(count: float, scale: float = 0) -> str:
    """Return bytes in the unit that fits ``scale`` (or the count itself), as 1.23 GB."""
    for limit, unit, digits in ((1e9, "GB", 2), (1e6, "MB", 1), (1e3, "kB", 0)):
        if max(count, scale) >= limit:
            return f"{count / limit:.{digits}f} {unit}"
    return f"{count:.0f} B"


def amount(done: int, total: int, unit: str, say: Callable[..., str]) -> str:
    """Return how much of how much, as 1.23 of 3.91 GB."""
    if unit == "items":
        first, second = str(done), str(total)
    else:
        first, second = size(done, total), size(total)
        if total:
            first = first.rpartition(" ")[0]  # the unit stands once
    return say("progress.of", done=first, total=second) if total else first


def duration(seconds: float, say: Callable[..., str]) -> str:
    """Return a time in words, coarser the longer it is."""
    whole = round(seconds)
    if whole < 60:
        return say("progress.seconds", s=whole)
    if whole < 3600:
        return say("progress.minutes", m=whole // 60, s=whole % 60)
    return say("progress.hours", h=whole // 3600, m=whole % 3600 // 60)


def names(hosts: Iterable[str]) -> list[str]:
    """Return the names of hosts, in order, all of one width."""
    shown = [fit(plain(host), 30) for host in sorted(hosts)]
    longest = max(map(width, shown), default=0)
    return [name + " " * (longest - width(name)) for name in shown]


def bar(done: int, total: int) -> str:
    """Return a bar of :data:`BAR` columns, in brackets."""
    full = min(BAR, BAR * done // total)
    return "[" + "=" * full + (">" if full < BAR else "") + " " * (BAR - full - 1) + "]"


class Meter:
    """Tells a rate from what a host said it had done at which time of its own clock."""

    def __init__(self) -> None:
        """Nothing has been seen."""
        self.seen: list[tuple[float, int]] = []
        self.changed = 0.0

    def add(self, now: float, at: float, done: int) -> None:
        """Take what was done by ``at``, heard of ``now``; what has become less was begun anew."""
        if self.seen and (done < self.seen[-1][1] or at < self.seen[-1][0]):
            self.seen = []
        if not self.seen or at > self.seen[-1][0]:
            self.seen.append((at, done))
            self.changed = now
        while len(self.seen) > 2 and self.seen[1][0] <= at - WINDOW:
            del self.seen[0]

    def rate(self, now: float) -> float | None:
        """Return how much a second has been done lately, None while it is too early to tell.

        What moves is heard of more often than every 2.5 s; from then on the silence counts as a standstill.
        """
        still = max(0.0, now - self.changed - 2.5)
        if still > WINDOW:
            return 0.0
        span = self.seen[-1][0] - self.seen[0][0] + still if self.seen else 0.0
        return (self.seen[-1][1] - self.seen[0][1]) / span if span >= 1 else None


class Shown:
    """What is shown of one host's task."""

    def __init__(self, now: float) -> None:
        """Take note of a host that has just been heard of."""
        self.heard = self.printed = self.since = now
        self.state: dict[str, Any] = {}
        self.meter = Meter()
        self.language = "en"

    def take(self, now: float, state: dict[str, Any], language: str) -> None:
        """Take a new state."""
        if [state.get(name) for name in ("stage", "name")] != [self.state.get(name) for name in ("stage", "name")]:
            self.meter, self.since = Meter(), now
        self.heard, self.state, self.language = now, state, language
        at = state.get("at")
        self.meter.add(now, at if isinstance(at, float) else now, number(state.get("written") or state.get("done")))

    def parts(self, now: float) -> list[str]:
        """Return what is being done, its bar, how much of how much, the rate, the time left; those that are known."""
        state = self.state

        def say(code: str, **values: object) -> str:
            return str(messages.say(self.language, code, **values))

        done, total, written, memory = (number(state.get(name)) for name in ("done", "total", "written", "memory"))
        unit = "items" if state.get("items") else "bytes"
        code = f"progress.{state.get('stage')}"
        what = say(code if code in messages.MESSAGES else "progress.working", name=plain(state.get("name", ""))).strip()
        rate = self.meter.rate(now)
        parts = [what, bar(done, total) if total else ""]
        if done or total:
            parts.append(amount(done, total, unit, say))
            parts.append(f"{100 * min(done, total) // total}%" if total else "")
        if written:
            parts.append(say("progress.written", size=size(written)))
        if memory:
            parts.append(say("progress.memory", size=size(memory)))
        # Packages and pages are of all sizes: a number of them has no rate, and foretells nothing.
        if rate is not None and (written or (done and unit == "bytes")):
            parts.append(f"{size(rate)}/s")
        if not total or unit == "items":
            parts.append(say("progress.since", time=duration(now - self.since, say)))
        elif rate and done < total:
            parts.append(say("progress.left", time=duration((total - done) / rate, say)))
        return parts

    def line(self, host: str, now: float, columns: int = 0) -> str:
        """Return all of it in one line; of at most so many columns, without the bar if that does not fit."""
        parts = [host, *self.parts(now)]
        whole = "  ".join(part for part in parts if part)
        if columns and width(whole) > columns:
            whole = fit("  ".join(part for part in parts if part and not part.startswith("[")), columns)
        return whole


# --- the terminal -----------------------------------------------------------------------------------------------------


class Screen:
    """Lines at the end of a terminal's output, which give way to whatever else is written.

    The cursor stands below them and stays visible, so that nothing has to be put right if the run is killed.
    """

    def __init__(self, handle: int, encoding: str) -> None:
        """Nothing is drawn."""
        self.handle, self.encoding = handle, encoding
        self.lock = threading.Lock()
        self.drawn = self.writers = 0
        self.at_start = True
        self.over = False

    def draw(self, lines: Sequence[str]) -> None:
        """Draw these lines in place of the last ones, unless somebody is writing."""
        with self.lock:
            if self.over or self.writers or not self.at_start or not (lines or self.drawn):
                return
            up = f"\x1b[{self.drawn}A" if self.drawn else ""
            self._write("\r" + up + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")
            self.drawn = len(lines)

    def give_way(self) -> None:
        """Erase the lines; nothing is drawn until :meth:`resume`."""
        with self.lock:
            self.writers += 1
            if self.drawn:
                self._write(f"\r\x1b[{self.drawn}A\x1b[J")
                self.drawn = 0

    def resume(self, text: str) -> None:
        """Go on after ``text`` was written; below a question that waits for an answer nothing is drawn."""
        with self.lock:
            self.writers -= 1
            if text:
                self.at_start = text.endswith("\n")

    def end(self) -> None:
        """Erase the lines for good."""
        self.give_way()
        self.over = True

    def size(self) -> tuple[int, int]:
        """Return columns and lines, asked anew each time: a window changes."""
        return tuple(os.get_terminal_size(self.handle))  # type: ignore[return-value]

    def _write(self, text: str) -> None:
        # Past Python's own buffers, whose locks another thread may hold while it waits for this one.
        left = text.encode(self.encoding, "replace")
        while left:
            left = left[os.write(self.handle, left) :]


class Stream:
    """Standard output or error, in front of which the screen gives way.

    Every output of Ansible goes this way, of callbacks and warnings alike; no method of Ansible is touched.
    """

    def __init__(self, stream: Any, screen: Screen) -> None:
        """Keep both."""
        self._stream, self._screen, self._process = stream, screen, os.getpid()

    def write(self, text: str) -> int:
        """Write as ever, past the lines of the screen."""
        if os.getpid() != self._process:
            return int(self._stream.write(text))
        self._screen.give_way()
        try:
            return int(self._stream.write(text))
        finally:
            self._screen.resume(text)

    def __getattr__(self, name: str) -> Any:
        """Return whatever else the stream has."""
        return getattr(self._stream, name)


# --- the callback -----------------------------------------------------------------------------------------------------


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Listens, and shows."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Nothing is open yet."""
        super().__init__(*arguments, **named)
        self.shown: dict[str, Shown] = {}
        self.screen: Screen | None = None
        self.over = False

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Begin to listen."""
        with contextlib.suppress(Exception):
            self.start()

    def start(self) -> None:
        """Open the socket, tell the workers to come of it, and start the thread.

        Raises:
            OSError: no folder, or a path that is too long for a socket.

        """
        mode = self.get_option("mode")
        terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        if mode == "none" or C.DEFAULT_STDOUT_CALLBACK.rpartition(".")[2] not in READABLE:
            return
        self.interval = self.get_option("interval")
        folder = tempfile.mkdtemp(prefix="chatglm-")  # 0700: nobody else gets a word in
        self.owner, self.folder = os.getpid(), folder
        atexit.register(self.stop)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"{folder}/progress")
        if terminal and mode != "lines":
            self.screen = Screen(sys.stdout.fileno(), sys.stdout.encoding)
            sys.stdout = Stream(sys.stdout, self.screen)
            if sys.stderr.isatty():
                sys.stderr = Stream(sys.stderr, self.screen)
        threading.Thread(target=self.listen, name="progress", daemon=True).start()
        os.environ[LISTENER] = f"{folder}/progress"

    def stop(self) -> None:
        """Leave nothing behind, on the screen or elsewhere."""
        if os.getpid() == self.owner:
            self.over = True
            if self.screen is not None:
                self.screen.end()
            self.socket.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Nothing is going on any more."""
        self.over = True
        if self.screen is not None:
            self.screen.draw([])

    def listen(self) -> None:
        """Take what the workers send, until the end; asleep while there is nothing to show."""
        while not self.over:
            with contextlib.suppress(Exception):
                self.socket.settimeout(TICK if self.shown else None)
                with contextlib.suppress(TimeoutError):
                    self.take(self.socket.recv(LONGEST), time.monotonic())
                self.show(time.monotonic())

    def take(self, message: bytes, now: float) -> None:
        """Take one message.

        Raises:
            ValueError: it is none of ours.

        """
        told = json.loads(message)
        host, state = told["inventory_hostname"], told["state"]
        if state is None:
            self.shown.pop(host, None)
        elif isinstance(state, dict):
            language = messages.spoken(told["chatglm_language"], os.environ)
            self.shown.setdefault(host, Shown(now)).take(now, state, language)

    def show(self, now: float) -> None:
        """Draw, or print the lines that are due."""
        for host in [host for host, shown in self.shown.items() if now - shown.heard > SILENCE]:
            del self.shown[host]
        hosts = sorted(self.shown.items())
        if self.over:
            return
        if self.screen is not None:
            columns, rows = self.screen.size()
            lines = [
                shown.line(name, now, columns - 1) for name, (_, shown) in zip(names(self.shown), hosts, strict=True)
            ]
            self.screen.draw(lines[: max(1, rows - 2)])
            return
        for host, shown in hosts:
            if now - shown.printed >= self.interval:
                shown.printed = now
                self._display.display(shown.line(plain(host), now))
                sys.stdout.flush()  # a pipe to a log has a buffer, which would keep the news
