"""A web server on loopback that misbehaves on the wire; tests/standins/serve.py plays the hub and the share."""

from __future__ import annotations

import hashlib
import http.server
import re
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

import pytest

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 1018370\n"
PAGE = b"<!DOCTYPE html><html><title>Blocked</title>" + b"x" * 500 + b"</html>"


def certificate(folder, dates=None):
    """Write a self-signed certificate for 127.0.0.1; return its PEM file and a server's context.

    ``dates`` are the two years between which it is valid; from now on for two days by default.
    """
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    pem, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=stand-in", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key)]
    command += ["-addext", "basicConstraints=critical,CA:FALSE"]  # uv takes no authority for a server
    if dates is None:
        subprocess.run([*command, "-x509", "-out", str(pem), "-days", "2"], check=True, capture_output=True)
    else:
        settings, request = folder / "ca.cnf", folder / "request.pem"
        settings.write_text(
            f"[ca]\ndefault_ca=x\n[x]\ndatabase={folder}/index\nserial={folder}/serial\nnew_certs_dir={folder}\n"
            "default_md=sha256\npolicy=p\ncopy_extensions=copy\n[p]\ncommonName=supplied\n"
        )
        (folder / "index").touch()
        (folder / "serial").write_text("01\n")
        subprocess.run([*command, "-out", str(request)], check=True, capture_output=True)
        sign = ["openssl", "ca", "-batch", "-selfsign", "-config", str(settings), "-in", str(request)]
        sign += ["-keyfile", str(key), "-out", str(pem), "-notext"]
        begin, end = (f"{year}0101000000Z" for year in dates)
        subprocess.run([*sign, "-startdate", begin, "-enddate", end], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return pem, context


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Seen:
    path: str
    headers: dict
    method: str = "GET"
    sent: int = 0


@dataclass
class Server:
    """``faults`` holds, per path, what the next answers do wrong; when used up, the answers are right."""

    files: dict = field(default_factory=dict)
    faults: dict = field(default_factory=dict)
    seen: list = field(default_factory=list)
    port: int = 0

    def __post_init__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self)

            do_HEAD = do_GET  # noqa: N815 - the base class's name

            def log_message(self, *_arguments):
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.port = self.httpd.server_address[1]
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()

    def answer(self, handler):
        handler.close_connection = True
        path = urllib.parse.urlsplit(handler.path).path
        record = Seen(handler.path, dict(handler.headers), handler.command)
        self.seen.append(record)
        rules = self.faults.get(path) or []
        fault = rules.pop(0) if rules else ""
        kind, _, value = fault.partition(":")
        try:
            if kind == "status":
                code, _, after = value.partition(":")
                self.send(handler, int(code), b"no", {"Retry-After": after} if after else {})
            elif kind == "hang":
                time.sleep(float(value))
            elif kind == "redirect":
                self.send(handler, 302, b"", {"Location": value})
            else:
                self.body(handler, record, self.find(path), fault)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def find(self, path):
        return next((data for name, data in self.files.items() if path.endswith("/" + name)), None)

    def send(self, handler, status, data, headers=None):
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(data)), "Connection": "close", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data)

    def body(self, handler, record, data, fault):
        kind, _, value = fault.partition(":")
        if data is None:
            self.send(handler, 404, b"not found")
            return
        data = {"pointer": POINTER, "html": PAGE}.get(kind, data)
        data = data[: -int(value)] if kind == "shorter" else data + b"\0" * int(value) if kind == "longer" else data
        if kind == "flip":
            data = bytearray(data)
            data[int(value)] ^= 1
        tag = f'"{sha256(data)[:32]}"'
        begin, status, headers = 0, 200, {"ETag": tag, "Accept-Ranges": "bytes", "Connection": "close"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range") or "")
        end = len(data)
        if (
            wanted
            and kind not in ("norange", "restart", "html", "pointer")
            and handler.headers.get("If-Range") in (None, tag)
        ):
            begin, status = int(wanted[1]), 206
            if begin >= len(data):
                self.send(handler, 416, b"", {"Content-Range": f"bytes */{len(data)}"})
                return
            end = min(end, int(wanted[2]) + 1) if wanted[2] else end
            shift = int(value) if kind == "shiftrange" else 0
            headers["Content-Range"] = f"bytes {begin + shift}-{end - 1}/{len(data)}"
            if kind == "othertotal":
                headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data) + int(value)}"
        rest = memoryview(bytes(data))[begin:end]
        if kind not in ("nolength", "chunked"):
            headers["Content-Length"] = str(len(rest) + (int(value) if kind == "length" else 0))
        if kind == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        if kind == "gzip":
            headers["Content-Encoding"] = "gzip"
        handler.send_response(status)
        for name, text in headers.items():
            handler.send_header(name, text)
        handler.end_headers()
        if kind in ("cut", "reset", "restart", "drip"):
            limit, _, pause = value.partition(":")
            step = 1024 if kind == "drip" else 1 << 16
            rest = rest if kind == "drip" else rest[: int(limit)]
        else:
            pause, step = "", 1 << 18
        for start in range(0, len(rest), step):
            piece = rest[start : start + step]
            if kind == "chunked":
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), bytes(piece)))
            else:
                handler.wfile.write(piece)
            record.sent += len(piece)
            if kind == "drip":
                handler.wfile.flush()
                time.sleep(float(pause or value))
        if kind == "chunked":
            handler.wfile.write(b"0\r\n\r\n")
        if kind == "reset":
            handler.wfile.flush()
            time.sleep(0.5)  # a reset throws away what the client has not read yet
            # Closed with nothing to linger for: the client's next read sees a reset, not an end.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
