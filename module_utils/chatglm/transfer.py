"""One engine for every download: to a partial file, resumed, digested while written, renamed when right.

Only the digest decides whether bytes are accepted; sizes, ranges and status codes decide earlier, and say why.
The bytes of one target collect in ``<name>.part``; ``<name>.part.json`` beside it says which digest they are meant
to have and which source (with its entity tag) they came from. Both outlive a killed process, so that the next run
goes on where it stopped, from whatever source.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import errno
import http.client
import json
import os
import queue
import re
import socket
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .content import HEAD, TransferError, Wanted, gigabytes, what_came
from .files import read_json

BUFFER = 1 << 18
"""Bytes of one buffer: large enough that Python's own cost vanishes, small enough to stay in a core's cache between
the socket, the file and the digest (256 KiB was the fastest of 64 KiB to 4 MiB)."""
BUFFERS = 8
"""Buffers between the socket and the digest: 2 MiB in all, whatever the file's size."""
FLUSH_SECONDS = 1.0
"""On a slow line a buffer is written after this time though not full: a kill then costs little."""
PROGRESS = 1 << 20
"""Bytes beyond the furthest point so far that count as progress and renew the attempts."""
REDIRECTS = 10
PART = ".part"
COPY = ".copy.part"
NEW = ".new"
"""A copy from a folder does not touch what was downloaded so far: the folder may hold something else."""
USER_AGENT = "chatglm-ansible"

Progress = Callable[[int, "int | None"], None]


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
    """What a transfer did: body bytes that crossed the wire, offset of the first resume, size of the file."""

    received: int = 0
    resumed_at: int = 0
    size: int = 0


def shown(url: str) -> str:
    """Return ``url`` without user, password, query and fragment: signed links and passwords stay out of messages."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


# --- the partial file -------------------------------------------------------------------------------------------------


class _Digesting:
    """Hashes buffers in a thread of its own (hashlib lets the interpreter go on) and hands them back."""

    def __init__(self, hasher: Any) -> None:
        self.hasher = hasher
        self.free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self.full: queue.SimpleQueue[tuple[bytearray, int] | None] = queue.SimpleQueue()
        for _ in range(BUFFERS):
            self.free.put(bytearray(BUFFER))
        self.thread = threading.Thread(target=self._run, name="digest", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while (item := self.full.get()) is not None:
            buffer, used = item
            with memoryview(buffer) as view, view[:used] as content:
                self.hasher.update(content)
            self.free.put(buffer)

    def drain(self) -> None:
        """Wait until every buffer handed over has been hashed; the thread ends."""
        self.full.put(None)
        self.thread.join()


class Part:
    """The partial file of one target, and the digest of what it holds so far.

    Args:
        target: the file's final place; its folder must exist.
        wanted: what it has to become. A part that was begun for another digest is dropped.
        suffix: what is added to the target's name.

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
        self._flushed = 0

    def open(self, *, keep: bool = True) -> None:
        """Open the part; what an earlier run left for the same digest is hashed and kept.

        Raises:
            OSError: the folder cannot be written.

        """
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
        length = os.fstat(self._handle).st_size
        if self.wanted.size is not None and length > self.wanted.size:
            self.restart()
            return
        self._hasher = self.wanted.digest.start(self.wanted.size or 0)
        buffer = bytearray(BUFFER)
        os.lseek(self._handle, 0, os.SEEK_SET)
        with open(self._handle, "rb", buffering=0, closefd=False) as stream:
            while count := stream.readinto(buffer):
                self._hasher.update(memoryview(buffer)[:count])
                self.length += count

    def restart(self) -> None:
        """Drop every byte: they are not the wanted ones, or nobody can say."""
        os.ftruncate(self._handle, 0)
        os.lseek(self._handle, 0, os.SEEK_SET)
        self._hasher = self.wanted.digest.start(self.wanted.size or 0)
        self.length = 0
        self._flushed = 0
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
            OSError: the disk is full, or whatever ``read`` raises.

        """
        digesting = _Digesting(self._hasher)
        try:
            ended = False
            while not ended:
                buffer = digesting.free.get()
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
                    digesting.full.put((buffer, used))
        finally:
            digesting.drain()

    def _write(self, buffer: bytearray, used: int) -> None:
        with memoryview(buffer) as view:
            done = 0
            while done < used:
                with view[done:used] as rest:
                    done += os.write(self._handle, rest)
        self.length += used

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
        os.close(self._handle)
        self._handle = -1
        if not self.length:
            self.drop()

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
    tell: Progress | None = None
    at: int = 0
    total: int | None = None
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
        if self.tell is not None:
            self.tell(self.at, self.total)
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
    """One file from one address: the attempts share the part and the count."""

    url: str
    part: Part
    options: Options
    source: str
    authorization: str = ""
    tell: Progress | None = None
    moved: Moved = field(default_factory=Moved)
    ranges: bool = True

    def attempt(self) -> None:
        """Ask once, from where the part ends; return when the source has given all it has."""
        part, wanted = self.part, self.part.wanted
        headers: dict[str, str] = {}
        if part.length and self.ranges:
            headers["Range"] = f"bytes={part.length}-"
            # Another source's tag would mean nothing here; the digest guards against a mixture.
            if part.etag and part.source == self.source:
                headers["If-Range"] = part.etag
        answer = _request(self.url, headers, self.authorization, self.options)
        try:
            total = self._accept(answer)
            # Where the length is not announced, one byte more than wanted is taken: it shows what is too long.
            left = total if total is not None else None if wanted.size is None else wanted.size + 1
            left = None if left is None else left - part.length
            if full := room_for(part.target.parent, left or 0):
                raise full
            tag = answer.response.getheader("ETag") or ""
            part.label(self.source, tag if tag.startswith('"') else "")
            if part.length and not self.moved.resumed_at:
                self.moved.resumed_at = part.length
            body = _Body(answer, left, self.options, self.moved, self.tell, part.length, total or wanted.size)
            body.exact = total is not None
            part.fill(body.read)
            if wanted.size is not None and part.length < wanted.size:
                text = f"the connection ended after {part.length} bytes, {wanted.size - part.length} missing"
                raise TransferError("cut", text, again=True)
        finally:
            answer.close()

    def _accept(self, answer: _Answer) -> int | None:
        """Judge the answer's head; return the whole file's size if it says so. The part is cut to match."""
        part, wanted, response = self.part, self.part.wanted, answer.response
        if response.status not in (200, 206):
            reason = _status(answer, self.options)
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
            if got is None or not right or (got[2] is not None and got[1] != got[2] - 1):
                self.ranges = False
                answer_says = response.getheader("Content-Range")
                text = f"asked for bytes from {part.length}, the answer gives {answer_says!r}"
                raise TransferError("range", text, again=True, wait=0.0)
            total = got[2] if got[2] is not None else got[1] + 1
        if total is not None and wanted.size is not None and total != wanted.size:
            view = memoryview(bytearray(HEAD))
            head = b""
            if response.status == 200:
                body = _Body(answer, min(HEAD, total), self.options, self.moved)
                while len(head) < min(HEAD, total) and (count := body.read(view)):
                    head += bytes(view[:count])
            raise what_came(head, total, wanted)
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
    progress: Progress | None = None,
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
        progress: called with (bytes of the file so far, bytes in all or None) after every read.

    Raises:
        TransferError: this source cannot give the file; what is good of it stays in the part.
        OSError: the target's folder cannot be written.

    """
    part = Part(target, wanted)
    part.open()
    job = _Download(url, part, options, source or shown(url), authorization, progress)
    failed, furthest, fresh = 0, part.length, not part.length
    try:
        while True:
            try:
                if not (part.length and part.right()):
                    fresh = fresh or not part.length
                    if wanted.size is not None and part.length == wanted.size:
                        part.restart()  # whole and wrong: nothing to resume
                        fresh = True
                    job.attempt()
                try:
                    part.finish(check)
                except TransferError as error:
                    if fresh or error.kind not in ("digest", "long", "html", "pointer", "short"):
                        raise
                    fresh, job.ranges = True, False  # the resumed bytes may be the culprit: once more, from zero
                    continue
                job.moved.size = target.stat().st_size
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


def _disk(error: OSError, target: Path) -> OSError | TransferError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return room_for(target.parent, 1) or TransferError(
            "disk", f"no space left at {target.parent} ({error.strerror})"
        )
    return error


def copy(
    source: Path,
    target: Path,
    wanted: Wanted,
    *,
    check: Callable[[Path], None] | None = None,
    progress: Progress | None = None,
) -> Moved:
    """Copy the file at ``source`` to ``target`` and verify it while it is copied.

    Args:
        source: a file on this host.
        target: final place; its folder must exist.
        wanted: digest, and size if known.
        check: as :meth:`Part.finish`.
        progress: as in :func:`fetch`.

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
    with stream:
        size = os.fstat(stream.fileno()).st_size
        if wanted.size not in (None, size):
            raise what_came(stream.read(HEAD) or b"", size, wanted)
        if full := room_for(target.parent, size):
            raise full
        part = Part(target, wanted, COPY)
        try:
            part.open(keep=False)
            part.label(str(source), "")

            def read(view: memoryview) -> int:
                try:
                    count = int(stream.readinto(view) or 0)
                except OSError as error:
                    raise TransferError("read", f"{source} cannot be read: {error.strerror}") from error
                moved.received += count
                if progress is not None:
                    progress(moved.received, size)
                return count

            part.fill(read)
            part.finish(check)
        except OSError as error:
            raise _disk(error, target) from error
        except TransferError as error:
            error.received = moved.received
            raise
        finally:
            part.close()
    moved.size = size
    return moved
