"""One engine for every download: to a partial file, resumed, digested while written, renamed when right.

Only the digest decides whether bytes are accepted; sizes, ranges and status codes decide earlier, and say why.
The bytes of one target collect in ``<name>.part``; ``<name>.part.json`` beside it says which digest they are meant
to have and which source (with its entity tag) they came from. Both outlive a killed process, so that the next run
goes on where it stopped, from whatever source.

To mend a damaged file is the same with a longer list of what is missing. The damaged file itself becomes the part, by
a rename, once a source has agreed to give ranges: no byte that is good is moved, no room for a second copy is needed,
and nothing stands in the target's place until the whole has been verified. Which blocks are good is read from the part
by their kept sums each time, so that a kill at any moment loses nothing and needs no journal.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import errno
import http.client
import io
import json
import os
import re
import socket
import ssl
import stat
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..core import progress
from ..core.files import read_json
from ..core.network_environment import stopped
from .blocks import BLOCK, GAP, Blocks, Digesting, Tally, crc, read_block
from .content import HEAD, TransferError, Wanted, gigabytes, what_came

BUFFER = 1 << 17
"""Bytes of one buffer: large enough that Python's own cost vanishes, small enough that they stay in the cores' cache
between the socket, the file and the digest (the fastest of 64 KiB to 512 KiB)."""
BUFFERS = 4
"""Buffers between the socket and the digest: 512 KiB in all, whatever the file's size; with more of them the cores wait
for each other's cache."""
WRITE_BACK = 16 << 20
"""Bytes after which the disk is told to begin with them."""
FLUSH_SECONDS = 1.0
"""On a slow line a buffer is written after this time though not full: a kill then costs little."""
PROGRESS = 1 << 20
"""Bytes beyond the furthest point so far that count as progress and renew the attempts."""
REDIRECTS = 10
PART = ".part"
COPY = ".copy.part"
NEW = ".new"
TARGET, LEFT = "target", "left"
"""What a file is mended from: the damaged target, or the part that an earlier run left."""
LOCAL = 4
"""Buffers of one block between the part and the digest while what is there already is read."""
USER_AGENT = "chatglm-ansible"


@dataclass(frozen=True)
class Options:
    """Limits of a transfer: times in seconds, rates in bytes per second."""

    timeout: float = 30.0
    """Silence after which a connection counts as dead; also the window over which the rate is judged."""
    floor: float = 2048.0
    """A mean rate below this over ``timeout`` counts as a stall."""
    attempts: int = 5
    """Attempts without progress before the source is given up."""
    backoff: float = 1.0
    """Pause after the first failed attempt; doubles, up to 30 s."""
    retry_after: float = 120.0
    """The longest Retry-After that is waited for."""
    ca_bundle: str = ""
    """A PEM file with further authorities; the system's store counts too."""
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Moved:
    """What a transfer did: bytes that were moved, offset of the first resume, size of the file, sums of its blocks."""

    received: int = 0
    resumed_at: int = 0
    size: int = 0
    blocks: Blocks | None = None


def shown(url: str) -> str:
    """Return ``url`` without user, password, query and fragment: signed links and passwords stay out of messages."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


# --- the partial file -------------------------------------------------------------------------------------------------


def movable(path: Path) -> bool:
    """Tell whether a damaged file may itself become the part: it is no link, has no other name, and can be written."""
    state = path.lstat()
    return stat.S_ISREG(state.st_mode) and state.st_nlink == 1 and os.access(path, os.R_OK | os.W_OK)


def _put(handle: int, buffer: bytearray, used: int, offset: int) -> None:
    """Write the first ``used`` bytes of ``buffer`` at ``offset``."""
    with memoryview(buffer) as view:
        done = 0
        while done < used:
            with view[done:used] as rest:
                done += os.pwrite(handle, rest, offset + done)


class Part:
    """The partial file of one target, and the digest of what is good of it so far.

    Args:
        target: the file's final place; its folder must exist.
        wanted: what it has to become. A part that was begun for another digest is dropped.
        suffix: what is added to the target's name.

    Attributes:
        length: bytes, from the start, that are there, good as far as one can tell, and digested.

    """

    def __init__(self, target: Path, wanted: Wanted, suffix: str = PART) -> None:
        """Name the two files; nothing is opened yet."""
        self.target = target
        self.wanted = wanted
        self.path = target.with_name(target.name + suffix)
        self.note = target.with_name(target.name + suffix + ".json")
        self.length = 0
        self.source = ""
        self.etag = ""
        self._handle = -1
        self._hasher: Any = None
        self._tally = Tally()
        self._gap_end = 0
        self._flushed = 0
        self._borrowed = False

    def open(self, *, keep: bool = True, damaged: bool = False) -> None:
        """Open the part; what an earlier run left for the same digest is hashed and kept.

        Args:
            keep: whether anything is kept.
            damaged: begin with the damaged target; it is only read until :meth:`own`. If it is gone, another source has
                made it the part already.

        Raises:
            OSError: the folder cannot be written, or the damaged target not be read.

        """
        damaged = damaged and self.target.exists()
        if damaged:
            self._borrowed = True
            self._handle = os.open(self.target, os.O_RDONLY | os.O_CLOEXEC)
        else:
            note = read_json(self.note)
            note = note if isinstance(note, dict) else {}
            usable = keep and note.get("digest") == str(self.wanted.digest) and self.path.is_file()
            # A link in the part's place would be written through: replaced, not followed.
            if self.path.is_symlink():
                self.path.unlink()
                usable = False
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            if not usable:
                self.restart()
                return
            self.source, self.etag = str(note.get("source", "")), str(note.get("etag", ""))
        self._begin()
        if self.wanted.blocks is not None:
            return  # read as far as needed by gap()
        size = self._size()
        if self.wanted.size is not None and size > self.wanted.size:
            if not damaged:
                self.restart()
                return
            size = self.wanted.size
        self._take(size)

    def _begin(self) -> None:
        self.length = self._gap_end = self._flushed = 0
        self._hasher = self.wanted.digest.start(self.wanted.size or 0)
        self._tally = Tally(self.wanted.blocks)

    def _size(self) -> int:
        return os.fstat(self._handle).st_size

    def _take(self, end: int) -> None:
        """Digest what is there up to ``end``; with kept sums only as long as the blocks are good."""
        kept = self.wanted.blocks
        with Digesting(self._hasher, BLOCK, LOCAL, self._tally if kept is None else None) as digesting:
            while self.length < end:
                buffer = digesting.empty()
                used = read_block(self._handle, buffer, self.length, min(BLOCK, end - self.length))
                if used <= 0:
                    break
                if kept is not None:
                    if crc(buffer, used) != kept.sums[self.length // BLOCK]:
                        break
                    self._tally.take(kept.sums[self.length // BLOCK])
                digesting.take(buffer, used)
                self.length += used
                progress.tell("check", self.target.name, self.length, self.wanted.size or end)

    def gap(self) -> tuple[int, int] | None:
        """Return the range (first, end) that is missing next, None if all is there; only with kept sums.

        Raises:
            OSError: the part cannot be read.

        """
        kept = self.wanted.blocks
        assert kept is not None
        if self.length >= self._gap_end:
            self._take(kept.size)
            if self.length >= kept.size:
                return None
            self._gap_end = self._bad_until(kept)
        return self.length, self._gap_end

    def _bad_until(self, kept: Blocks) -> int:
        """Return where the damage that begins at ``length`` ends: as :func:`blocks.ranges`, before any is mended."""
        buffer = bytearray(BLOCK)
        end = at = self.length // BLOCK + 1
        while at < len(kept.sums) and at - end <= GAP:
            first = at * BLOCK
            used = read_block(self._handle, buffer, first, min(BLOCK, kept.size - first))
            if not used:
                return kept.size  # the file ends before here
            at += 1
            if used < 0 or crc(buffer, used) != kept.sums[at - 1]:
                end = at
        return min(end * BLOCK, kept.size)

    def own(self) -> None:
        """Make the damaged target the part, if it is not yet: renamed, or copied if it is linked or not ours.

        Raises:
            TransferError: there is no room for the copy.
            OSError: the folder cannot be written.

        """
        if not self._borrowed:
            return
        if movable(self.target):
            os.replace(self.target, self.path)
            handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        else:
            size = self._size()
            if full := room_for(self.target.parent, size):
                raise full
            self.path.unlink(missing_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            buffer = bytearray(BLOCK)
            try:
                os.ftruncate(handle, size)
                for at in range(0, size, BLOCK):
                    # What cannot be read stays a hole, which is fetched like any damage.
                    _put(handle, buffer, max(0, read_block(self._handle, buffer, at, BLOCK)), at)
            except BaseException:
                os.close(handle)
                raise
        os.close(self._handle)
        self._handle = handle
        self._borrowed = False

    def restart(self) -> None:
        """Drop every byte: they are not the wanted ones, or nobody can say."""
        os.ftruncate(self._handle, 0)
        self._begin()
        self.source = self.etag = ""

    def label(self, source: str, etag: str) -> None:
        """Write down where the following bytes come from; before them, so that no byte is ever without a label."""
        if (self.source, self.etag) == (source, etag) and self.note.exists():
            return
        self.source, self.etag = source, etag
        # Renamed, so that a kill leaves the old label or the new one; of a fixed name, so that it leaves nothing else.
        fresh = self.note.with_name(self.note.name + NEW)
        text = json.dumps({"digest": str(self.wanted.digest), "source": source, "etag": etag})
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, self.note)

    def fill(self, read: Callable[[memoryview], int]) -> None:
        """Take all that ``read`` gives (bytes put into the view; 0 at the end); what came before an error is kept.

        Raises:
            TransferError: a block that came is not as its kept sum says.
            OSError: the disk is full, or whatever ``read`` raises.

        """
        with Digesting(self._hasher, BUFFER, BUFFERS, self._tally) as digesting:
            ended = False
            while not ended:
                self._refuse_wrong()
                buffer = digesting.empty()
                used = 0
                try:
                    due = time.monotonic() + FLUSH_SECONDS
                    with memoryview(buffer) as view:
                        while used < BUFFER:
                            with view[used:] as room:
                                count = read(room)
                            if not count:
                                ended = True
                                break
                            used += count
                            if time.monotonic() > due:
                                break
                finally:
                    self._write(buffer, used)
                    digesting.take(buffer, used)
        self._refuse_wrong()

    def _refuse_wrong(self) -> None:
        """Raise if a block that came is not as its kept sum says."""
        if self._tally.wrong >= 0:
            first = self._tally.wrong * BLOCK
            text = f"its bytes from {first} to {first + BLOCK} are not those that were verified here before"
            raise TransferError("digest", text)

    def _write(self, buffer: bytearray, used: int) -> None:
        _put(self._handle, buffer, used, self.length)
        self.length += used
        if self.length - self._flushed >= WRITE_BACK:
            # The disk begins now, not at the end, where all would wait for it: what this asks for is dropped from the
            # cache only if it is on the disk, which it is not yet.
            os.posix_fadvise(self._handle, self._flushed, self.length - self._flushed, os.POSIX_FADV_DONTNEED)
            self._flushed = self.length
        progress.tell("fetch", self.target.name, self.length, self.wanted.size or 0)

    def head(self) -> bytes:
        """Return the part's first bytes."""
        return os.pread(self._handle, HEAD, 0)

    def digest(self) -> str:
        """Return the hex digest of the bytes so far."""
        return str(self._hasher.copy().hexdigest())

    def right(self) -> bool:
        """Tell whether the part is the wanted file, whole."""
        return self.wanted.size in (None, self.length) and self.digest() == self.wanted.digest.hexadecimal

    def finish(self, check: Callable[[Path], None] | None = None) -> None:
        """Put the part in the target's place, on disk before it is visible.

        Args:
            check: looks at the verified content before it is put in place; raises to refuse it.

        Raises:
            TransferError: the part is not the wanted file; it is dropped.
            OSError: the disk failed.

        """
        if not self.right():
            reason = what_came(self.head(), self.length, self.wanted, self.digest())
            self.restart()
            raise reason
        if self._size() > self.length:
            os.ftruncate(self._handle, self.length)
        if check is not None:
            check(self.path)
        os.fsync(self._handle)
        os.replace(self.path, self.target)
        os.close(self._handle)
        self._handle = -1
        self.note.unlink(missing_ok=True)
        folder = os.open(self.target.parent, os.O_RDONLY | os.O_DIRECTORY)
        with contextlib.suppress(OSError):  # not every file system can (Windows drives under /mnt)
            os.fsync(folder)
        os.close(folder)

    def close(self) -> None:
        """Close the file; the bytes stay for the next attempt, an empty part goes."""
        if self._handle < 0:
            return
        empty = not self._borrowed and not self._size()
        os.close(self._handle)
        self._handle = -1
        if empty:
            self.drop()

    def blocks(self) -> Blocks | None:
        """Return the sums of the finished file's blocks."""
        return self._tally.blocks(self.length)

    def drop(self) -> None:
        """Remove the part and its label."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def room_for(folder: Path, needed: int) -> TransferError | None:
    """Return the reason why ``needed`` more bytes do not fit into ``folder``'s file system, or None if they do."""
    state = os.statvfs(folder)
    found = state.f_bavail * state.f_frsize
    if needed <= found:
        return None
    return TransferError("disk", f"{gigabytes(found)} free at {folder}, {gigabytes(needed)} needed")


# --- HTTP -------------------------------------------------------------------------------------------------------------


@dataclass
class _Answer:
    """An open response: the connection it hangs on, and the address that gave it."""

    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse
    url: str

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def tls_context(ca_bundle: str = "") -> ssl.SSLContext:
    """Return a verifying context: the system's authorities, and those of ``ca_bundle`` (a PEM file) if given.

    Raises:
        TransferError: the file cannot be read as PEM.

    """
    context = ssl.create_default_context()
    if ca_bundle:
        try:
            context.load_verify_locations(cafile=ca_bundle)
        except (OSError, ssl.SSLError) as error:
            raise TransferError("tls", f"the CA file {ca_bundle} cannot be used: {error}") from error
    return context


def loopback(host: str) -> bool:
    """Tell whether ``host`` (a name or an address) is this machine itself."""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d+){3}", host) is not None


def _origin(url: str) -> tuple[str, str, int]:
    parts = urllib.parse.urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise TransferError("redirect", f"{shown(url)} has no valid port") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TransferError("redirect", f"{shown(url)} is not an http or https address")
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)


def _connect(
    url: str, options: Options, proxies: Mapping[str, str]
) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
    """Return a connection for ``url``, the request target, and the headers that a proxy needs."""
    scheme, host, port = _origin(url)
    parts = urllib.parse.urlsplit(url)
    path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    target = path + ("?" + query if query else "")
    proxy = proxies.get(scheme, "")
    # A proxy never reaches this host's own loopback addresses, whatever no_proxy says.
    if not proxy or loopback(host) or urllib.request.proxy_bypass(host):
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=options.timeout), target, {}
        context = tls_context(options.ca_bundle)
        return http.client.HTTPSConnection(host, port, timeout=options.timeout, context=context), target, {}
    if problem := stopped("web", url, os.environ):
        raise TransferError("proxy", problem.said()[0])
    via = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if via.scheme != "http" or not via.hostname:
        raise TransferError("network", f"the proxy {shown(proxy)} is not an http:// proxy: the only kind supported")
    secret: dict[str, str] = {}
    if via.username is not None:
        pair = f"{urllib.parse.unquote(via.username)}:{urllib.parse.unquote(via.password or '')}"
        secret["Proxy-Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    via_port = via.port or 80
    if scheme == "https":
        context = tls_context(options.ca_bundle)
        tunnel = http.client.HTTPSConnection(via.hostname, via_port, timeout=options.timeout, context=context)
        tunnel.set_tunnel(host, port, headers=secret)
        return tunnel, target, {}
    netloc = parts.netloc.rpartition("@")[2]
    plain = http.client.HTTPConnection(via.hostname, via_port, timeout=options.timeout)
    return plain, f"http://{netloc}{target}", secret


def _request(url: str, headers: Mapping[str, str], authorization: str, options: Options) -> _Answer:
    """GET ``url`` through redirects; ``authorization`` goes to the first address's own host only."""
    home = _origin(url)
    proxies = urllib.request.getproxies()
    seen = {url}
    for _ in range(REDIRECTS + 1):
        sent = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
        sent.update(headers)
        if authorization and _origin(url) == home:
            sent["Authorization"] = authorization
        connection, target, secret = _connect(url, options, proxies)
        sent.update(secret)
        try:
            connection.request("GET", target, headers=sent)
            with _in_time(connection, 2 * options.timeout):
                response = connection.getresponse()
        except BaseException as error:
            connection.close()
            if isinstance(error, (OSError, http.client.HTTPException, ValueError)):
                raise _network(error, url, options) from error
            raise
        answer = _Answer(connection, response, url)
        if response.status not in (301, 302, 303, 307, 308):
            return answer
        location = response.getheader("Location") or ""
        answer.close()
        if not location:
            raise TransferError("redirect", f"{shown(url)} redirects (HTTP {response.status}) to nowhere")
        onward = urllib.parse.urldefrag(urllib.parse.urljoin(url, location))[0]
        _origin(onward)
        if onward in seen:
            raise TransferError("redirect", f"{shown(url)} redirects in a loop, back to {shown(onward)}")
        seen.add(onward)
        url = onward
    raise TransferError("redirect", f"more than {REDIRECTS} redirects, last to {shown(url)}")


@contextlib.contextmanager
def _in_time(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """End the connection when the block takes longer: a head that trickles in never runs into the socket's timeout."""
    late = threading.Event()

    def end() -> None:
        late.set()
        if connection.sock is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket's own, which takes the TLS object away from the thread that reads.
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if late.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()


def _network(error: BaseException, url: str, options: Options) -> TransferError:
    """Return what an exception of socket, ssl or http.client means to a reader."""
    host = urllib.parse.urlsplit(url).hostname
    if isinstance(error, TransferError):
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (9, 10):  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            text = (
                f"the certificate of {host} is outside its dates ({error.verify_message}); this host's clock says {now}"
            )
            return TransferError("tls", text)
        text = (
            f"the certificate of {host} is not trusted ({error.verify_message}): an intercepting proxy, or a wrong host"
        )
        return TransferError("tls", text)
    if isinstance(error, ssl.SSLError):
        return TransferError("tls", f"TLS with {host} failed: {error.reason or error}", again=True)
    if isinstance(error, (TimeoutError, socket.timeout)):
        return TransferError("timeout", f"no answer from {host} for {options.timeout:g} s", again=True)
    if isinstance(error, socket.gaierror):
        return TransferError("network", f"the name {host} cannot be resolved ({error.strerror})", again=True)
    if isinstance(error, http.client.RemoteDisconnected):
        return TransferError("network", f"{host} closed the connection without an answer", again=True)
    if isinstance(error, OSError):
        return TransferError("network", f"no connection to {host}: {error.strerror or error}", again=True)
    return TransferError("network", f"{host} gave no valid HTTP answer ({type(error).__name__})", again=True)


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or a date), or None.

    Args:
        value: the header, or None.
        now: seconds since the epoch, against which a date counts.

    """
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


_MEANING = {
    401: "it asks for a token, or refuses the one given",
    403: "access refused",
    404: "it has no such file",
    407: "the proxy asks for a password",
    410: "the file is gone",
    416: "it refuses the range",
    429: "too many requests",
}


def _status(answer: _Answer, options: Options) -> TransferError:
    """Return the reason for an answer that is neither 200 nor 206."""
    status = answer.response.status
    host = urllib.parse.urlsplit(answer.url).hostname
    said = re.sub(r"[^\x20-\x7e]", "?", answer.response.getheader("X-Error-Message") or "")[:200]
    text = f"HTTP {status} from {host}"
    if meaning := _MEANING.get(status, "the server failed" if status >= 500 else ""):
        text += f": {meaning}"
    if said:
        text += f" ({said})"
    wait = retry_after(answer.response.getheader("Retry-After"), time.time())
    again = status in (408, 425, 429) or status >= 500
    if wait is not None and wait > options.retry_after:
        return TransferError("http", f"{text}; it asks to wait {wait:.0f} s", status=status)
    return TransferError("http", text, again=again, wait=wait, status=status)


_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)$")


def content_range(value: str | None) -> tuple[int, int, int | None] | None:
    """Return (first, last, total) of a Content-Range header; total is None for ``*``; None if it is no such header."""
    match = _RANGE.match((value or "").strip())
    if not match:
        return None
    return int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3])


@dataclass
class _Body:
    """Reads a response's body into views, and watches that it flows.

    A plain body is read past http.client's own bookkeeping, straight from the buffered socket into our buffer
    (``readinto1``: one system call a time, so that a trickle cannot hold the reader beyond its window).
    """

    answer: _Answer
    left: int | None
    options: Options
    moved: Moved = field(default_factory=Moved)
    at: int = 0
    exact: bool = True
    window: float = field(default_factory=time.monotonic)
    count: int = 0

    def read(self, view: memoryview) -> int:
        room = len(view) if self.left is None else min(len(view), self.left)
        if not room:
            return 0
        try:
            count = self._some(view, room)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = _network(error, self.answer.url, self.options)
            if reason.kind == "timeout":
                text = f"nothing came for {self.options.timeout:g} s, after {self.at} bytes"
                reason = TransferError("stall", text, again=True)
            elif reason.kind == "network":
                reason = TransferError("cut", f"the connection broke after {self.at} bytes: {error}", again=True)
            raise reason from error
        if not count:
            if self.left and self.exact:
                raise TransferError(
                    "cut", f"the connection ended after {self.at} bytes, {self.left} missing", again=True
                )
            return 0
        if self.left is not None:
            self.left -= count
        self.moved.received += count
        self.at += count
        self.count += count
        now = time.monotonic()
        if now - self.window >= self.options.timeout:
            rate = self.count / (now - self.window)
            if rate < self.options.floor:
                raise TransferError("stall", f"stalled: {rate:.0f} bytes/s over {self.options.timeout:g} s", again=True)
            self.window, self.count = now, 0
        return count

    def _some(self, view: memoryview, room: int) -> int:
        if not getattr(self.answer.response, "chunked", False):
            with view[:room] as place:
                return int(self.answer.response.fp.readinto1(place))
        chunk = self.answer.response.read1(room)
        view[: len(chunk)] = chunk
        return len(chunk)


def get_json(url: str, options: Options, limit: int = 8 << 20) -> Any:
    """Return the JSON document at ``url``; one attempt more after a failure that may pass.

    Raises:
        TransferError: it cannot be had, is longer than ``limit`` bytes, or is not JSON.

    """
    for attempt in (1, 0):
        try:
            answer = _request(url, {"Accept": "application/json"}, "", options)
            try:
                if answer.response.status != 200:
                    raise _status(answer, options)
                data = bytearray()
                view = memoryview(bytearray(1 << 16))
                body = _Body(answer, answer.response.length, options)
                while count := body.read(view):
                    data += view[:count]
                    if len(data) > limit:
                        raise TransferError("long", f"the listing at {shown(url)} is longer than {limit} bytes")
            finally:
                answer.close()
            return json.loads(data)
        except TransferError as error:
            if not attempt or not error.again:
                raise
            options.sleep(min(error.wait or options.backoff, options.retry_after))
        except ValueError as error:
            raise TransferError("html", f"{shown(url)} gave no JSON") from error
    raise AssertionError  # the second attempt returns or raises


@dataclass
class _Download:
    """One file from one address: the attempts share the part and the count.

    ``mend`` asks for ranges only, and takes no answer that would begin the file anew.
    """

    url: str
    part: Part
    options: Options
    source: str
    authorization: str = ""
    mend: bool = False
    moved: Moved = field(default_factory=Moved)
    ranges: bool = True

    def attempt(self, end: int | None = None) -> None:
        """Ask once, from where the part ends; return when the source has given all it has.

        Args:
            end: where the range that is asked for ends; None for the file's end.

        """
        part, wanted = self.part, self.part.wanted
        headers: dict[str, str] = {}
        if end is not None:
            # No If-Range: the blocks' sums guard better than a tag, which changes from mirror to mirror.
            headers["Range"] = f"bytes={part.length}-{end - 1}"
        elif part.length and self.ranges:
            headers["Range"] = f"bytes={part.length}-"
            # Another source's tag would mean nothing here; the digest guards against a mixture.
            if part.etag and part.source == self.source:
                headers["If-Range"] = part.etag
        answer = _request(self.url, headers, self.authorization, self.options)
        try:
            total = self._accept(answer, end)
            # Where the length is not announced, one byte more than wanted is taken: it shows what is too long.
            left = total if total is not None else None if wanted.size is None else wanted.size + 1
            left = end if end is not None else left
            left = None if left is None else left - part.length
            if full := room_for(part.target.parent, left or 0):
                raise full
            tag = answer.response.getheader("ETag") or ""
            part.label(self.source, tag if tag.startswith('"') else "")
            part.own()
            if part.length and end is None and not self.moved.resumed_at:
                self.moved.resumed_at = part.length
            body = _Body(answer, left, self.options, self.moved, part.length)
            body.exact = total is not None or end is not None
            part.fill(body.read)
            if end is None and wanted.size is not None and part.length < wanted.size:
                text = f"the connection ended after {part.length} bytes, {wanted.size - part.length} missing"
                raise TransferError("cut", text, again=True)
        finally:
            answer.close()

    def _accept(self, answer: _Answer, end: int | None) -> int | None:
        """Judge the answer's head; return the whole file's size if it says so. The part is cut to match."""
        part, wanted, response = self.part, self.part.wanted, answer.response
        if response.status not in (200, 206):
            reason = _status(answer, self.options)
            if response.status == 416 and self.mend:
                raise TransferError("range", str(reason), status=416)
            if response.status == 416 and part.length:
                # Shorter at the source than what we hold, or no ranges after all: from the start, once.
                self.ranges = False
                reason.again, reason.wait = True, 0.0
            elif response.status == 403 and _origin(answer.url) != _origin(self.url):
                reason.again = True  # a signed link that ran out; the next attempt gets a new one
            raise reason
        if (response.getheader("Content-Encoding") or "identity").lower() != "identity":
            raise TransferError("http", "the source sends the file compressed, though asked not to")
        length = response.length if not getattr(response, "chunked", False) else None
        if response.status == 200:
            total = length
        else:
            got = content_range(response.getheader("Content-Range"))
            right = got is not None and got[0] == part.length and length in (None, got[1] - got[0] + 1)
            last = end if end is not None else got[2] if got is not None else None
            if got is None or not right or (last is not None and got[1] != last - 1):
                self.ranges = False
                answer_says = response.getheader("Content-Range")
                text = f"asked for bytes from {part.length}, the answer gives {answer_says!r}, length {length}"
                raise TransferError("range", text, again=not self.mend, wait=0.0)
            total = got[2] if got[2] is not None else None if end is not None else got[1] + 1
        if total is not None and wanted.size is not None and total != wanted.size:
            view = memoryview(bytearray(HEAD))
            head = b""
            if response.status == 200:
                body = _Body(answer, min(HEAD, total), self.options, self.moved)
                while len(head) < min(HEAD, total) and (count := body.read(view)):
                    head += bytes(view[:count])
            raise what_came(head, total, wanted)
        if response.status == 200 and self.mend:
            raise TransferError("range", "it gives the whole file where a part is asked for")
        if response.status == 200 and part.length:
            part.restart()  # the range was ignored or the file has changed: these bytes begin at 0
        return total


def fetch(
    url: str,
    target: Path,
    wanted: Wanted,
    options: Options,
    *,
    source: str = "",
    authorization: str = "",
    check: Callable[[Path], None] | None = None,
    mend: str = "",
) -> Moved:
    """Download ``url`` to ``target`` and verify it; a damaged target stays until the new file is whole.

    Args:
        url: http or https address.
        target: final place; its folder must exist.
        wanted: digest, and size if known.
        options: limits.
        source: name of the source, for the part's label; the address (without its query) by default.
        authorization: the Authorization header's value; sent to the address's own host only.
        check: as :meth:`Part.finish`.
        mend: fetch only what is missing, by ranges: of the damaged :data:`TARGET`, or of the :data:`LEFT` part. The
            damaged target becomes the part as soon as the source has agreed to the first range.

    Raises:
        TransferError: this source cannot give the file; what is good of it stays in the part. Of the kind ``range`` or
            ``digest`` with ``mend``: it may still give the whole.
        OSError: the target's folder cannot be written.

    """
    part = Part(target, wanted if mend else replace(wanted, blocks=None))
    job = _Download(url, part, options, source or shown(url), authorization, bool(mend))
    try:
        part.open(damaged=mend == TARGET)
        failed, furthest, fresh = 0, part.length, not part.length
        while True:
            try:
                if part.wanted.blocks is not None:
                    while (gap := part.gap()) is not None:
                        job.attempt(gap[1])
                    part.own()
                elif not (part.length and part.right()):
                    fresh = fresh or not part.length
                    if wanted.size is not None and part.length == wanted.size:
                        if mend:
                            raise what_came(part.head(), part.length, wanted, part.digest())
                        part.restart()  # whole and wrong: nothing to resume
                        fresh = True
                    job.attempt()
                try:
                    part.finish(check)
                except TransferError as error:
                    if mend or fresh or error.kind not in ("digest", "long", "html", "pointer", "short"):
                        raise
                    fresh, job.ranges = True, False  # the resumed bytes may be the culprit: once more, from zero
                    continue
                job.moved.size, job.moved.blocks = part.length, part.blocks()
                if part.wanted.blocks is not None:
                    job.moved.resumed_at = part.length - job.moved.received
                return job.moved
            except TransferError as error:
                failed = 1 if part.length >= furthest + PROGRESS else failed + 1
                furthest = max(furthest, part.length)
                if not error.again or failed >= options.attempts:
                    error.received = job.moved.received
                    raise
                pause = min(options.backoff * 2 ** (failed - 1), 30.0) if error.wait is None else error.wait
                options.sleep(pause)
    except OSError as error:
        raise _disk(error, target) from error
    finally:
        part.close()


def settle(target: Path, wanted: Wanted, *, check: Callable[[Path], None] | None = None, mend: str) -> Moved:
    """Put in place what is whole already: a file that only is too long, or the part of a run killed at its very end.

    Args:
        target: final place.
        wanted: digest, and size if known.
        check: as :meth:`Part.finish`.
        mend: as in :func:`fetch`.

    Raises:
        TransferError: it is not whole after all.
        OSError: the folder cannot be written.

    """
    part = Part(target, wanted)
    try:
        part.open(damaged=mend == TARGET)
        if (part.wanted.blocks is not None and part.gap() is not None) or not part.right():
            raise TransferError("digest", "what is there is not whole")
        part.label("what was there", "")
        part.own()
        part.finish(check)
        return Moved(0, part.length, part.length, part.blocks())
    except OSError as error:
        raise _disk(error, target) from error
    finally:
        part.close()


def _disk(error: OSError, target: Path) -> OSError | TransferError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return room_for(target.parent, 1) or TransferError(
            "disk", f"no space left at {target.parent} ({error.strerror})"
        )
    return error


def copy(
    source: Path, target: Path, wanted: Wanted, *, check: Callable[[Path], None] | None = None, mend: str = ""
) -> Moved:
    """Copy the file at ``source`` to ``target`` and verify it while it is copied.

    Args:
        source: a file on this host.
        target: final place; its folder must exist.
        wanted: digest, and size if known.
        check: as :meth:`Part.finish`.
        mend: as in :func:`fetch`; needs kept sums, otherwise the whole file is copied.

    Raises:
        TransferError: the source has no such file, cannot be read, or holds something else.
        OSError: the target's folder cannot be written.

    """
    try:
        stream = open(source, "rb", buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        text = f"there is no {source}" if missing else f"{source} cannot be read: {error.strerror}"
        raise TransferError("missing" if missing else "read", text) from error
    moved = Moved()
    mending = bool(mend) and wanted.blocks is not None
    with stream:
        size = os.fstat(stream.fileno()).st_size
        if wanted.size not in (None, size):
            raise what_came(stream.read(HEAD) or b"", size, wanted)
        if not mending and (full := room_for(target.parent, size)):
            raise full
        # What was downloaded so far is not touched by a whole copy: the folder may hold something else.
        part = Part(target, wanted if mending else replace(wanted, blocks=None), PART if mending else COPY)
        try:
            part.open(keep=mending, damaged=mending and mend == TARGET)
            part.label(str(source), "")
            for first, end in iter(part.gap, None) if mending else [(0, size)]:
                part.own()
                stream.seek(first)
                part.fill(_reader(stream, end, moved))
                if mending and part.length < end:
                    raise TransferError("read", f"{source} ended after {part.length} bytes")
            part.own()
            part.finish(check)
        except OSError as error:
            raise _disk(error, target) from error
        except TransferError as error:
            error.received = moved.received
            raise
        finally:
            part.close()
    moved.size, moved.resumed_at, moved.blocks = size, size - moved.received, part.blocks()
    return moved


def _reader(stream: io.FileIO, end: int, moved: Moved) -> Callable[[memoryview], int]:
    """Return a function that reads ``stream`` up to ``end``."""

    def read(view: memoryview) -> int:
        try:
            with view[: max(0, end - stream.tell())] as room:
                count = stream.readinto(room) or 0
        except OSError as error:
            raise TransferError("read", f"{stream.name!s} cannot be read: {error.strerror}") from error
        moved.received += count
        return count

    return read
