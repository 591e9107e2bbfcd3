"""Program that loads CUDA's libraries as cpm_kernels 1.0.11 does, in a process of its own: a broken one can crash.

Called as ``python3 -I - NAME...``; prints one JSON object per library, at once: name, path, file, version, error.
The look-up: $CUDA_PATH/lib64/libNAME.so if it exists, /usr/local/cuda/lib64/libNAME.so if it exists, else what
ctypes.util.find_library(NAME) finds in the loader's cache. The first that is found has to load: there is no second try.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import sys
from typing import Any


def look_up(name: str) -> str:
    """Return what cpm_kernels would load for ``name``, a path or a soname; empty for nothing."""
    for folder in (os.environ.get("CUDA_PATH"), "/usr/local/cuda"):
        if folder is not None:
            path = os.path.join(folder, "lib64", f"lib{name}.so")
            if os.path.exists(path):
                return path
    return ctypes.util.find_library(name) or ""


def version(name: str, library: Any) -> tuple[str, str]:
    """Return the version that the loaded library tells, and why it does not, either empty."""
    number, other = ctypes.c_int(), ctypes.c_int()
    if name == "cudart":
        code = library.cudaRuntimeGetVersion(ctypes.byref(number))
    elif name == "cuda":
        code = library.cuDriverGetVersion(ctypes.byref(number))
    elif name == "nvrtc":
        code = library.nvrtcVersion(ctypes.byref(number), ctypes.byref(other))
        return (f"{number.value}.{other.value}", "") if code == 0 else ("", f"nvrtcVersion answered {code}")
    else:
        library.cublasLtGetVersion.restype = ctypes.c_size_t
        full = int(library.cublasLtGetVersion())
        # cuBLAS 11: 11.11.3 is 111103; cuBLAS 12: 12.6.4 is 120604.
        return f"{full // 10000}.{full // 100 % 100}.{full % 100}", ""
    if code:
        return "", f"the version call answered {code}" + (" (no driver, or one too old)" if code == 35 else "")
    return f"{number.value // 1000}.{number.value % 1000 // 10}", ""


def probe(name: str, path: str) -> dict[str, str]:
    """Return what comes of loading ``name`` from ``path``; ``error`` is empty when it loads."""
    found = {"name": name, "path": path, "file": "", "version": "", "version_error": "", "error": ""}
    if not path:
        found["error"] = f"lib{name} is not in $CUDA_PATH/lib64, /usr/local/cuda/lib64 or the loader's cache"
        return found
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        found["error"] = str(error)
        return found
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        files = {line.split(maxsplit=5)[5].strip() for line in maps if f"/lib{name}.so" in line}
    found["file"] = next(iter(sorted(files)), "")
    try:
        found["version"], found["version_error"] = version(name, library)
    except AttributeError as error:
        found["version_error"] = str(error)
    return found


if __name__ == "__main__":
    for asked in sys.argv[1:]:
        where = look_up(asked)
        print(json.dumps({"name": asked, "path": where, "started": True}), flush=True)
        print(json.dumps(probe(asked, where)), flush=True)
