"""What the NVIDIA driver says: nvidia-smi's table, libcuda's answers, and driver packages that dpkg lists.

Pure functions; library/host_facts.py runs the programs.
"""

from __future__ import annotations

import re
from typing import Any

WSL_FOLDER = "/usr/lib/wsl/lib"
"""Where WSL puts the libraries and nvidia-smi of the driver that is installed on Windows."""

SMI_PATHS = (f"{WSL_FOLDER}/nvidia-smi", "/usr/bin/nvidia-smi", "/usr/local/bin/nvidia-smi", "/opt/bin/nvidia-smi")
"""Tried by absolute path: shells of root, ssh and Ansible do not have WSL's folder on PATH."""

# The name comes last, so that a comma in it does no harm.
INT4_CAPABILITIES = ("6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.9")
"""Compute capabilities that upstream's int4 kernels hold machine code for; there is no PTX for the others."""

SMI_FIELDS = ("uuid", "memory.total", "memory.free", "driver_version", "compute_cap", "name")
SMI_FIELDS_OLD = tuple(field for field in SMI_FIELDS if field != "compute_cap")
"""For drivers before 470, which answer compute_cap with "is not a valid field to query"."""

MIB = 1024**2

CUDA_ERRORS = {
    2: "out of memory (on WSL: often several GPUs, or a driver and a WSL version that do not fit)",
    3: "not initialised",
    34: "the library is a stub, not a driver",
    35: "the driver is older than the CUDA version asked for",
    100: "no CUDA device",
    101: "invalid device",
    999: "unknown error",
    803: "system driver mismatch: the libraries and the driver are of different versions",
    804: "forward compatibility is not supported on this device",
}
"""Meaning of libcuda's result codes (cuda.h, CUresult), those met at the start."""

DRIVER_PACKAGE = re.compile(
    r"(nvidia-driver(-\d.*|-bin|-libs|-cuda|-open)?|nvidia-utils-\d.*|nvidia-smi|libnvidia-compute-\d.*|libcuda1(-\d+)?"
    r"|libnvidia-ml1|nvidia-(dkms|kernel|headless)-.*|cuda-drivers(-.*)?)"
)
"""Packages of Debian, Ubuntu and NVIDIA's own repository that belong to a Linux driver."""


def smi_command(path: str, fields: tuple[str, ...] = SMI_FIELDS) -> list[str]:
    """Return the argument list that asks the nvidia-smi at ``path`` for ``fields``."""
    return [path, "--query-gpu=" + ",".join(fields), "--format=csv,noheader,nounits"]


def _number(text: str) -> Any:
    """Return the number that ``text`` begins with (a unit may follow), or None for [N/A] and its like."""
    match = re.match(r"\d+(\.\d+)?", text)
    return float(match.group()) if match else None


def parse_smi(text: str, fields: tuple[str, ...] = SMI_FIELDS) -> list[dict[str, Any]]:
    """Return one dict per GPU from nvidia-smi's CSV answer: uuid, name, memory_total, memory_free (bytes, or None),
    capability (or ""), driver (or "").

    Fields that this card or driver does not tell ("[N/A]", "[Not Supported]", "[Insufficient Permissions]",
    "[Unknown Error]") become None or "". Lines of another shape (warnings, a table) are skipped.
    """  # noqa: D205
    gpus = []
    for line in text.splitlines():
        values = [value.strip() for value in line.split(",", len(fields) - 1)]
        if len(values) != len(fields):
            continue
        row = {field: "" if re.match(r"\[.*\]$", value) else value for field, value in zip(fields, values)}  # noqa: B905
        if not row["name"] or row["name"] == "name":
            continue
        total, free = _number(row["memory.total"]), _number(row["memory.free"])
        gpus.append(
            {
                "uuid": row["uuid"],
                "name": row["name"],
                "memory_total": None if total is None else int(total * MIB),
                "memory_free": None if free is None else int(free * MIB),
                "capability": row.get("compute_cap", "") if _number(row.get("compute_cap", "")) is not None else "",
                "driver": row["driver_version"] if _number(row["driver_version"]) is not None else "",
            }
        )
    return gpus


def smi_lacks_field(text: str) -> bool:
    """Whether nvidia-smi refused the question for a field that this version does not know."""
    return "is not a valid field to query" in text


def smi_trouble(text: str) -> str:
    """Return a short stable name for what went wrong in nvidia-smi's words.

    no_driver (the driver does not answer), blocked (Windows keeps the GPU to itself), no_device, mismatch (library
    and driver of different versions), other.
    """
    known = {
        "no_driver": "couldn't communicate with the NVIDIA driver",
        "blocked": "GPU access blocked by the operating system",
        "no_device": "No devices were found",
        "mismatch": "version mismatch",
    }
    lower = text.lower().replace("\u2019", "'")
    return next((name for name, words in known.items() if words.lower() in lower), "other")


def driver_packages(dpkg_status: str) -> list[str]:
    """Return the installed packages of a Linux NVIDIA driver, from the text of /var/lib/dpkg/status.

    Removed packages whose configuration is left do not count.
    """
    return [name for name in installed_packages(dpkg_status) if DRIVER_PACKAGE.fullmatch(name)]


def installed_packages(dpkg_status: str) -> list[str]:
    """Return the names of all packages that dpkg holds installed, sorted, from the text of its status file."""
    pairs = re.findall(r"^Package: (\S+)\n(?:(?!Status:|\n).*\n)*Status: \S+ \S+ (\S+)$", dpkg_status, re.M)
    return sorted({name for name, state in pairs if state == "installed"})


def merge_gpus(cuda: list[dict[str, Any]], smi: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the GPUs that libcuda or nvidia-smi told, what one does not tell filled in from the other.

    libcuda's order comes first, as it is the order in which torch counts. ``usable`` says that libcuda has the GPU:
    what only nvidia-smi sees cannot be computed on. Same GPU: same uuid, else
    the only one of its name, else the only one.
    """
    rest = list(smi)
    gpus = []
    for index, gpu in enumerate(cuda):
        same = [row for row in rest if gpu["uuid"] and row["uuid"] == gpu["uuid"]]
        if not same:
            open_rows = [row for row in rest if not row["uuid"] or not gpu["uuid"]]
            named = [row for row in open_rows if row["name"] == gpu["name"]]
            same = named if len(named) == 1 else (open_rows if len(cuda) == len(smi) == 1 else [])
        row = same[0] if same else {}
        if row:
            rest.remove(row)
        gpus.append(
            {
                "index": index,
                "uuid": gpu["uuid"] or row.get("uuid", ""),
                "name": gpu["name"] or row.get("name", ""),
                "memory_total": gpu["memory_total"] or row.get("memory_total"),
                "memory_free": row.get("memory_free"),
                "capability": gpu["capability"] or row.get("capability", ""),
                "usable": True,
            }
        )
    gpus += [
        {
            "index": None,
            "uuid": row["uuid"],
            "name": row["name"],
            "memory_total": row["memory_total"],
            "memory_free": row["memory_free"],
            "capability": row["capability"],
            "usable": False,
        }
        for row in rest
        # Without a uuid on both sides a row that is left may be a GPU that is listed already.
        if not cuda or (row["uuid"] and all(gpu["uuid"] for gpu in cuda))
    ]
    return gpus


def cuda_version(number: int) -> str:
    """Return cuDriverGetVersion's number as text: 12040 gives ``12.4``; 0 gives empty."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else ""
