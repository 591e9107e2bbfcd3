"""What to do about a fetch that failed: a variable that stops it, WSL's resolver, or what its caller advises.

Runs on the host's own Python, which may be as old as 3.8.
"""

from __future__ import annotations

import os
import re

from . import host, network_environment

# Of the C library, requests, git and uv.
UNRESOLVED = re.compile(
    r"Name or service not known|Temporary failure in name resolution|No address associated|Could not resolve host|"
    r"NameResolutionError|dns error|lookup address information|name (\S+ )?cannot be resolved",
    re.IGNORECASE,
)
WSL_NAMES = (
    "in PowerShell: wsl --shutdown, then open WSL again, and if names are still not found give it a server of its own: "
    "printf '[network]\\ngenerateResolvConf=false\\n' | sudo tee -a /etc/wsl.conf && sudo rm -f /etc/resolv.conf && "
    "echo nameserver 223.5.5.5 | sudo tee /etc/resolv.conf"
)
WSL_CONF = "/etc/wsl.conf"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def in_wsl() -> bool:
    """Tell whether this host is WSL."""
    interop = os.path.exists("/dev/dxg") or os.path.exists("/proc/sys/fs/binfmt_misc/WSLInterop")
    return bool(host.wsl_version(_read("/proc/sys/kernel/osrelease"), _read("/proc/version"), interop))


def of_names(text: str, otherwise: str, wsl: bool) -> str:
    """Return WSL's remedy where ``text`` says that a name was not found, and that was not done already."""
    done = re.search(r"(?im)^\s*generateResolvConf\s*=\s*false", _read(WSL_CONF))
    return WSL_NAMES if wsl and not done and UNRESOLVED.search(text) else otherwise


def mending(problem: network_environment.Problem) -> str:
    """Return the line that mends a variable, with no semicolon, which parts remedies."""
    return f"mend that variable: {problem.remedy.replace('; ', ' && ')}"


def remedy(text: str, otherwise: str, client: str = "", url: str = "") -> str:
    """Return what to do about a fetch that failed.

    Args:
        text: what the client said.
        otherwise: the remedy where neither a variable nor WSL's resolver is at fault.
        client: as in :func:`network_environment.stopped`; empty where no variable is to be looked at.
        url: what was asked.

    """
    problem = network_environment.stopped(client, url, os.environ) if client else None
    if problem:
        return f"{problem.said()[0]}; {mending(problem)}"
    return of_names(text, otherwise, in_wsl())
