"""Whatever the chat or the site executes is tampered with at once, together with the records that vouch for it.

Each planted piece leaves its name in a file when it is run. One run of site.yml must put all of it right, and none of
it may have run. What stays unproven: bytes that change between their verification and their use.
"""

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest
from conftest import HOME

MODEL = HOME / "models" / "chatglm2-tiny-int4"
SOURCE = HOME / "source"


@pytest.fixture
def ran(tmp_path):
    """The file in which planted pieces write their names."""
    return tmp_path / "ran"


def evil(ran, name):
    return f"open({str(ran)!r}, 'a').write({name!r} + '\\n')\n"


def shell(ran, name):
    return f"#!/bin/sh\necho {name} >> {ran}\n"


def put(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or path.exists():
        path.unlink()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)


def compiled(python, text):
    """Return the bytecode of ``text``: a magic number and the code."""
    script = (
        "import marshal, sys, importlib.util as util; code = compile(sys.argv[1], 'evil', 'exec');"
        "sys.stdout.buffer.write(util.MAGIC_NUMBER + marshal.dumps(code))"
    )
    return subprocess.run([python, "-I", "-c", script, text], capture_output=True, check=True).stdout


def bytecode(raw, source, target):
    """Write bytecode that Python takes for that of ``source``: it looks at time and size alone."""
    state = source.stat()
    put(target, raw[:4] + struct.pack("<LLL", 0, int(state.st_mtime), state.st_size) + raw[4:])


def site_packages():
    return next(HOME.glob("venv/lib/python3*/site-packages"))


def forge_weights_record(names):
    """Let the record say of tampered files that they are as they were when they were verified."""
    path = HOME / "state" / "weights.json"
    record = json.loads(path.read_text())
    for name in names:
        state = (MODEL / name).stat()
        record["files"][name]["size"] = state.st_size
        record["files"][name]["stat"] = {
            "size": state.st_size,
            "mtime_ns": state.st_mtime_ns,
            "ctime_ns": state.st_ctime_ns,
            "inode": state.st_ino,
        }
    path.write_text(json.dumps(record))


def same_size(path, change):
    """Change a file, its size and time as before."""
    state, data = path.stat(), bytearray(path.read_bytes())
    change(data)
    assert len(data) == state.st_size
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def overwrite(text):
    """Put ``text`` in place of a whole Python file."""

    def change(data):
        data[:] = (text + "#").encode().ljust(len(data), b"#")

    return change


def evil_checkpoint(ran):
    """Return a checkpoint as torch.save writes it that runs a program when it is unpickled without care."""

    class Evil:
        def __reduce__(self):
            return os.system, (f"echo pickle >> {ran}",)

    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil(), 2))
    return data.getvalue()


def test_everything_that_is_executed_is_refused_or_mended(site, ran):
    python = HOME / "venv" / "bin" / "python"
    base = os.path.realpath(python)
    packages = site_packages()
    minor = packages.parent.name
    tag = f"cpython-{minor.removeprefix('python').replace('.', '')}"

    # The model: its code, its tokenizer, its pickle, and the record that vouches for all three.
    same_size(MODEL / "modeling_chatglm.py", overwrite(evil(ran, "model code")))
    same_size(MODEL / "tokenizer.model", lambda data: data.__setitem__(slice(100, 120), bytes(20)))
    (MODEL / "pytorch_model.bin").write_bytes(evil_checkpoint(ran))
    forge_weights_record(["modeling_chatglm.py", "tokenizer.model", "pytorch_model.bin"])
    sums = HOME / "state" / "weights.sha256"
    names = [line.split("  ")[1] for line in sums.read_text().splitlines()]
    sums.write_text(
        "".join(f"{hashlib.sha256((sums.parent / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    )
    # The copies of that code that transformers makes and runs.
    for place in (HOME / "cache" / "huggingface" / "modules", HOME / "cache" / "modules" / "999999999"):
        put(place / "torch.py", evil(ran, "a module beside the copy"))
        put(place / "transformers_modules" / "__init__.py", evil(ran, "the copy's package"))
        put(place / "transformers_modules" / MODEL.name / "modeling_chatglm.py", evil(ran, "the copy"))
    # Bytecode, wherever Python may look for it.
    raw = compiled(base, f"open({str(ran)!r}, 'a').write('bytecode of ' + __name__ + '\\n')")
    sources = [*packages.rglob("*.py"), *SOURCE.glob("*.py")]
    assert len(sources) > 3000
    for source in sources:
        bytecode(raw, source, source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc")
    system = Path("/usr/bin/python3").resolve().name.removeprefix("python").replace(".", "")
    for source in (HOME / "lib" / "chatglm").rglob("*.py"):
        other = compiled("/usr/bin/python3", f"open({str(ran)!r}, 'a').write('bytecode of the command\\n')")
        bytecode(other, source, source.parent / "__pycache__" / f"{source.stem}.cpython-{system}.pyc")
    for source in (packages / "gradio" / "__init__.py", packages / "torch" / "__init__.py", SOURCE / "utils.py"):
        bytecode(raw, source, Path(f"{HOME}/cache/pycache{source.parent}") / f"{source.stem}.{tag}.pyc")
    # The virtualenv: what starts with Python, what stands in front of a package, a package itself.
    put(packages / "zz_evil.pth", f"import sys; exec({evil(ran, 'pth')!r})\n")
    put(packages / "sitecustomize.py", evil(ran, "sitecustomize"))
    put(packages / "gradio" / "blocks" / "__init__.py", evil(ran, "a folder in front of a module"))
    same_size(packages / "gradio" / "utils.py", overwrite(evil(ran, "a package")))
    # The programs.
    put(HOME / "bin" / "uv", shell(ran, "uv"), 0o755)
    launcher = HOME / "bin" / "chatglm-run"
    put(launcher, launcher.read_text().replace("set -eu\n", f"set -eu\necho launcher >> {ran}\n"), 0o755)
    # The int4 engine, and what would stand in front of its packages.
    engine = HOME / "lib" / "engine" / "int4.py"
    put(engine, engine.read_text() + evil(ran, "the engine"))
    kernel = engine.with_name("int4_cpu.c")
    put(kernel, kernel.read_text() + "/* the kernel */\n")
    put(HOME / "lib" / "torch.py", evil(ran, "a file beside the engine"))
    put(engine.with_suffix("") / "__init__.py", evil(ran, "a folder in front of the engine's module"))
    # The clone: what git would run, and what Python would import from the demo's folder.
    git = ["git", "-C", SOURCE, "config"]
    program = ran.with_name("program")
    put(program, shell(ran, "git") + "cat\n", 0o755)
    for name in ("core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "core.sshCommand", "credential.helper"):
        subprocess.run([*git, name, program], check=True)
    put(SOURCE / ".git" / "info" / "attributes", "* filter=evil\n")
    for name in ("post-checkout", "post-index-change"):
        put(SOURCE / ".git" / "hooks" / name, shell(ran, "a hook"), 0o755)
    put(SOURCE / "gradio.py", evil(ran, "a file beside the demo"))
    os.utime(SOURCE / "README.md")  # so that git has to look at its content

    # Variables that Python would follow, in the environment of the user.
    put(ran.with_name("path") / "sitecustomize.py", evil(ran, "PYTHONPATH"))
    status, text = site(PYTHONPATH="", PYTHONSTARTUP=str(ran.with_name("path") / "sitecustomize.py"))
    try:
        assert not ran.exists(), ran.read_text()
        assert status == 0, text[-5000:]
        # Mended.
        assert "evil" not in launcher.read_text()
        assert "the engine" not in engine.read_text().splitlines()[-1]
        assert "the kernel" not in kernel.read_text()
        ours = sorted(path.name for path in Path(__file__).parents[2].glob("engine/*.*"))
        assert sorted(path.name for path in engine.parent.iterdir() if path.name != "__pycache__") == ours
        assert (HOME / "bin" / "uv").read_bytes()[:4] == b"\x7fELF"
        assert b"open(" not in (MODEL / "modeling_chatglm.py").read_bytes()[-200:]
        assert "a package" not in (packages / "gradio" / "utils.py").read_text()
        subprocess.run(["sha256sum", "--check", "--strict", "--status", sums.name], cwd=sums.parent, check=True)
        # Kept, and told.
        kept = HOME / "venv.kept" / "lib" / minor / "site-packages"
        for name in ("zz_evil.pth", "sitecustomize.py", "gradio/blocks/__init__.py"):
            assert (kept / name).exists(), name
            assert not (packages / name).exists(), name
        assert "venv.kept" in text
        assert (SOURCE / "gradio.py").exists()
        # And the chat, started by hand, runs none of it either.
        listing = subprocess.run(
            [launcher, "python", "-c", "import gradio, torch, transformers; print(gradio.__file__)"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert str(packages) in listing.stdout
        subprocess.run([HOME / "bin" / "chatglm", "where"], check=True, capture_output=True)
        assert not ran.exists(), ran.read_text()
    finally:
        (SOURCE / "gradio.py").unlink()
        shutil.rmtree(HOME / "venv.kept", ignore_errors=True)
        shutil.rmtree(SOURCE / ".git" / "hooks")
        for name in ("core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "core.sshCommand"):
            subprocess.run([*git, "--unset-all", name], check=False)
        subprocess.run([*git, "--unset-all", "credential.helper"], check=False)
        (SOURCE / ".git" / "info" / "attributes").unlink()
        # The tampered bytecode beside the sources stays, unused: a plain Python would follow it.
        for place in [*packages.rglob("__pycache__"), SOURCE / "__pycache__", HOME / "lib" / "chatglm" / "__pycache__"]:
            shutil.rmtree(place, ignore_errors=True)
