"""Stand-ins for hub, ModelScope, git host, Tsinghua share and a host of Python archives, on loopback; see README.md.

Does not prove that the true servers behave like this: their answers were imitated from public documentation.
"""

import argparse
import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import source_repo
import tiny_model
from git_objects import commit, object_id, tree, write_bare

MODEL_REPO = "demo/chatglm2-tiny-int4"
SOURCE_PATH = "/git/chatglm2-tiny.git"
SHARE = "demo0share"  # the Seafile share's token; one folder per model, as upstream has it
PORT = 8765
HTML_PAGE = b"<!DOCTYPE html>\n<html><head><title>Login</title></head><body>Log in to this network.</body></html>\n"


# --- what is served --------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class File:
    """One file of a model repository, in memory or on disk."""

    name: str
    data: bytes | Path
    lfs: bool

    @functools.cached_property
    def size(self) -> int:
        return self.data.stat().st_size if isinstance(self.data, Path) else len(self.data)

    def _digest(self, algorithm: str, head: bytes = b"") -> str:
        digest = hashlib.new(algorithm, head)
        if isinstance(self.data, Path):
            with self.data.open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
        else:
            digest.update(self.data)
        return digest.hexdigest()

    @functools.cached_property
    def sha256(self) -> str:
        return self._digest("sha256")

    @property
    def pointer(self) -> bytes:
        """What git holds in place of an LFS file."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()

    @functools.cached_property
    def blob_id(self) -> str:
        return object_id("blob", self.pointer) if self.lfs else self._digest("sha1", b"blob %d\0" % self.size)

    @property
    def etag(self) -> str:
        return f'"{self.sha256 if self.lfs else self.blob_id}"'


class ModelRepo:
    """A model repository on the hub; its revision is the id of the git commit that would hold these files."""

    def __init__(self, files: Mapping[str, bytes | Path], lfs: frozenset[str] | set[str]) -> None:
        self.files = {name: File(name, data, name in lfs) for name, data in sorted(files.items())}
        root = object_id("tree", tree({file.name: file.blob_id for file in self.files.values()}))
        self.revision = object_id("commit", commit(root, "", "Add the model"))


@functools.cache
def tiny_repo() -> ModelRepo:
    """The demo's model repository."""
    return ModelRepo(tiny_model.files(), tiny_model.LFS_FILES)


def parents(name: str) -> list[str]:
    """The folders on the way to a file, from the uppermost."""
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


@dataclasses.dataclass
class Fault:
    """Something to go wrong; the first fault that fits a request is applied to it."""

    path: str  # regular expression, searched in path and query
    method: str = ""  # only this one
    after: int = 0  # so many requests go well first
    times: int | None = None  # then so many go wrong; None: all
    status: int = 0  # answer this, with an empty body
    headers: dict[str, str] = dataclasses.field(default_factory=dict)  # added, e.g. Retry-After
    body: str = ""  # "html": a login page, "pointer": the LFS pointer, else the text; for files
    cut: int | None = None  # the connection ends after so many bytes of a file
    length: int = 0  # added to the true Content-Length of a file
    ignore_range: bool = False  # a range is asked for, the whole file is sent
    loop: bool = False  # redirect to itself
    delay: float = 0  # seconds before the answer
    rate: int = 0  # bytes per second of a file
    seen: int = dataclasses.field(default=0, init=False)

    def fits(self, method: str, path: str) -> bool:
        if (self.method and self.method != method) or not re.search(self.path, path):
            return False
        self.seen += 1
        return self.seen > self.after and (self.times is None or self.seen <= self.after + self.times)


@dataclasses.dataclass
class Request:
    """What was asked and answered."""

    server: str  # "hub" or "cdn"
    method: str
    path: str  # with the query
    range: str
    authorization: str
    status: int = 0
    bytes: int = 0  # of the body, as far as it was sent


class Handler(BaseHTTPRequestHandler):
    """Routes for both ports."""

    protocol_version = "HTTP/1.1"
    server_version = "StandIn"
    sys_version = ""
    disable_nagle_algorithm = True
    server: "Server"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        standin = self.server.standin
        standin.last_request = time.monotonic()
        self.url = urllib.parse.urlsplit(self.path)
        self.query = urllib.parse.parse_qs(self.url.query)
        path = urllib.parse.unquote(self.url.path)
        if path.startswith("/_standin/"):
            return self.own(path)
        range_, authorization = self.headers.get("Range", ""), self.headers.get("Authorization", "")
        self.record = Request(self.server.name, self.command, self.path, range_, authorization)
        self.unread = True
        with standin.lock:
            standin.log.append(self.record)
            standin.running += 1
            self.fault = next((f for f in standin.faults if f.fits(self.command, self.path)), None)
        try:
            self.dispatch(path)
        finally:
            with standin.lock:
                standin.running -= 1

    do_HEAD = do_POST = do_GET  # noqa: N815

    def dispatch(self, path: str) -> None:
        standin = self.server.standin
        fault = self.fault
        if fault and fault.delay:
            time.sleep(fault.delay)
        if fault and fault.loop:
            return self.reply(302, headers={**fault.headers, "Location": self.path})
        if fault and fault.status:
            return self.reply(fault.status, headers=fault.headers)
        if self.server.name == "cdn":
            file = standin.by_digest.get(path.removeprefix("/cdn/"))
            return self.send_file(file, {"ETag": file.etag}) if file else self.reply(404)
        for prefix, route in (
            ("/api/models/", self.api),
            ("/api/v1/models/", self.modelscope),
            ("/api/v2.1/share-links/", self.share_list),
            ("/d/", self.share_file),
            ("/seafhttp/files/", self.share_bytes),
            ("/git/", self.git),
            ("/python/", self.python),
        ):
            if path.startswith(prefix):
                return route(path.removeprefix(prefix))
        if "/resolve/" in path:
            return self.resolve(path[1:])
        return self.reply(404)

    # -- answers --

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.record.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.body()
        self.start(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)
            self.record.bytes = len(body)

    def json(self, value: object) -> None:
        self.reply(200, json.dumps(value).encode(), {"Content-Type": "application/json; charset=utf-8"})

    def body(self) -> bytes:
        """The request's body; nothing when it has been read already."""
        if self.command != "POST" or not self.unread:
            return b""
        self.unread = False
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send_file(self, file: File, headers: dict[str, str]) -> None:
        """A file's bytes, or the range asked for, with the fault's changes."""
        fault = self.fault or Fault("")
        data, size = file.data, file.size
        if fault.body:
            data = {"html": HTML_PAGE, "pointer": file.pointer}.get(fault.body, fault.body.encode())
            size = len(data)
        first, last, status = 0, size - 1, 200
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        known = self.headers.get("If-Range") in (None, headers.get("ETag"))
        if wanted and any(wanted.groups()) and known and not fault.ignore_range:
            begin, end = wanted.groups()
            first = int(begin) if begin else max(size - int(end), 0)
            last = min(int(end), size - 1) if begin and end else size - 1
            if first >= size or last < first:
                return self.reply(416, headers={"Content-Range": f"bytes */{size}"})
            status = 206
            headers = {**headers, "Content-Range": f"bytes {first}-{last}/{size}"}
        count = last - first + 1
        kind = "text/html" if fault.body == "html" else "application/octet-stream"
        length = {"Content-Length": str(count + fault.length), "Accept-Ranges": "bytes", "Content-Type": kind}
        self.start(status, {**length, **headers, **fault.headers})
        if fault.length or fault.cut is not None:
            self.close_connection = True
        if self.command != "HEAD":
            self.pour(data, first, count if fault.cut is None else min(count, fault.cut), fault.rate)

    def pour(self, data: bytes | Path, first: int, count: int, rate: int) -> None:
        step = max(rate // 20, 1) if rate else count
        stream = data.open("rb") if isinstance(data, Path) else None
        try:
            while self.record.bytes < count:
                size = min(step, count - self.record.bytes)
                at = first + self.record.bytes
                if not isinstance(data, Path):
                    self.wfile.write(memoryview(data)[at : at + size])
                    self.record.bytes += size
                else:
                    sent = self.connection.sendfile(stream, at, size)
                    self.record.bytes += sent
                    if not sent:
                        break
                if rate:
                    time.sleep(step / rate)
        except ConnectionError:  # the client has had enough
            self.close_connection = True
        finally:
            if stream:
                stream.close()

    # -- the hub --

    def error(self, status: int, code: str, message: str) -> None:
        self.reply(status, json.dumps({"error": message}).encode(), {"X-Error-Code": code, "X-Error-Message": message})

    def allowed(self, repo: str, public: bool) -> bool:
        """Whether the token suffices; answers the request if not. public: what a gated repository shows to all."""
        standin = self.server.standin
        given = self.record.authorization.removeprefix("Bearer ")
        if not standin.token or given == standin.token or (public and not standin.private and not given):
            return True
        if given:
            self.reply(401, headers={"X-Error-Message": "Invalid credentials in Authorization header"})
        elif standin.private:
            self.error(401, "RepoNotFound", "Repository not found")
        else:
            message = f"Access to model {repo} is restricted. You must have access to it and be authenticated."
            self.error(401, "GatedRepo", message)
        return False

    def repo(self, name: str, revision: str) -> "ModelRepo | None":
        """The repository; answers the request if there is none, or none of that revision."""
        repo = self.server.standin.repos.get(name)
        if repo is None:
            # The true hub does not tell strangers what exists.
            self.error(404 if self.record.authorization else 401, "RepoNotFound", "Repository not found")
        elif revision not in ("main", repo.revision):
            self.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return repo
        return None

    def api(self, path: str) -> None:
        owner, name, *rest = [*path.split("/"), "", ""][: path.count("/") + 1]
        repo_id = f"{owner}/{name}"
        action, revision = (*rest, "", "")[:2]
        if not self.allowed(repo_id, public=True):
            return
        repo = self.repo(repo_id, revision or "main")
        if repo is None:
            return
        if action in ("tree", "paths-info"):
            names = set(repo.files)
            if action == "paths-info":
                data = self.body().decode()
                form = json.loads(data) if data.startswith("{") else urllib.parse.parse_qs(data)
                names &= set(form.get("paths", []))
            entries = []
            for file in repo.files.values():
                entry: dict[str, object] = {"type": "file", "oid": file.blob_id, "size": file.size, "path": file.name}
                if file.lfs:
                    entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
                entries += [entry] if file.name in names else []
            return self.json(entries)
        if action not in ("", "revision"):
            return self.reply(404)
        siblings = []
        for file in repo.files.values():
            sibling: dict[str, object] = {"rfilename": file.name}
            if self.query.get("blobs") in (["true"], ["True"], ["1"]) and not self.server.standin.bare:
                sibling |= {"size": file.size, "blobId": file.blob_id}
                if file.lfs:
                    sibling["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
            siblings.append(sibling)
        head = {"_id": repo.revision[:24], "id": repo_id, "modelId": repo_id, "author": owner, "sha": repo.revision}
        state = {"private": self.server.standin.private, "gated": False, "disabled": False, "downloads": 0, "likes": 0}
        dates = {"lastModified": "2023-11-14T22:13:20.000Z", "createdAt": "2023-11-14T22:13:20.000Z"}
        self.json({**head, **state, **dates, "tags": [], "siblings": siblings})

    def resolve(self, path: str) -> None:
        repo_id, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        if not self.allowed(repo_id, public=False):
            return
        repo = self.repo(repo_id, revision)
        if repo is None:
            return
        file = repo.files.get(name)
        if file is None:
            return self.error(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": repo.revision, "ETag": file.etag}
        if not file.lfs:
            return self.send_file(file, headers)
        target = f"{self.server.standin.cdn_url}/cdn/{file.sha256}"
        headers |= {"X-Linked-Etag": file.etag, "X-Linked-Size": str(file.size), "Location": target}
        return self.reply(302, f"Found. Redirecting to {target}".encode(), {**headers, "Accept-Ranges": "bytes"})

    # -- archives of Python --

    def python(self, path: str) -> None:
        folder = self.server.standin.python
        build, _, name = path.partition("/")
        # What was listed is served, nothing that the path leads to.
        known = folder is not None and name in (os.listdir(folder / build) if build in os.listdir(folder) else [])
        if folder is None or not known or not (folder / build / name).is_file():
            return self.reply(404)
        return self.send_file(File(name, folder / build / name, False), {})

    # -- ModelScope --

    def modelscope(self, path: str) -> None:
        name, _, route = path.partition("/repo")
        repo = self.server.standin.repos.get(name)
        if repo is None or self.query.get("Revision") != ["master"] or route not in ("", "/files"):
            self.reply(404, json.dumps({"Code": 10010205001, "Success": False, "Message": "not found"}).encode())
        elif route == "/files":
            answer = json.dumps({"Code": 200, "Success": True, "Data": {"Files": self.rows(repo)}})
            self.send_file(File("files", answer.encode(), False), {"Content-Type": "application/json"})
        elif file := repo.files.get(self.query.get("FilePath", [""])[0]):
            if file.lfs:
                self.reply(302, headers={"Location": f"{self.server.standin.cdn_url}/cdn/{file.sha256}"})
            else:
                self.send_file(file, {})
        else:
            self.reply(404)

    def rows(self, repo: ModelRepo) -> list[dict[str, str | int]]:
        """Files and folders, each a row; without Recursive those of the uppermost level only."""
        found: list[tuple[str, str, int, str]] = [("blob", f.name, f.size, f.sha256) for f in repo.files.values()]
        found += [("tree", folder, 0, "") for folder in sorted({up for name in repo.files for up in parents(name)})]
        deep = self.query.get("Recursive") == ["true"]
        return [
            {"Type": kind, "Path": path, "Name": path.rpartition("/")[2], "Size": size, "Sha256": digest}
            for kind, path, size, digest in found
            if deep or "/" not in path
        ]

    # -- the Seafile share --

    def share_folders(self) -> "dict[str, ModelRepo]":
        return {"/" + name.rpartition("/")[2]: repo for name, repo in self.server.standin.repos.items()}

    def share_list(self, path: str) -> None:
        token, _, rest = path.partition("/")
        if token != SHARE or rest != "dirents/":
            return self.reply(404, b'{"error_msg": "Share link not found."}')
        folder = "/" + self.query.get("path", ["/"])[0].strip("/")
        folders = self.share_folders()
        if folder == "/":
            dirs = [{"is_dir": True, "folder_path": name + "/", "folder_name": name[1:], "size": 0} for name in folders]
            return self.json({"dirent_list": dirs})
        if folder not in folders:
            return self.reply(404, b'{"error_msg": "Folder not found."}')
        files = folders[folder].files.values()
        rows = [
            {"is_dir": False, "file_path": f"{folder}/{f.name}", "file_name": f.name, "size": f.size} for f in files
        ]
        return self.json({"dirent_list": rows})

    def share_file(self, path: str) -> None:
        token, _, rest = path.partition("/")
        asked = self.query.get("p", [""])[0]
        folder, _, name = asked.rpartition("/")
        repo = self.share_folders().get(folder)
        if token != SHARE or rest != "files/" or repo is None or name not in repo.files:
            return self.reply(404)
        if self.query.get("dl") != ["1"]:  # the page that shows the file
            return self.reply(200, HTML_PAGE, {"Content-Type": "text/html"})
        return self.reply(302, headers={"Location": f"/seafhttp/files/one-time{urllib.parse.quote(asked)}"})

    def share_bytes(self, path: str) -> None:
        folder, _, name = path.removeprefix("one-time").rpartition("/")
        repo = self.share_folders().get(folder)
        file = repo and repo.files.get(name)
        return self.send_file(file, {}) if file else self.reply(404)

    # -- git --

    def git(self, path: str) -> None:
        """Hand the request to git's own CGI program."""
        standin = self.server.standin
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROJECT_ROOT": str(standin.git_root()),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": "/" + path,
            "QUERY_STRING": self.url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=self.body(), env=env, capture_output=True, timeout=60)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200" if done.returncode == 0 else "500").split()[0])
        self.start(status, {**headers, "Content-Length": str(len(body))})
        self.wfile.write(body)
        self.record.bytes = len(body)

    # -- itself --

    def own(self, path: str) -> None:
        """Health, and with the nonce of the state file: renewal and the end."""
        standin = self.server.standin
        self.record, self.unread = Request("own", self.command, path, "", ""), True
        known = secrets.compare_digest(self.query.get("nonce", [""])[0], standin.nonce)
        if path == "/_standin/health":
            if known:
                standin.started = time.monotonic()
            return self.json({"service": "chatglm-standins", "content": content_id(), "known": known})
        if path == "/_standin/stop" and known and self.command == "POST":
            self.json({"stopped": True})
            standin.stopped.set()
            return None
        return self.reply(404)


class Server(ThreadingHTTPServer):
    """One of the two ports. The CDN has its own, so that clients see another host and drop the token."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, name: str, port: int, standin: "StandIn") -> None:
        self.name, self.standin = name, standin
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's: it looks up the host's name, which can take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: Any, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # clients hang up as they like
            super().handle_error(request, client_address)


class StandIn:
    """All stand-ins in one object: `with StandIn() as standin: ... standin.url ...`.

    port 0 takes free ports, else the CDN is at port + 1. repos: further model repositories by name. token: what the
    hub asks for; private: it then denies even that the repository exists. bare: a mirror that drops the query of what
    it passes on, so that its listing has names alone. python: the folder that python_archive.py filled. faults may be
    changed at any time; requests says what was asked.
    """

    def __init__(
        self,
        port: int = 0,
        repos: "dict[str, ModelRepo] | None" = None,
        token: str = "",
        private: bool = False,
        faults: "list[Fault] | None" = None,
        *,
        bare: bool = False,
        python: Path | None = None,
    ) -> None:
        self.repos = {MODEL_REPO: tiny_repo(), **(repos or {})}
        self.by_digest = {file.sha256: file for repo in self.repos.values() for file in repo.files.values() if file.lfs}
        self.token, self.private, self.bare, self.python = token, private, bare, python
        self.faults = list(faults or [])
        self.log: list[Request] = []
        self.running = 0
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.nonce = secrets.token_hex(16)
        self.started = self.last_request = time.monotonic()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._hub = Server("hub", port, self)
        try:
            self._cdn = Server("cdn", port + 1 if port else 0, self)
        except OSError:
            self._hub.server_close()
            raise
        self.url = f"http://127.0.0.1:{self._hub.server_port}"
        self.cdn_url = f"http://127.0.0.1:{self._cdn.server_port}"
        self.source_url = self.url + SOURCE_PATH
        self.source_version = source_repo.repository()[0]
        self.model_repo, self.model_revision = MODEL_REPO, tiny_repo().revision

    @property
    def requests(self) -> "list[Request]":
        """Every request so far, once those under way are answered (waits for 2 s at most)."""
        limit = time.monotonic() + 2
        while self.running and time.monotonic() < limit:
            time.sleep(0.002)
        return list(self.log)

    @property
    def leaks(self) -> "list[Request]":
        """Requests that brought a token to the CDN: there must be none."""
        return [request for request in self.requests if request.server == "cdn" and request.authorization]

    def git_root(self) -> Path:
        """Folder of the bare repositories, written when first asked for."""
        with self.lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="chatglm-standins-git-")
                _, head, objects = source_repo.repository()
                write_bare(Path(self._folder.name) / SOURCE_PATH.rpartition("/")[2], head, objects)
            return Path(self._folder.name)

    def __enter__(self) -> "StandIn":
        for server in (self._hub, self._cdn):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        for server in (self._hub, self._cdn):
            server.shutdown()
            server.server_close()
        if self._folder:
            self._folder.cleanup()


@functools.cache
def content_id() -> str:
    """Digest of what is served and of the code that serves it: another one means that a running server is stale."""
    here = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for path in sorted([*here.glob("*.py"), *here.glob("model/*.py"), *here.glob("source/*")]):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


# --- in the background -----------------------------------------------------------------------------------------------


def free_port(taken: int) -> int:
    """Return the next port that is free together with the one after it."""
    for port in range(taken + 2, 65535, 2):
        with contextlib.suppress(OSError), contextlib.ExitStack() as both:
            for one in (port, port + 1):
                both.enter_context(socket.create_server(("127.0.0.1", one)))
            return port
    return 0


def default_state(port: int) -> Path:
    """A state file in a folder of this user's own under the system's temporary folder."""
    folder = Path(tempfile.gettempdir()) / f"chatglm-standins-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        sys.exit(f"{folder} belongs to someone else; name another place with --state")
    return folder / f"{port}.json"


def ask(state: Path, path: str, method: str = "GET") -> dict[str, object]:
    """Ask the server that the state file names; {} if there is none, or it is not ours."""
    try:
        known = json.loads(state.read_text())
        request = urllib.request.Request(f"{known['url']}{path}?nonce={known['nonce']}", method=method)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=5) as answer:
            return {**known, **json.load(answer)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def stop(state: Path) -> bool:
    """End the server that the state file names, and only that one."""
    done = bool(ask(state, "/_standin/stop", "POST"))
    for _ in range(100 if done else 0):
        if not ask(state, "/_standin/health"):
            break
        time.sleep(0.05)
    state.unlink(missing_ok=True)
    return done


def ensure(state: Path, arguments: list[str]) -> dict[str, object]:
    """Make sure that a server with the present content answers; returns its state."""

    def alive() -> dict[str, object]:
        found = ask(state, "/_standin/health")
        fresh = found.get("known") and found.get("content") == content_id() and found.get("arguments") == arguments
        return found if fresh else {}

    if found := alive():
        return found
    stop(state)  # an older version of ours
    state.parent.mkdir(parents=True, exist_ok=True)
    log = state.with_suffix(".log")
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).resolve()), "--state", str(state), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )
    for _ in range(600):
        ended = child.poll() is not None
        if found := alive():  # another call may have been faster: its server is as good
            return found
        if ended:
            break
        time.sleep(0.05)
    sys.exit(f"the stand-ins did not start: {log.read_text().strip() or 'no answer in 30 s'}")


def main() -> None:
    """Command line; see README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=PORT, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--state", type=Path, help="state file (default: one per port in the temporary folder)")
    parser.add_argument("--daemon", action="store_true", help="in the background, unless it is running already")
    parser.add_argument("--stop", action="store_true", help="end the server that the state file names")
    parser.add_argument("--idle", type=float, default=600, help="end after so many seconds without a request")
    parser.add_argument("--lifetime", type=float, default=3600, help="end after so many seconds")
    parser.add_argument("--token", default="", help="what the hub asks for")
    parser.add_argument("--private", action="store_true", help="without the token, deny that the model exists")
    parser.add_argument("--bare", action="store_true", help="a mirror that passes no query on: no digests in listings")
    parser.add_argument("--file", action="append", default=[], metavar="NAME=PATH", help="serve in demo/files")
    parser.add_argument("--python", type=Path, help="serve the archives that python_archive.py put into this folder")
    parser.add_argument("--fault", action="append", default=[], metavar="JSON", help="fields of the class Fault")
    parser.add_argument("--ids", action="store_true", help="print revision ids and digests, and end")
    args = parser.parse_args()
    if args.ids:
        files = {file.name: file.sha256 if file.lfs else file.blob_id for file in tiny_repo().files.values()}
        ids = {"source_version": source_repo.repository()[0], "model_revision": tiny_repo().revision, "files": files}
        return print(json.dumps(ids, indent=2))
    state = (args.state or default_state(args.port)).absolute()
    if args.stop:
        return print("stopped" if stop(state) else "nothing to stop")
    if args.daemon:
        arguments = ["--port", str(args.port), "--idle", str(args.idle), "--lifetime", str(args.lifetime)]
        arguments += ["--token", args.token] if args.token else []
        arguments += ["--private"] if args.private else []
        arguments += ["--bare"] if args.bare else []
        arguments += ["--python", str(args.python.absolute())] if args.python else []
        arguments += [part for item in args.file for part in ("--file", item)]
        arguments += [part for item in args.fault for part in ("--fault", item)]
        return print(ensure(state, arguments)["url"])
    extra = {name: Path(path) for name, _, path in (item.partition("=") for item in args.file)}
    repos = {"demo/files": ModelRepo(dict(extra), frozenset(extra))} if extra else {}
    faults = [Fault(**json.loads(item)) for item in args.fault]
    try:
        standin = StandIn(args.port, repos, args.token, args.private, faults, bare=args.bare, python=args.python)
    except OSError as error:
        told = f"127.0.0.1:{args.port} or the port after it cannot be used ({error}; another user's demo?)"
        sys.exit(
            f"{told}: choose another --port, or of ansible-playbook: -e chatglm_standins_port={free_port(args.port)}"
        )
    with standin:
        known = {"url": standin.url, "cdn": standin.cdn_url, "pid": os.getpid(), "nonce": standin.nonce}
        start = sys.argv[3:] if sys.argv[1:2] == ["--state"] else sys.argv[1:]
        state.parent.mkdir(parents=True, exist_ok=True)
        aside = state.with_suffix(f".{os.getpid()}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump({**known, "arguments": start}, stream)
        aside.replace(state)
        print(standin.url, flush=True)
        while not standin.stopped.wait(0.2):
            now = time.monotonic()
            if now - standin.last_request > args.idle or now - standin.started > args.lifetime:
                break
        time.sleep(0.1)  # the answer to the stop request goes out first
    if state.exists() and standin.nonce in state.read_text():
        state.unlink()


if __name__ == "__main__":
    main()
