"""One run at a time changes an installation; the others wait, and can say for whom."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .failure import Failure
from .files import unusable, user_name

OPTIONS: dict[str, dict[str, Any]] = {
    "lock": {"type": "path", "default": ""},
    "lock_timeout": {"type": "int", "default": 600},
}
"""What every module that changes an installation adds to its argument_spec."""

_LONGEST = 4096  # bytes that are read of a holder's note
_PAUSE = 0.2  # seconds between two tries
_WITHOUT = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


def _note(handle: int) -> str:
    """Return who holds the lock, in words, as its holder wrote it; the note may be anything."""
    try:
        note = json.loads(os.pread(handle, _LONGEST, 0))
        told = {name: str(note[name])[:200] for name in ("pid", "user", "since", "doing")}
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that gives no name"
    return "process {pid} of {user}, since {since}, {doing}".format(**told)


def _open(path: str) -> int:
    """Open the lock file, made when it is missing.

    Raises:
        Failure: it cannot be opened, or is no file.

    """
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, exist_ok=True)
        # Neither a link to somewhere else nor a pipe that blocks; a child that is started keeps no lock.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
        owner = os.stat(folder)
        if os.geteuid() == 0 and os.fstat(handle).st_uid == 0 != owner.st_uid:
            os.fchown(handle, owner.st_uid, owner.st_gid)  # made by root for a user, who is to take it later
    except OSError as error:
        raise unusable(error, path) from error
    return handle


def _take(path: str, timeout: float, tell: Callable[[str], object]) -> int | None:
    """Return the locked file, or None where the file system has no locks.

    Raises:
        Failure: as :func:`hold`.

    """
    begin = time.monotonic()
    tries, holder = 0, ""
    while True:
        handle = _open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _note(handle)
            os.close(handle)
            if error.errno in _WITHOUT:
                return None
            if error.errno != errno.EWOULDBLOCK:
                raise
        else:
            # It may have been removed between the two calls, and then locks nobody out.
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    if holder and time.monotonic() - begin > 1:
                        tell(f"waited {time.monotonic() - begin:.0f} s for {holder}")
                    return handle
            os.close(handle)
        tries += 1
        # Once more in any case: one who only looks (holder) has it for a moment.
        if time.monotonic() - begin >= timeout and tries > 1:
            waited = f", after a wait of {timeout:.0f} s" if timeout > 0 else ""
            raise Failure(
                f"another run at work on this installation{waited}: {holder} ({path})",
                "one run at a time",
                "wait for it to end, then run again (chatglm_lock_timeout: how many seconds a run waits by itself)",
            )
        time.sleep(_PAUSE)


@contextlib.contextmanager
def hold(params: Mapping[str, Any], doing: str, tell: Callable[[str], object]) -> Iterator[None]:
    """Keep other runs from changing the installation, and others than the user from writing what is made in it.

    The kernel drops the lock with the process, however that ends, so a lock file that is left says nothing. What was
    observed before is out of date: a rival may have been at work until now.

    Args:
        params: a module's parameters with :data:`OPTIONS`; without a ``lock`` none is taken.
        doing: what is about to be done, for those who wait.
        tell: called with a line for the user, when there was a wait or where no lock can be had.

    Raises:
        Failure: another run holds it for longer than ``lock_timeout`` seconds, or it cannot be opened.
        OSError: the file system fails.

    """
    os.umask(os.umask(0o077) | 0o022)  # some WSL sessions have none
    path = params.get("lock")
    if not path:
        yield
        return
    handle = _take(path, params["lock_timeout"], tell)
    if handle is None:
        tell(f"the file system of {path} has no locks: see to it that no second run is at work there")
        yield
        return
    try:
        note = {
            "pid": os.getpid(),
            "user": user_name(os.geteuid()),
            "since": datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
            "doing": doing,
        }
        with contextlib.suppress(OSError):  # on a full disk the lock holds as well
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(note).encode(), 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
        os.close(handle)


def holder(path: str | os.PathLike[str]) -> str:
    """Return who holds the lock, in words, or an empty text; changes nothing."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return _note(handle) if error.errno == errno.EWOULDBLOCK else ""
    else:
        return ""
    finally:
        os.close(handle)
