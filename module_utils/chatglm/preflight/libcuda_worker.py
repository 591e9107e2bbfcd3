"""Program that asks libcuda for its GPUs. It runs in a process of its own: a broken driver can crash or hang it.

Called as ``python3 -I - PATH`` with PATH a file name, or ``libcuda.so.1`` for whatever the loader takes. Prints one
JSON object: path, error, code, driver_cuda, gpus. Takes no GPU memory, makes no context.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

MAJOR, MINOR = 75, 76  # cuda.h: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR


class Symbol(ctypes.Structure):
    """What dladdr(3) tells about an address."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def file_of(function: Any) -> str:
    """Return the file that the loader took ``function`` from, or empty."""
    found = Symbol()
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "dladdr"):  # glibc before 2.34 keeps it in libdl
        libc = ctypes.CDLL("libdl.so.2")
    libc.dladdr.argtypes = [ctypes.c_void_p, ctypes.POINTER(Symbol)]
    known = libc.dladdr(ctypes.cast(function, ctypes.c_void_p), ctypes.byref(found))
    return (found.file or b"").decode(errors="replace") if known else ""


def device(library: Any, index: int) -> dict[str, Any]:
    """Return name, uuid, memory_total (bytes) and capability of GPU ``index``; what cannot be asked is empty."""
    handle, name, memory = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
    uuid, major, minor = (ctypes.c_ubyte * 16)(), ctypes.c_int(), ctypes.c_int()
    found: dict[str, Any] = {"name": "", "uuid": "", "memory_total": 0, "capability": ""}
    if library.cuDeviceGet(ctypes.byref(handle), index):
        return found
    if hasattr(library, "cuDeviceGetName") and not library.cuDeviceGetName(name, 256, handle):
        found["name"] = name.value.decode(errors="replace")
    if hasattr(library, "cuDeviceTotalMem_v2") and not library.cuDeviceTotalMem_v2(ctypes.byref(memory), handle):
        found["memory_total"] = memory.value
    if hasattr(library, "cuDeviceGetUuid") and not library.cuDeviceGetUuid(uuid, handle):
        text = bytes(uuid).hex()
        found["uuid"] = "GPU-" + "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    if hasattr(library, "cuDeviceGetAttribute") and not (
        library.cuDeviceGetAttribute(ctypes.byref(major), MAJOR, handle)
        or library.cuDeviceGetAttribute(ctypes.byref(minor), MINOR, handle)
    ):
        found["capability"] = f"{major.value}.{minor.value}"
    return found


def ask(path: str) -> dict[str, Any]:
    """Return what the library at ``path`` says; ``error`` is empty when it works."""
    found: dict[str, Any] = {"path": path, "error": "", "code": 0, "driver_cuda": 0, "gpus": []}
    try:
        library = ctypes.CDLL(path)
        found["path"] = file_of(library.cuInit) or path
        found["code"] = library.cuInit(0)
        number = ctypes.c_int()
        if not library.cuDriverGetVersion(ctypes.byref(number)):  # allowed before and after a failed cuInit
            found["driver_cuda"] = number.value
        if found["code"]:
            found["error"] = f"cuInit answered {found['code']}"
            return found
        if library.cuDeviceGetCount(ctypes.byref(number)):
            found["error"] = "cuDeviceGetCount failed"
            return found
        found["gpus"] = [device(library, index) for index in range(number.value)]
    except (OSError, AttributeError) as error:
        found["error"] = str(error)
    return found


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1])))
