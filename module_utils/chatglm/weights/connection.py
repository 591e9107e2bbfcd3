"""Asking for a file over HTTP: addresses, proxies, TLS, redirects, and a body that has to flow.

Whatever goes wrong becomes a :class:`TransferError`, which says whether another attempt makes sense.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import http.client
import json
import os
import re
import socket
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.network_environment import stopped
from .content import Moved, TransferError

REDIRECTS = 10
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


def shown(url: str) -> str:
    """Return ``url`` without user, password, query and fragment: signed links and passwords stay out of messages."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass
class Answer:
    """An open response: the connection it hangs on, and the address that gave it."""

    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse
    url: str

    def close(self) -> None:
        """End both."""
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


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of ``url``.

    Raises:
        TransferError: it is no http or https address.

    """
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
    scheme, host, port = origin(url)
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


def request(url: str, headers: Mapping[str, str], authorization: str, options: Options) -> Answer:
    """GET ``url`` through redirects; ``authorization`` goes to the first address's own host only.

    Raises:
        TransferError: nobody answers, or the redirects lead nowhere.

    """
    home = origin(url)
    proxies = urllib.request.getproxies()
    seen = {url}
    for _ in range(REDIRECTS + 1):
        sent = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
        sent.update(headers)
        if authorization and origin(url) == home:
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
                raise cause(error, url, options) from error
            raise
        answer = Answer(connection, response, url)
        if response.status not in (301, 302, 303, 307, 308):
            return answer
        location = response.getheader("Location") or ""
        answer.close()
        if not location:
            raise TransferError("redirect", f"{shown(url)} redirects (HTTP {response.status}) to nowhere")
        onward = urllib.parse.urldefrag(urllib.parse.urljoin(url, location))[0]
        origin(onward)
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


def cause(error: BaseException, url: str, options: Options) -> TransferError:
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


def refusal(answer: Answer, options: Options) -> TransferError:
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
class Body:
    """Reads a response's body into views, and watches that it flows.

    A plain body is read past http.client's own bookkeeping, straight from the buffered socket into our buffer
    (``readinto1``: one system call a time, so that a trickle cannot hold the reader beyond its window).
    """

    answer: Answer
    left: int | None
    options: Options
    moved: Moved = field(default_factory=Moved)
    at: int = 0
    exact: bool = True
    window: float = field(default_factory=time.monotonic)
    count: int = 0

    def read(self, view: memoryview) -> int:
        """Put what comes next into ``view``; return how many bytes, 0 at the end.

        Raises:
            TransferError: the connection broke, or too little comes.

        """
        room = len(view) if self.left is None else min(len(view), self.left)
        if not room:
            return 0
        try:
            count = self._some(view, room)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = cause(error, self.answer.url, self.options)
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
            answer = request(url, {"Accept": "application/json"}, "", options)
            try:
                if answer.response.status != 200:
                    raise refusal(answer, options)
                data = bytearray()
                view = memoryview(bytearray(1 << 16))
                body = Body(answer, answer.response.length, options)
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
