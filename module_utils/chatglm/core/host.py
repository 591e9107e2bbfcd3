"""What the text that Linux offers says about a host: kernel, distribution, memory, mounts, ports, interpreters.

Every function here is pure: text in, values out. library/host_facts.py reads the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Runs on the host's own Python, which may be as old as 3.8: preflight has to say itself that this is too old.

GIB = 1024**3
"""Bytes in what messages call a GB, as in df -h, free -h and the sizes of GPUs."""

WINDOWS_DRIVE_TYPES = ("9p", "drvfs", "v9fs")
"""File systems through which WSL shows a Windows drive (WSL2: 9p, WSL1: drvfs)."""

NO_SYMLINK_TYPES = ("vfat", "msdos", "exfat")
"""File systems on which a virtualenv cannot be made, for want of symbolic links."""

PYTHON_NAMES = ("python3.12", "python3.11", "python3.10", "python3")
"""Interpreters looked for, the wanted one first; see plan.PYTHONS."""

PYTHON_PROBE = (
    "import sys, json, struct; print(json.dumps({'version': list(sys.version_info[:3]),"
    " 'path': getattr(sys, '_base_executable', None) or sys.executable, 'implementation': sys.implementation.name,"
    " 'venv': sys.prefix != sys.base_prefix, 'bits': struct.calcsize('P') * 8}))"
)
"""Program that an interpreter runs to describe itself; parse_python_report reads the answer."""


def parse_os_release(text: str) -> dict[str, str]:
    """Return the fields of an os-release file (os-release(5): shell-like assignments, quotes removed)."""
    fields = {}
    for line in text.splitlines():
        name, sign, value = line.strip().partition("=")
        if not sign or name.startswith("#"):
            continue
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        fields[name] = value
    return fields


def distribution(os_release: dict[str, str]) -> dict[str, str]:
    """Return id, version, codename, name of the distribution, and the base it derives from.

    ``base_codename`` is the codename that the package archive goes by: a derivative of Ubuntu (Mint, Pop!_OS) names
    it in UBUNTU_CODENAME, one of Debian (LMDE) in DEBIAN_CODENAME.
    """
    ident = os_release.get("ID", "linux")
    like = os_release.get("ID_LIKE", "").split()
    codename = os_release.get("VERSION_CODENAME", "")
    base, base_codename = ident, codename
    if os_release.get("UBUNTU_CODENAME"):
        base, base_codename = "ubuntu", os_release["UBUNTU_CODENAME"]
    elif os_release.get("DEBIAN_CODENAME"):
        base, base_codename = "debian", os_release["DEBIAN_CODENAME"]
    elif ident not in ("debian", "ubuntu") and "debian" in like:
        base = "debian"
    return {
        "id": ident,
        "version": os_release.get("VERSION_ID", ""),
        "codename": codename,
        "name": os_release.get("PRETTY_NAME", ident),
        "base": base,
        "base_codename": base_codename,
    }


def wsl_version(osrelease: str, proc_version: str, wsl_device: bool = False) -> int:
    """Return 2 or 1 for the version of WSL that the host runs under, 0 for none.

    Args:
        osrelease: content of /proc/sys/kernel/osrelease, for example ``5.15.167.4-microsoft-standard-WSL2``.
        proc_version: content of /proc/version; only its third word, the release, counts, as the compiler's name
            that follows may contain anything.
        wsl_device: /dev/dxg exists. Needed for a kernel that the user built and named himself: WSL1 has no kernel
            to replace, so such a host is WSL2.

    """
    words = proc_version.split()
    for release in (osrelease.strip().lower(), words[2].lower() if len(words) > 2 else ""):
        if "microsoft-standard" in release or "wsl2" in release:
            return 2
        if release.endswith("-microsoft"):
            return 1
    return 2 if wsl_device else 0


def parse_meminfo(text: str) -> dict[str, int]:
    """Return total, available, swap_total and swap_free memory in bytes, from /proc/meminfo (which counts in KiB).

    Kernels before 3.14 have no MemAvailable; free plus page cache stands in for it. A missing figure is 0.
    """
    found = {name: int(value) * 1024 for name, value in re.findall(r"^(\w+):\s+(\d+)(?: kB)?$", text, re.M)}
    available = found.get("MemAvailable", found.get("MemFree", 0) + found.get("Cached", 0))
    return {
        "total": found.get("MemTotal", 0),
        "available": available,
        "swap_total": found.get("SwapTotal", 0),
        "swap_free": found.get("SwapFree", 0),
    }


@dataclass(frozen=True)
class Mount:
    """One line of /proc/self/mountinfo, as far as it matters here."""

    point: str
    type: str
    source: str
    options: tuple[str, ...]

    @property
    def windows_drive(self) -> bool:
        """Whether WSL shows a Windows drive here (slow, and with Windows' permissions)."""
        return self.type in WINDOWS_DRIVE_TYPES


def mount_of(path: str, mountinfo: str) -> Mount | None:
    """Return the mount that holds ``path`` (absolute, symbolic links resolved), from the text of mountinfo.

    A later line covers an earlier one at the same point (proc(5): a mount hides what is below it).
    """
    best: Mount | None = None
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        fields, rest = left.split(" "), right.split(" ")
        if not dash or len(fields) < 6 or len(rest) < 2:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and (best is None or len(point) >= len(best.point)):
            best = Mount(point, rest[0], rest[1], tuple(fields[5].split(",")))
    return best


def listening_inodes(proc_net_tcp: str, port: int) -> list[str]:
    """Return the socket inodes that listen on TCP ``port``, from the text of /proc/net/tcp or tcp6."""
    inodes = []
    for line in proc_net_tcp.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            inodes.append(fields[9])
    return inodes


def parse_python_report(text: str) -> dict[str, Any] | None:
    """Return path and version of an interpreter from what PYTHON_PROBE printed, or None if it is of no use.

    Of no use: no answer (a pyenv shim without a version behind it), not CPython, or a 32-bit build; the packages
    that the project locks have wheels for 64-bit CPython only. An interpreter inside a virtualenv is reported as the
    one that the virtualenv stands on.
    """
    try:
        found = json.loads(text.strip().splitlines()[-1])
        version = [int(part) for part in found["version"]]
        if found["implementation"] != "cpython" or found["bits"] != 64:
            return None
        return {
            "path": str(found["path"]),
            "version": ".".join(map(str, version)),
            "minor": f"{version[0]}.{version[1]}",
        }
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def venv_python(pyvenv_cfg: str) -> str:
    """Return the path of the interpreter that a virtualenv was made from, from its pyvenv.cfg; empty if it is not told.

    venv writes ``version``, uv and virtualenv ``version_info``; all write ``home``, the interpreter's folder.
    """
    fields = {
        name.strip(): value.strip() for name, _, value in (line.partition("=") for line in pyvenv_cfg.splitlines())
    }
    version = version_tuple(fields.get("version_info", fields.get("version", "")))
    if not fields.get("home") or len(version) < 2:
        return ""
    return f"{fields['home']}/python{version[0]}.{version[1]}"


def loader_library(ldconfig: str, soname: str) -> str:
    """Return the path that the loader takes for ``soname``, from the output of ``ldconfig -p``; empty for none.

    Only 64-bit x86 entries count; the cache's first one wins.
    """
    for line in ldconfig.splitlines():
        name, _, path = line.strip().partition(" => ")
        if name.startswith(soname + " (") and "x86-64" in name:
            return path
    return ""


def merge(observed: dict[str, Any], injected: dict[str, Any]) -> dict[str, Any]:
    """Return ``observed`` with ``injected`` laid over it: dicts key by key, anything else replaced as a whole."""
    result = dict(observed)
    for name, value in injected.items():
        old = result.get(name)
        result[name] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def gigabytes(size: float) -> str:
    """Return ``size`` bytes as text like ``5.2 GB`` (1 GB = 1024 cubed bytes, as df -h and nvidia-smi count)."""
    return f"{size / GIB:.1f} GB"


def version_tuple(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: ``528.79`` gives (528, 79); empty for text without one."""
    match = re.match(r"\d+(?:\.\d+)*", text.strip())
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def http_urls(urls: Iterable[str]) -> list[str]:
    """Return those of ``urls`` that a HEAD request can ask; git@host:path, ssh and file addresses cannot be."""
    return [url for url in urls if re.match(r"https?://", url)]
