"""What a long module is at, for those who wait: one small file beside the lock, written twice a second at most.

The action plugin (action_plugins/normal.py) asks for it by an environment variable and reads it through a second
connection. Nothing depends on it: whatever fails here is passed over, and the work goes on.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator

VARIABLE = "CHATGLM_PROGRESS"
"""Set by who wants to know: a word that the file repeats, so that what another run left is not taken for news."""
NAME = "progress.json"
NEW = ".new"
SECONDS = 0.5


class Reporter:
    """Writes the state into ``path``, renamed into place, so that a reader never sees half of it."""

    def __init__(self, path: str, run: str) -> None:
        """Keep both; nothing is written before something is told."""
        self.path, self.run = path, run
        self.stage = ("", "")
        self.due = 0.0

    def tell(self, stage: str, name: str, state: dict[str, int]) -> None:
        """Write the state if it is time; a new stage is told at once."""
        now = time.monotonic()
        if now < self.due and (stage, name) == self.stage:
            return
        self.stage, self.due = (stage, name), now + SECONDS
        text = json.dumps({**state, "run": self.run, "stage": stage, "name": name[-200:], "at": now})
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self.path + NEW, flags, 0o600)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)
        os.replace(self.path + NEW, self.path)

    def end(self) -> None:
        """Remove the file."""
        for path in (self.path, self.path + NEW):
            with contextlib.suppress(OSError):
                os.unlink(path)


_reporter: Reporter | None = None


def begin(lock: str) -> None:
    """Get ready to tell, beside the file ``lock``, if somebody wants to know."""
    global _reporter  # noqa: PLW0603 - one module, one process, one state
    run = os.environ.pop(VARIABLE, "")
    if run and lock:
        _reporter = Reporter(os.path.join(os.path.dirname(lock), NAME), run)
        atexit.register(_reporter.end)


def tell(stage: str, name: str = "", done: int = 0, total: int = 0, **more: int) -> None:
    """Tell what is being done.

    Args:
        stage: ``progress.STAGE`` of the catalogue says it in words.
        name: of the file or package.
        done: how much of it is done.
        total: of how much; 0 if nobody knows.
        more: items (1: what is counted is no bytes); written, memory (bytes, where they are all that is known).

    """
    if _reporter is not None:
        with contextlib.suppress(Exception):  # a full disk, a folder that is not there yet
            _reporter.tell(stage, name, {"done": done, "total": total, **more})


def of_process(pid: int, file: str, name: str) -> int:
    """Return a number that the kernel keeps of a process, 0 where it does not: ``wchar`` in io, ``VmRSS`` in status."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/{file}", encoding="ascii") as stream:
        for line in stream:
            if line.startswith(name + ":"):
                words = line.split()
                return int(words[1]) * (1024 if words[2:] == ["kB"] else 1)
    return 0


@contextlib.contextmanager
def watched(look: Callable[[], None]) -> Iterator[None]:
    """Call ``look``, which tells, now and then while the block waits for a program that does not."""
    if _reporter is None:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(SECONDS):
            with contextlib.suppress(Exception):
                look()

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(SECONDS)
