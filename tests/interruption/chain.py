"""Whole runs of site.yml on this machine, what they leave, and how to cut them off as a power cut does.

``small_settings`` stands in for packages, model and answer (little wheels, a few MB of files, a launcher that plays
worker and page), so that a run takes seconds. It does not prove that torch, transformers and gradio survive the same;
``demo_settings`` does, with the real ones. Ansible, uv, git, the roles and the modules are the real ones in both.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "unit"), str(ROOT / "tests" / "standins")]
import env_host
import smoke_host
import tiny_model
from ansible.module_utils.chatglm.core import seal
from ansible.module_utils.chatglm.virtualenv import python_env
from ansible.module_utils.chatglm.web_demo.record import Record

MARKER = "CHATGLM_INTERRUPTION"
CODE = ("engine", "library", "module_utils", "filter_plugins", "roles", "playbooks", "inventory", "site.yml")
CODE += ("ansible.cfg",)
# uv's own notes of where and when a package was installed from, and what lists them; their content is compared by
# python_env.content_digest.
NOTES = ("RECORD", "uv_cache.json", "direct_url.json", "INSTALLER", "REQUESTED", python_env.STAMP)


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


# --- the world around the host ----------------------------------------------------------------------------------------


class Files(http.server.ThreadingHTTPServer):
    """Serves a folder with ranges, at a limited rate; ``behaviour`` may answer instead."""

    daemon_threads = True

    def __init__(self, folder: Path, rate: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.rate, self.behaviour, self.asked = folder, rate, None, []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_):
        """Say nothing: clients are killed here."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        self.close_connection = True
        if self.server.behaviour and self.server.behaviour(self, path):
            return
        place = self.server.folder / path.strip("/")
        data = place.read_bytes() if place.is_file() else None
        if place.is_dir():
            data = "".join(f'<a href="{item.name}">{item.name}</a>\n' for item in sorted(place.iterdir())).encode()
        self.give(data)

    do_HEAD = do_GET  # noqa: N815 - the base class's name

    def give(self, data, status=200, kind="application/octet-stream"):
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if data is None:
            data, status = b"not found", 404
        begin, end = 0, len(data)
        if wanted and status == 200:
            begin, end, status = int(wanted[1]), min(len(data), int(wanted[2] or len(data)) + 1), 206
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        for name, value in {
            "Content-Length": str(end - begin), "Connection": "close", "Accept-Ranges": "bytes",
            "Content-Type": "text/html" if data.startswith(b"<") else kind,
            "ETag": f'"{hashlib.sha256(data).hexdigest()[:32]}"',
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        step = 1 << 16
        for at in range(begin, end, step):
            self.wfile.write(data[at : min(at + step, end)])
            if self.server.rate:
                time.sleep(step / self.server.rate)


def wheels(folder: Path, edition: int) -> tuple[str, str]:
    """Write the packages of an edition; return the two lock files."""
    names = ["torch", "transformers", "gradio", "sentencepiece", "huggingface_hub", "mdtex2html"]
    names += [f"filler{number}" for number in range(12 + edition)]
    if edition == 2:
        names.remove("filler0")
    lines = {}
    for name in names:
        # A few differ between the editions.
        version = f"{edition}.0" if name in ("torch", "gradio", "filler3") else "1.0"
        files = {f"{name}/__init__.py": f"VERSION = {version!r}\n"}
        files.update({f"{name}/part{number}.py": f"# {name} {number}\n" * 60 for number in range(30)})
        if name == "torch":
            files["torch/library.txt"] = "".join(f"{number:08d}\n" for number in range(900_000))
        lines[name] = env_host.wheel(folder, name, version, files)
    return "".join(text for name, text in lines.items() if name != "torch"), lines["torch"]


def commits(folder: Path) -> list[str]:
    """Make the source repository with two commits and return their ids."""
    shutil.copytree(ROOT / "tests" / "standins" / "source", folder)
    (folder / "many").mkdir()
    for number in range(60):
        (folder / "many" / f"{number}.txt").write_text(f"{number}\n" * 400)
    ids = []
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t", "-c", "core.hooksPath=/dev/null"]
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    for edition in (1, 2):
        if edition == 2:
            for number in range(0, 60, 2):
                (folder / "many" / f"{number}.txt").write_text(f"{number} anew\n" * 400)
            (folder / "many" / "1.txt").unlink()
            text = (folder / "web_demo.py").read_text(encoding="utf-8")
            (folder / "web_demo.py").write_text(text + "\n# a later edition\n", encoding="utf-8")
        subprocess.run([*git, "add", "--all"], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", f"Edition {edition}"], check=True)
        done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        ids.append(done.stdout.strip())
    return ids


def weights(folder: Path, edition: int) -> list[dict[str, object]]:
    """Write the model's files of an edition and return their manifest."""
    files = dict(tiny_model.files())
    files["extra.dat"] = hashlib.sha512(b"%d" % edition).digest() * 60_000
    if edition == 2:
        files["tokenization_chatglm.py"] += b"\n# a later edition\n"
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [
        {"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in sorted(files.items())
    ]


# --- the host ---------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """A finished or killed run: exit status, seconds, output, and the moments at which the lock was held."""

    status: int | None
    seconds: float
    output: str
    acts: list[tuple[str, float]] = field(default_factory=list)

    @property
    def recap(self) -> dict[str, int]:
        found = re.findall(r"(\w+)=(\d+)", self.output.partition("PLAY RECAP")[2])
        return {name: int(number) for name, number in found}

    def well(self) -> Run:
        """Return itself if it ended well."""
        assert self.status == 0, self.output[-6000:]
        return self


class Chain:
    """One host with its settings by edition; each edition has a copy of the code, with its own lock files.

    Args:
        base: an empty folder; everything lives below.
        port: a free port for the page.

    """

    def __init__(self, base: Path, port: int) -> None:
        self.base, self.port = base, port
        self.home = base / "disk" / "home"
        self.user = base / "user"
        self.user.mkdir(parents=True)
        self.home.parent.mkdir()
        self.editions: dict[int, dict[str, object]] = {}
        self.saved: dict[str, Path] = {}
        self.children: list[subprocess.Popen] = []
        self.environ = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.user),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",  # as over SSH; less work for each task
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_STDOUT_CALLBACK": "default",  # the copies have none of ours
        }

    def tree(self, edition: int) -> Path:
        return self.base / f"code{edition}"

    def copy_code(self, edition: int, locks: tuple[str, str] | None = None) -> None:
        """Keep a copy of this repository's code, so that nobody's edit changes it between two runs."""
        for name in CODE:
            source, target = ROOT / name, self.tree(edition) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        if locks:
            folder = self.tree(edition) / "roles" / "virtualenv" / "files"
            (folder / "base.txt").write_text(locks[0])
            (folder / "torch-cpu.txt").write_text(locks[1])

    # -- running

    def start(
        self, edition: int, *options: str, umask: int = -1, environ: dict[str, str] | None = None, **settings: object
    ) -> subprocess.Popen:
        """Start a run in a session of its own; its output goes to a file."""
        given = {"chatglm_home": str(self.home), **self.editions[edition], **settings}
        self.number = getattr(self, "number", 0) + 1
        path = self.base / f"settings{self.number}.json"
        path.write_text(json.dumps(given))
        tree = self.tree(edition)
        command = ["ansible-playbook", str(tree / "site.yml"), "-i", str(tree / "inventory" / "demo"), "-e", f"@{path}"]
        mark = f"{self.base}:{self.number}"
        child = subprocess.Popen(
            [*command, *options],
            env={**self.environ, **(environ or {}), "ANSIBLE_CONFIG": str(tree / "ansible.cfg"), MARKER: mark},
            stdin=subprocess.DEVNULL,
            stdout=path.with_suffix(".log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=self.base,
            umask=umask,
        )
        self.children.append(child)
        child.mark, child.log, child.began = mark, path.with_suffix(".log"), time.monotonic()
        return child

    def finish(self, child: subprocess.Popen, limit: float = 600, watch: bool = False) -> Run:
        """Wait for a run's end; on the way note who held the lock and when (``watch``)."""
        acts: list[tuple[str, float]] = []
        while child.poll() is None:
            if time.monotonic() - child.began > limit:
                cut(child)
                raise AssertionError(f"still at work after {limit} s:\n{child.log.read_text()[-3000:]}")
            if watch and (doing := self.doing()) and (not acts or acts[-1][0] != doing):
                acts.append((doing, time.monotonic() - child.began))
            time.sleep(0.01 if watch else 0.05)
        seconds = time.monotonic() - child.began
        return Run(child.returncode, seconds, child.log.read_text(errors="replace"), acts)

    def run(self, edition: int, *options: str, watch: bool = False, **settings: object) -> Run:
        return self.finish(self.start(edition, *options, **settings), watch=watch)

    def doing(self) -> str:
        """Return the first word of what the lock's holder does; empty while nobody holds it."""
        try:
            note = json.loads((self.home / "state" / "lock").read_text())
            return note["doing"].split()[0] if Path(f"/proc/{note['pid']}").exists() else ""
        except (OSError, ValueError, KeyError):
            return ""

    def close(self) -> None:
        """End what a failed test has left running."""
        for child in self.children:
            if child.returncode is None and child.poll() is None:
                cut(child)

    # -- states

    def save(self, name: str) -> None:
        self.saved[name] = self.base / "saved" / name
        self.saved[name].parent.mkdir(exist_ok=True)
        copy(self.home, self.saved[name])

    def restore(self, name: str) -> None:
        """Put a saved state in place; empty: nothing installed."""
        if self.home.exists():
            shutil.rmtree(self.home)
        if name:
            copy(self.saved[name], self.home)


def copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--archive", "--reflink=auto", str(source), str(target)], check=True)


def processes(child: subprocess.Popen) -> set[int]:
    """Return the pids of a run: its descendants, and whatever carries its mark although its parent is gone."""
    parents, marked = {}, {child.pid} if child.returncode is None else set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z":
                continue
            parents[int(folder.name)] = int(parent)
            if f"{MARKER}={child.mark}\0".encode() in (folder / "environ").read_bytes() + b"\0":
                marked.add(int(folder.name))
        except OSError:
            continue
    found = {pid for pid in marked if pid in parents}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def cut(child: subprocess.Popen) -> int:
    """End a run and all that it has started, at one moment, as a power cut would; return how many processes it had."""
    stopped: set[int] = set()
    while more := processes(child) - stopped:
        for pid in more:  # first all stand still, so that none can react to another's death
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        stopped |= more
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    child.wait()
    deadline = time.monotonic() + 20
    while (left := processes(child)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left, left
    return len(stopped)


# --- what is there, and what vouches for it ---------------------------------------------------------------------------


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(home: Path) -> dict[str, str]:
    """Return what an installation is made of: path to digest (or target of a link); records by name only."""
    found = {}
    for top in ("bin", "venv", "source", "models"):
        for folder, names, files in os.walk(home / top):
            names[:] = [name for name in names if name not in ("__pycache__", ".git")]
            for name in files:
                path = Path(folder, name)
                if name in NOTES or name.endswith(".pyc"):
                    continue
                inside = str(path.relative_to(home))
                found[inside] = os.readlink(path) if path.is_symlink() else digest(path)
    for path in home.rglob("*.dist-info"):
        made = python_env.read_record(str(path.parent), path.name)
        found[str(path.relative_to(home))] = python_env.content_digest(made) if made else "no RECORD"
    for path in [*home.iterdir(), *(home / "state").iterdir()]:
        found[str(path.relative_to(home))] = "there"
    return found


@dataclass
class Truth:
    """What finished installations hold, for comparison: by edition."""

    contents: dict[int, dict[str, str]]
    proofs: dict[int, dict[str, object]]
    packages: dict[tuple[str, str], str]
    weights: dict[str, set[str]]
    blobs: dict[str, dict[str, str]]


def truth(chain: Chain, names: dict[int, str], repository: Path | None) -> Truth:
    """Collect the truth from saved installations of the editions ``names``."""
    result = Truth({}, {}, {}, {}, {})
    for edition, name in names.items():
        home = chain.saved[name]
        result.contents[edition] = contents(home)
        result.proofs[edition] = json.loads((home / "state" / "proof.json").read_text())["subject"]
        stamp = python_env.read_stamp(str(home / "venv"))
        for package, entry in stamp["distributions"].items():
            result.packages[package, entry["version"]] = entry["content"]
        for path in (home / "models").rglob("*"):
            if path.is_file():
                result.weights.setdefault(path.name, set()).add(digest(path))
        version = chain.editions[edition]["chatglm_source_version"]
        source = repository or home / "source"
        listing = subprocess.run(
            ["git", "-C", str(source), "ls-tree", "-r", version], check=True, capture_output=True, text=True
        ).stdout
        result.blobs[version] = {line.split("\t")[1]: line.split()[2] for line in listing.splitlines()}
    return result


def lies(chain: Chain, true: Truth) -> list[str]:
    """Return what a record, stamp, proof or seal vouches for although it is not so."""
    home, found = chain.home, []
    found += [*lies_of_stamp(home, true), *lies_of_weights(home, true), *lies_of_clone(home, true)]
    made = seal.look(str(home), str(home / "state" / "seal.json"))
    if made["intact"] and home.exists():
        state = {path: what for path, what in contents(home).items() if what != "there"}
        wanted = [{p: w for p, w in good.items() if w != "there"} for good in true.contents.values()]
        if state not in wanted:
            found.append("the seal is intact, but the installation is that of no finished run")
    with contextlib.suppress(OSError):
        proof = json.loads((home / "state" / "proof.json").read_text())
        if proof["verdict"] == "ok" and proof["subject"] not in true.proofs.values():
            found.append(f"a proof of {proof['subject']}")
    for name in ("bin/uv", "bin/chatglm-run"):
        if (home / name).exists() and digest(home / name) not in {good[name] for good in true.contents.values()}:
            found.append(f"{name} is half-written")
    with contextlib.suppress(OSError):
        made = Record.from_json(json.loads((home / "state" / "web_demo_patch.json").read_text()))
        blobs = {listing["web_demo.py"] for listing in true.blobs.values()}
        if made is None or blob_id(made.original) not in blobs:
            found.append("the record of the patch holds an original that no commit has")
    return found


def lies_of_stamp(home: Path, true: Truth) -> list[str]:
    stamp = python_env.read_stamp(str(home / "venv"))
    found = []
    if not stamp:
        return []
    for site in (home / "venv" / "lib").glob("python3*/site-packages"):
        installed = python_env.distributions(str(site))
        records = python_env.read_records(str(site), installed)
        for name, entry in stamp["distributions"].items():
            items = installed.get(name, [])
            if name in stamp.get("doubtful", []) or not python_env._as_stamped(str(site), items, records, entry):
                continue
            made = records[items[0][1]]
            if wrong := python_env.damage(str(site), made):
                found.append(f"the stamp vouches for {name}: {wrong}")
            if python_env.content_digest(made) != true.packages.get((name, entry["version"])):
                found.append(f"the stamp vouches for {name}, whose RECORD is another")
    return found


def lies_of_weights(home: Path, true: Truth) -> list[str]:
    try:
        record = json.loads((home / "state" / "weights.json").read_text())
    except (OSError, ValueError):
        return []
    found = []
    for name, entry in record["files"].items():
        path = Path(record["path"], name)
        with contextlib.suppress(OSError):
            state = path.stat()
            now = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
            if now != [entry["stat"][key] for key in ("size", "mtime_ns", "ctime_ns", "inode")]:
                continue
            if digest(path) not in true.weights.get(path.name, ()):
                found.append(f"the record vouches for the weights' {name}, which is wrong")
    return found


def lies_of_clone(home: Path, true: Truth) -> list[str]:
    source = home / "source"
    if not (source / ".git").is_dir() or (source / ".git" / "chatglm-checkout").exists():
        return []
    git = functools.partial(subprocess.run, capture_output=True, text=True)
    head = git(["git", "-C", str(source), "rev-parse", "HEAD"]).stdout.strip()
    state = git(["git", "--no-optional-locks", "-C", str(source), "status", "--porcelain", "-z", "-uno"])
    if head not in true.blobs or state.returncode:
        return []
    modified = {entry[3:] for entry in state.stdout.split("\0")}
    return [
        f"git takes {name} for unchanged, which it is not"
        for name, blob in true.blobs[head].items()
        if name not in modified and (not (source / name).is_file() or blob_id((source / name).read_bytes()) != blob)
    ]


# --- the settings -----------------------------------------------------------------------------------------------------


def small(base: Path, port: int) -> tuple[Chain, Files, Path]:
    """Return a host with two editions of little stand-ins, the server of its files, and the source repository."""
    chain = Chain(base, port)
    world = base / "world"
    ids = commits(world / "source")
    server = Files(world, rate=6_000_000)
    launcher = base / "launcher"
    plan = {
        "port": port,
        "model": {"kind": "report", "value": smoke_host.REPORT},
        "page": {"kind": "good", "answer": smoke_host.REPORT["answer"]},
    }
    (base / "plan.json").write_text(json.dumps(plan))
    places = {"root": str(ROOT), "plan": str(base / "plan.json"), "calls": str(base / "calls")}
    launcher.write_text(smoke_host.LAUNCHER.format(python="/usr/bin/python3", **places))
    launcher.chmod(0o755)
    for edition in (1, 2):
        chain.copy_code(edition, wheels(world / "wheels", edition))
        revision = f"{edition}" * 40
        chain.editions[edition] = {
            "chatglm_device": "cpu",
            "chatglm_standins": False,
            "chatglm_port": port,
            "chatglm_source_url": f"file://{world / 'source'}",
            "chatglm_source_version": ids[edition - 1],
            "chatglm_model_repo": "demo/small",
            "chatglm_model_revision": revision,
            "weights_manifests": {f"demo/small@{revision}": weights(world / f"model{edition}", edition)},
            "chatglm_model_sources": [{"type": "url", "url": f"{server.url}/model{edition}"}],
            "chatglm_hub_token": "",
            "virtualenv_find_links": [str(world / "wheels")],
            "virtualenv_torch_index_url": "",
            "smoke_test_launcher": str(launcher),
            "smoke_test_python": "/usr/bin/python3",
            "smoke_test_expected": "ChatGLM2-6B",
            "smoke_test_max_new_tokens": 48,
            "preflight_environment_gb": {"cpu": 0.05},
            "preflight_weights_gb": 0.02,
        }
    chain.environ["PIP_NO_INDEX"] = "1"
    return chain, server, world / "source"
