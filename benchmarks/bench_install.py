#!/usr/bin/env python3
"""Time a clean install of the virtualenv against the manual steps with pip, both from nothing, in one run.

    python benchmarks/bench_install.py [--python /usr/bin/python3.11] [--torch cpu] [--folder DIR]

Runs the module python_env (uv; build, check of every file, import of the main packages) and then `python -m venv` with
`pip install --require-hashes` of the same locks and the same imports, neither with any cache. Prints seconds and the
ratio. pip compiles bytecode while it installs, uv leaves that to the first import, so a second pip run with
--no-compile shows like for like. Needs network or find-links, about 3 GB of disk, and a quiet machine to mean much;
the network is part of both sides, so compare only within one run.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "roles" / "virtualenv" / "files"
IMPORTS = ["torch", "transformers", "gradio", "sentencepiece", "huggingface_hub", "mdtex2html"]


def timed(command: list[str], **options: Any) -> float:
    """Run a command and return its seconds; a failure ends the benchmark with its output."""
    begin = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout[-3000:]}")
    return time.monotonic() - begin


def run_module(folder: Path, python: str, torch: str, uv: str) -> float:
    """Return the seconds of one call of python_env."""
    arguments = {
        "path": str(folder / "venv"),
        "python": python,
        "requirements": [(LOCKS / f"{name}.txt").read_text() for name in ("base", f"torch-{torch}")],
        "uv": uv,
        "cache_dir": str(folder / "cache"),
        "imports": IMPORTS,
    }
    ansible = Path(sys.executable).with_name("ansible")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    return timed(
        [str(ansible), "localhost", "-m", "python_env", "-a", json.dumps(arguments)], cwd=ROOT, env=environment
    )


def run_pip(folder: Path, python: str, torch: str, extra: list[str]) -> tuple[float, float]:
    """Return the seconds of the manual steps, and of the imports after them."""
    own = folder / "venv" / "bin" / "python"
    install = timed([python, "-m", "venv", str(folder / "venv")])
    locks = ["-r", str(LOCKS / "base.txt"), "-r", str(LOCKS / f"torch-{torch}.txt")]
    install += timed([str(own), "-m", "pip", "install", "--require-hashes", "--no-cache-dir", *extra, *locks])
    return install, timed([str(own), "-c", "import " + ", ".join(IMPORTS)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=shutil.which("python3.11") or "/usr/bin/python3")
    parser.add_argument("--torch", default="cpu", choices=["cpu", "2.7.1", "2.8.0"])
    parser.add_argument("--folder", help="where to build (default: a temporary folder)")
    options = parser.parse_args()
    try:
        from uv import find_uv_bin

        uv = find_uv_bin()
    except ImportError:
        uv = shutil.which("uv") or sys.exit("uv is missing")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        ours = run_module(folder / "ours", options.python, options.torch, uv)
        again = run_module(folder / "ours", options.python, options.torch, uv)
        shutil.rmtree(folder / "ours")
        print(f"python_env     {ours:6.1f} s with checks and first imports; second call {again:.1f} s (mostly Ansible)")
        for label, extra in (("pip", []), ("pip --no-compile", ["--no-compile"])):
            install, imports = run_pip(folder / "pip", options.python, options.torch, extra)
            shutil.rmtree(folder / "pip")
            total = install + imports
            print(f"{label:16} {install:6.1f} s and {imports:.1f} s for the imports; ratio {ours / total:.2f}")
    print(f"load while measuring: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
