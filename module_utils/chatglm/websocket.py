"""A websocket's client (RFC 6455), as much of it as a page on this host needs: no encryption, no extensions."""

from __future__ import annotations

import base64
import os
import queue
import socket
import struct
import threading
from typing import IO

CLOSE, PING, PONG = 8, 9, 10
BINARY = 2


def exactly(stream: IO[bytes], size: int) -> bytes:
    """Read ``size`` bytes.

    Raises:
        ConnectionError: the stream ended before.

    """
    data = stream.read(size)
    if len(data) < size:
        raise ConnectionError("the server closed it")
    return data


def read_frame(stream: IO[bytes]) -> tuple[bool, int, bytes]:
    """Read one frame of a server: whether it ends its message, its kind, and what it holds.

    Raises:
        ConnectionError: the stream ended.

    """
    first, size = exactly(stream, 2)
    if size > 125:
        size = int.from_bytes(exactly(stream, 2 if size == 126 else 8), "big")
    return bool(first & 0x80), first & 0x0F, exactly(stream, size)


def frame(kind: int, data: bytes, mask: bytes = b"") -> bytes:
    """Return ``data`` as one frame; a client's has a mask of four bytes, a server's none."""
    masked, size = 0x80 if mask else 0, len(data)
    if size < 126:
        head = struct.pack(">BB", 0x80 | kind, masked | size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", 0x80 | kind, masked | 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | kind, masked | 127, size)
    return head + mask + (bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)) if mask else data)


class Refused(Exception):
    """The server has answered the handshake otherwise; ``status`` is what."""

    def __init__(self, status: int) -> None:
        """Keep it."""
        super().__init__(status)
        self.status = status


class WebSocket:
    """A connection. A thread reads it, so that the server's pings are answered while nobody waits for a message.

    Args:
        host: address of the server.
        port: its port.
        path: what is asked for.
        timeout: seconds for the handshake, and for each thing that is sent.

    Raises:
        Refused: the server will not.
        OSError: it cannot be reached.

    """

    def __init__(self, host: str, port: int, path: str, timeout: float) -> None:
        """Connect. No origin is named: this is no web page."""
        self._messages: queue.Queue[bytes | Exception] = queue.Queue()
        self._sending = threading.Lock()
        self._socket = socket.create_connection((host, port), timeout)
        self._stream = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {f'[{host}]' if ':' in host else host}:{port}", "Upgrade: websocket"]
        lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        status = self._stream.readline(200).split()
        while self._stream.readline().strip():
            pass
        if status[1:2] != [b"101"]:
            self.close()
            raise Refused(int(status[1]) if status[1:] and status[1].isdigit() else 0)
        self._socket.settimeout(None)
        threading.Thread(target=self._read, name="websocket", daemon=True).start()

    def _read(self) -> None:
        data = b""
        try:
            while True:
                last, kind, part = read_frame(self._stream)
                if kind == PING:
                    self.send(part, PONG)
                elif kind == CLOSE:
                    raise ConnectionError(f"the server closed it: {part[2:].decode('utf-8', 'replace') or 'no reason'}")
                elif kind != PONG:
                    data += part
                    if last:
                        self._messages.put(data)
                        data = b""
        except (OSError, ValueError) as error:
            self._messages.put(error)

    def send(self, data: bytes, kind: int = BINARY) -> None:
        """Send one message.

        Raises:
            OSError: the connection is broken.

        """
        with self._sending:
            self._socket.sendall(frame(kind, data, os.urandom(4)))

    def receive(self, seconds: float) -> bytes:
        """Wait for the next message and return it.

        Raises:
            TimeoutError: none came within ``seconds``.
            ConnectionError: the connection is broken.

        """
        try:
            message = self._messages.get(timeout=max(0.0, seconds))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(message, Exception):
            self._messages.put(message)
            raise ConnectionError(str(message)) from message
        return message

    def close(self) -> None:
        """End the connection; the thread ends with it."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            self._socket.close()
