"""Run cuda_lookup_worker, and find CUDA's libraries among a virtualenv's packages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..core.processes import isolated, source_of
from . import cuda_lookup, cuda_lookup_worker

TIMEOUT = 60  # seconds; cublasLt has hundreds of megabytes
LINKED = ("cudart", "cublasLt", "nvrtc")
"""What cpm_kernels opens, but for the driver's own library."""


def probe(cuda_path: str | None = None) -> list[dict[str, Any]]:
    """Return the worker's answers.

    Args:
        cuda_path: what CUDA_PATH is to say; None for what it says here.

    """
    environment = {**os.environ, **({} if cuda_path is None else {"CUDA_PATH": cuda_path})}
    try:
        done = subprocess.run(
            isolated(sys.executable, "-", *cuda_lookup.REPORTED),
            check=False,
            input=source_of(cuda_lookup_worker),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        out = (error.stdout or b"").decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout or ""
        return cuda_lookup.parse_answers(out, -1, f"took longer than {TIMEOUT} s")
    return cuda_lookup.parse_answers(done.stdout, done.returncode, done.stderr)


def of_virtualenv(venv: str, cuda: str) -> dict[str, str]:
    """Return the libraries in packages of a virtualenv, name to path, of a major version no newer than ``cuda``'s."""
    newest, found = int(cuda.partition(".")[0]), {}
    for name in LINKED:
        best = (0, "")
        for path in Path(venv).glob(f"lib/python3*/site-packages/nvidia/*/lib/lib{name}.so.*"):
            match = re.fullmatch(r"(\d+)(\.\d+)*", path.name.partition(".so.")[2])
            if match and int(match[1]) <= newest:
                best = max(best, (int(match[1]), str(path)))
        if best[1]:
            found[name] = best[1]
    return found


def links(folder: str) -> dict[str, str]:
    """Return our links in ``folder``/lib64, name to target: those that lead into the virtualenv beside ``folder``."""
    found = {}
    inside = os.path.join(folder, "lib64")
    try:
        names = os.listdir(inside)
    except OSError:
        return {}
    for name in names:
        path = os.path.join(inside, name)
        if os.path.islink(path) and os.readlink(path).startswith("../../venv/"):
            found[name] = os.readlink(path)
    return found
