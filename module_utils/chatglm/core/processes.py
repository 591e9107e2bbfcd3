"""Child processes that are always cleaned up, the workers piped to them, and who owns a port."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import IO

from .failure import printable
from .host import listening_inodes

PR_SET_PDEATHSIG = 1  # linux/prctl.h
TAIL_BYTES = 6000


def die_with_parent() -> Callable[[], None]:
    """Return what a child has to run between fork and exec to die with this process, even when that is by SIGKILL."""
    parent = os.getpid()

    def tie() -> None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return tie


NO_BYTECODE = "/dev/null/none"
"""A folder that cannot be: Python that looks for bytecode there finds none, and runs the sources."""


def isolated(python: str, *words: str, bytecode: str = NO_BYTECODE, write: bool = False) -> list[str]:
    """Return the command that starts a Python whose packages others may have written to; every start goes through here.

    -I alone would run what stands in a ``__pycache__`` beside a verified source, unread.

    Args:
        python: the interpreter.
        words: what follows its options.
        bytecode: the one folder whose bytecode is used, where it is known to be that of the sources.
        write: also put there what is compiled, as a proof does.

    """
    return [python, "-I", *([] if write else ["-B"]), "-X", f"pycache_prefix={bytecode}", *words]


def source_of(module: ModuleType) -> str:
    """Return the source of a worker, to be piped to another Python; inside Ansible's zip there is no file to run.

    Raises:
        ImportError: the module was loaded without its source.

    """
    source: str | None = module.__loader__.get_source(module.__name__)  # type: ignore[union-attr]
    if source is None:
        raise ImportError(f"{module.__name__} has no source")
    return source


class Child:
    """A command in its own session, its standard error (and output, unless read) in a log file.

    Use it as a context manager: whatever happens inside, the whole process group is gone afterwards.

    Args:
        command: argument list, nothing of it goes through a shell.
        log: path of the log file; created or emptied.
        stdin: bytes for its standard input, or None for none.
        read: True to read its standard output by :meth:`lines`.
        write: True to write to its standard input by :meth:`write`. It has to end with that: it is not tied to this
            process otherwise, and can so be started beside other threads.

    Raises:
        OSError: the command cannot be started.

    """

    def __init__(
        self, command: list[str], log: Path, stdin: bytes | None = None, read: bool = False, write: bool = False
    ) -> None:
        """Start the command."""
        self.log = log
        with open(log, "wb") as stream, contextlib.ExitStack() as stack:
            source: IO[bytes] | int = subprocess.PIPE if write else subprocess.DEVNULL
            if stdin is not None:
                # A file, not a pipe: a child that reads nothing can then not block us.
                source = stack.enter_context(open(log.with_suffix(".in"), "w+b"))
                source.write(stdin)
                source.seek(0)
            self.process = subprocess.Popen(
                command,
                stdin=source,
                stdout=subprocess.PIPE if read else stream,
                stderr=stream,
                start_new_session=True,
                preexec_fn=None if write else die_with_parent(),  # noqa: PLW1509 - the modules have one thread
            )

    def __enter__(self) -> Child:
        """Return the child."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop the whole group."""
        self.stop()

    def lines(self, deadline: list[float]) -> Iterator[str]:
        """Yield the lines of its standard output until it ends.

        Args:
            deadline: one value of time.monotonic(); the caller may move it between two lines.

        Raises:
            TimeoutError: the deadline passed.

        """
        stream = self.process.stdout
        assert stream is not None
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while True:
                left = deadline[0] - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                if not selector.select(min(left, 1.0)):
                    # A grandchild may hold the pipe open after the child itself is gone.
                    if self.process.poll() is not None and not selector.select(0):
                        return
                    continue
                chunk = os.read(stream.fileno(), 65536)
                if not chunk:
                    return
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line.decode("utf-8", "replace")

    def write(self, line: str) -> None:
        """Write a line to its standard input; when it has ended, :meth:`lines` says so."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            os.write(self.process.stdin.fileno(), f"{line}\n".encode())

    def tail(self) -> str:
        """Return the end of the log file, at most 6000 bytes."""
        try:
            with open(self.log, "rb") as stream:
                stream.seek(max(0, os.path.getsize(self.log) - TAIL_BYTES))
                return printable(stream.read().decode("utf-8", "replace")).strip()
        except OSError as error:
            return f"(no log: {error})"

    def wait(self, seconds: float) -> int | None:
        """Return its exit status (negative: the signal), or None when it still runs after ``seconds``."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace: float = 5.0) -> None:
        """End the group: SIGTERM, after ``grace`` seconds SIGKILL; returns when none of it is left (or 2 s later)."""
        for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 2.0)):
            deadline = time.monotonic() + seconds
            if self._signal(number):
                while self._signal(0) and time.monotonic() < deadline:
                    time.sleep(0.02)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def _signal(self, number: int) -> bool:
        """Signal the group (0: only ask); return whether any of it is left."""
        self.process.poll()  # a dead leader that is not waited for would still count
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def port_free(host: str, port: int) -> bool:
    """Tell whether ``port`` can be bound at ``host`` now.

    Raises:
        OSError: the address is not one of this host.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def listener(port: int, proc: Path = Path("/proc")) -> tuple[int, list[str]] | None:
    """Return process id and command line (words) of who listens on TCP ``port``, or None where that is hidden."""
    wanted = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            inodes = listening_inodes((proc / "net" / table).read_text(), port)
            wanted |= {f"socket:[{inode}]" for inode in inodes}
    for folder in proc.glob("[0-9]*") if wanted else ():
        with contextlib.suppress(OSError):
            if any(os.readlink(descriptor) in wanted for descriptor in (folder / "fd").iterdir()):
                return int(folder.name), [
                    printable(word) for word in (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                ]
    return None


def port_owner(port: int, proc: Path = Path("/proc")) -> str:
    """Return ``pid N (COMMAND)`` of the process that listens on ``port``, or why it cannot be named."""
    found = listener(port, proc)
    if found is None:
        return "a process of another user, or outside this Linux (on WSL: a Windows program)"
    return f"pid {found[0]} ({' '.join(found[1]).strip()[:200]})"
