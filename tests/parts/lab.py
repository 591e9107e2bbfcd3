"""What molecule's scenarios need from this machine: programs, a CPU build of torch, and where packages come from."""

import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

import environments
from conftest import cannot_run

ROOT = Path(__file__).resolve().parents[2]

PROGRAMS = {
    "podman": "podman",
    "runc": "runc",
    "mmdebstrap": "mmdebstrap",
    "iptables": "iptables",
    "nft": "nftables",
    "ssh": "openssh-client",
    "git": "git",
    "patchelf": "patchelf",
    "/usr/lib/podman/netavark": "netavark",
    "/usr/lib/podman/aardvark-dns": "aardvark-dns",
}


def reachable(host):
    try:
        socket.create_connection((host, 443), timeout=10).close()
    except OSError:
        return False
    return True


def wheels(find_links):
    """Tell whether one of the folders holds a CPU build of torch for Debian 12's Python."""
    pattern = f"torch-*+cpu-cp311-cp311-*{platform.machine()}.whl"
    return any(list(Path(word).glob(pattern)) for word in find_links.split() if word.startswith("/"))


def environment(need, part):
    """Return the environment for molecule; where no host can be made, skip the part, or fail it if it was named."""
    if os.geteuid():
        cannot_run(part, "its hosts need root (rootless containers cannot be reached over SSH)")
    need(PROGRAMS, part)
    find_links = environments.pip_setting("find-links")
    if not wheels(find_links) and not reachable("download.pytorch.org"):
        cannot_run(part, "no CPU torch: none in pip's find-links, and download.pytorch.org is unreachable")
    index = environments.pip_setting("index-url")
    env = {
        **os.environ,
        "CHATGLM_LAB_FIND_LINKS": find_links,
        "CHATGLM_LAB_INDEX_URL": "" if index.startswith("file:") else index,
        "CHATGLM_LAB_CA": os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
    }
    # Served on each host by its own stand-ins, see tests/standins/README.md.
    python = ROOT / ".cache" / "lab" / "python"
    command = [sys.executable, str(ROOT / "tests" / "standins" / "python_archive.py"), str(python)]
    subprocess.run([*command, "http://127.0.0.1:8765/python"], check=True)
    env["CHATGLM_LAB_PYTHON"] = str(python)
    env.pop("ANSIBLE_CONFIG", None)  # molecule writes its own
    return env
