"""Python is started in one guarded way: bytecode that stands beside a verified source is never run."""

import ast
import importlib.util
import json
import marshal
import struct
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from ansible.module_utils.chatglm.core.processes import isolated
from ansible.module_utils.chatglm.weights.connection import Options
from ansible.module_utils.chatglm.weights.content import TransferError
from ansible.module_utils.chatglm.weights.sources import Hub, Question

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted([*(ROOT / "library").glob("*.py"), *(ROOT / "module_utils").rglob("*.py")])


def starts(tree):
    """Yield the calls that start a program."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.startswith("subprocess.") or name in ("Child", "run", "Popen") or name.startswith("os.exec"):
                yield node


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_python_is_started_in_one_place(path):
    tree = ast.parse(path.read_text())
    if path.stem != "processes":
        options = [
            node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in ("-I", "-IB", "-B")
        ]
        assert options == [], [node.lineno for node in options]
    for call in starts(tree):
        words = ast.unparse(call.args[0]) if call.args else ""
        if "python" in words or "sys.executable" in words:
            assert "isolated(" in words, f"{path.name}:{call.lineno}: {words}"


def forge(source, text):
    """Put bytecode of ``text`` where Python takes it for that of ``source``."""
    state = source.stat()
    target = Path(importlib.util.cache_from_source(str(source)))
    target.parent.mkdir(exist_ok=True)
    head = importlib.util.MAGIC_NUMBER + struct.pack("<LLL", 0, int(state.st_mtime), state.st_size)
    target.write_bytes(head + marshal.dumps(compile(text, str(source), "exec")))


@pytest.fixture
def environment(tmp_path):
    """A virtualenv with a huggingface_hub in it whose bytecode is forged, and the file that this would write."""
    venv.create(tmp_path / "venv", symlinks=True)
    packages = next((tmp_path / "venv").glob("lib/python3*/site-packages"))
    ran = tmp_path / "ran"
    source = packages / "huggingface_hub" / "__init__.py"
    source.parent.mkdir()
    source.write_text("raise ImportError('the source was run')\n")
    forge(source, f"open({str(ran)!r}, 'w').close()")
    return str(tmp_path / "venv" / "bin" / "python"), ran


@pytest.mark.parametrize("write", [False, True])
def test_forged_bytecode_is_not_run(environment, tmp_path, write):
    python, ran = environment
    plain = subprocess.run([python, "-I", "-B", "-c", "import huggingface_hub"], capture_output=True, text=True)
    assert plain.returncode == 0, "without the guard it is run"
    assert ran.exists()
    ran.unlink()
    words = isolated(python, "-c", "import huggingface_hub", bytecode=str(tmp_path / "proof"), write=write)
    done = subprocess.run(words, capture_output=True, text=True)
    assert "the source was run" in done.stderr
    assert not ran.exists()
    assert (tmp_path / "proof").exists() is write


def test_the_worker_that_holds_the_token_runs_sources(environment):
    python, ran = environment
    hub = Hub("http://127.0.0.1:9", Question("a/b", "0" * 40, "hf_token", python, None), Options())
    with pytest.raises(TransferError, match="the source was run"):
        hub.files()
    assert not ran.exists()


def test_the_command_runs_its_sources(tmp_path):
    """Its modules are below chatglm_home, and it reads the page's password."""
    import chat_service

    params = dict.fromkeys(("app", "url", "device", "language", "control"), "")
    wanted = chat_service.wanted_files({**params, "home": str(tmp_path)}, "none")
    for name, (content, mode) in wanted.items():
        if name.startswith(str(tmp_path)):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(content)
            Path(name).chmod(mode)
    ran = tmp_path / "ran"
    for source in (tmp_path / "lib" / "chatglm").rglob("*.py"):
        forge(source, f"open({str(ran)!r}, 'w').close()")
    program = (tmp_path / "bin" / "chatglm").read_text().replace("/usr/bin/python3", sys.executable, 1)
    (tmp_path / "bin" / "chatglm").write_text(program)
    (tmp_path / "state" / "service.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "kind": "none"}))
    done = subprocess.run([tmp_path / "bin" / "chatglm", "where"], capture_output=True, text=True)
    assert not ran.exists()
    assert str(tmp_path) in done.stdout, done.stderr
