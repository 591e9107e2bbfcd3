"""A host for model_snapshot: its folders, a stand-in hub that has a small model, and the module in this process."""

import json
import os
import random
import socket
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import model_snapshot
import pytest
from ansible.module_utils import basic
from fault_server import blob_id, sha256
from serve import ModelRepo, StandIn

ROOT = Path(__file__).resolve().parents[2]


def checkpoint(code, size=2_000_000):
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr(zipfile.ZipInfo("archive/data.pkl"), code)
        made.writestr(zipfile.ZipInfo("archive/data/0"), random.Random(2).randbytes(size))
    return stream.getvalue()


FILES = {
    "config.json": b'{"model_type": "chatglm"}\n',
    "modeling_chatglm.py": b"# remote code\n" * 100,
    "pytorch_model.bin": checkpoint(b"ctorch\nHalfStorage\n."),
    "sub/tokenizer.model": random.Random(3).randbytes(300_000),
}
LFS = {"pytorch_model.bin", "sub/tokenizer.model"}
REPO = "owner/tiny-int4"
COMMIT = ModelRepo(dict(FILES), LFS).revision


def pinned(files, lfs=LFS):
    """Return the module's option ``files`` for these contents."""
    return [
        {"path": path, "size": len(data)}
        | ({"sha256": sha256(data)} if path in lfs else {"git_blob_id": blob_id(data)})
        for path, data in files.items()
    ]


class Exit(Exception):
    pass


class Site:
    """A host's folders, a hub with its CDN on another port, and a way to run the module."""

    def __init__(self, home, files=FILES):
        self.home = home
        self.files = files
        self.dest = home / "models" / "tiny"
        self.record = home / "state" / "weights.json"
        self.commit = ModelRepo(dict(files), LFS).revision
        self.hub = StandIn(repos={REPO: ModelRepo(dict(files), LFS)})
        self.params = {
            "dest": str(self.dest),
            "repo": REPO,
            "revision": self.commit,
            "record": str(self.record),
            "sources": [{"type": "hub", "endpoint": self.hub.url}],
            "python": sys.executable,
            "timeout": 5,
            "retries": 1,
        }

    def web(self):
        """The hub's files as a plain web folder."""
        return [{"type": "url", "url": f"{self.hub.url}/{REPO}/resolve/{self.commit}"}]

    def arguments(self, check=False, **more):
        return {**self.params, **more, "_ansible_check_mode": check, "_ansible_diff": True}

    def run(self, monkeypatch_context, check=False, **more):
        data = json.dumps({"ANSIBLE_MODULE_ARGS": self.arguments(check, **more)}).encode()
        told = {}

        def leave(failed):
            def leaving(_module, **result):
                told.update(result, failed=failed)
                raise Exit

            return leaving

        with monkeypatch_context() as patch:
            patch.setattr(basic, "_ANSIBLE_ARGS", data)
            patch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
            patch.setattr(basic.AnsibleModule, "exit_json", leave(False))
            patch.setattr(basic.AnsibleModule, "fail_json", leave(True))
            with pytest.raises(Exit):
                model_snapshot.main()
        return told

    def begin(self, **more):
        """Start the module in a process of its own, past its imports."""
        arguments = self.home / "arguments.json"
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": self.arguments(**more)}))
        code = (
            f"import sys; sys.path[:0] = [{str(ROOT / 'library')!r}]; import ansible.module_utils as m;"
            f"m.__path__.append({str(ROOT / 'module_utils')!r}); from ansible.module_utils import basic;"
            f"basic._ANSIBLE_ARGS = open({str(arguments)!r}, 'rb').read();"
            "basic._ANSIBLE_PROFILE = 'legacy'; import model_snapshot;"
            "print('begins', flush=True); model_snapshot.main()"
        )
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"begins\n"
        return child

    def folder(self, name, **changes):
        made = self.home / name
        for path, data in {**self.files, **changes}.items():
            if data is not None:
                (made / path).parent.mkdir(parents=True, exist_ok=True)
                (made / path).write_bytes(data)
        return {"type": "folder", "path": str(made)}

    def present(self):
        return {str(path.relative_to(self.dest)): path.read_bytes() for path in self.dest.rglob("*") if path.is_file()}


def actions(result):
    return {file["path"]: file["action"] for file in result["files"]}


def closed():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return {"type": "hub", "endpoint": f"http://127.0.0.1:{probe.getsockname()[1]}"}


def agree(run, **more):
    """Run in check mode and for real; both must tell the same, and check mode must change and ask nothing."""
    checked = run(check=True, **more)
    real = run(**more)
    assert not real["failed"], real.get("msg")
    assert (checked["changed"], checked["diff"]) == (real["changed"], real["diff"])
    return checked, real


def flip(path):
    """Change one byte, and put back what a careless tool would: size and mtime."""
    state = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with open(path, "r+b") as stream:
        stream.write(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
