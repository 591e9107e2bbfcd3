"""Facts of hosts as library/host_facts.py finds them; all are invented."""

import copy

from ansible.module_utils.chatglm.core import host

GIB = 1024**3
RELEASES = {
    "bookworm": 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm',
    "trixie": 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie',
    "jammy": 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\nVERSION_CODENAME=jammy\nUBUNTU_CODENAME=jammy',
    "noble": 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble',
    "newer": 'ID=ubuntu\nVERSION_ID="26.04"\nVERSION_CODENAME=resolute\nUBUNTU_CODENAME=resolute',
    "focal": 'ID=ubuntu\nVERSION_ID="20.04"\nVERSION_CODENAME=focal\nUBUNTU_CODENAME=focal',
    "mint": 'ID=linuxmint\nID_LIKE="ubuntu"\nVERSION_ID="21.3"\nVERSION_CODENAME=virginia\nUBUNTU_CODENAME=jammy',
    "fedora": "ID=fedora\nVERSION_ID=41",
}


def gpu(name="NVIDIA GeForce RTX 3060 Laptop GPU", capability="8.6", total=6.0, free=5.7, **changes):
    return {
        "index": 0,
        "uuid": "GPU-1",
        "name": name,
        "memory_total": None if total is None else int(total * GIB),
        "memory_free": None if free is None else int(free * GIB),
        "capability": capability,
        "usable": True,
        **changes,
    }


def facts(release="jammy", gpus=None, **changes):
    """Return the facts of the reference laptop under WSL2, with ``changes`` (dicts laid over key by key)."""
    base = {
        "kernel": "5.15.167.4-microsoft-standard-WSL2",
        "wsl": 2,
        "wsl_distribution": "Ubuntu-22.04",
        "architecture": "x86_64",
        "distribution": host.distribution(host.parse_os_release(RELEASES[release])),
        "systemd": True,
        "user": "me",
        "uid": 1000,
        "pythons": [{"path": "/usr/bin/python3.10", "version": "3.10.12", "minor": "3.10", "asked": False}],
        "git": "/usr/bin/git",
        "gcc": "/usr/bin/gcc",
        "clock": {"sane": True, "now": "2026-11-22 12:00:00 UTC"},
        "memory": {"total": 8 * GIB, "available": 7 * GIB, "swap_total": 4 * GIB, "swap_free": 4 * GIB},
        "disk": {
            "path": "/home/me",
            "blocked_by": "",
            "free": 200 * GIB,
            "total": 250 * GIB,
            "mount": "/",
            "type": "ext4",
            "options": ["rw", "relatime"],
            "windows_drive": False,
            "writable": True,
            "foreign": [],
        },
        "port": {"free": True, "error": "", "owner": None},
        "gpus": [gpu()] if gpus is None else gpus,
        "nvidia": {
            "dxg": True,
            "wsl_libcuda": True,
            "libcuda": {"path": "/usr/lib/wsl/lib/libcuda.so.1", "error": "", "code": 0},
            "loader_libcuda": "/usr/lib/wsl/lib/libcuda.so.1",
            "driver": "528.79",
            "driver_cuda": 12000,
            "smi": {"path": "/usr/lib/wsl/lib/nvidia-smi", "rc": 0, "error": "", "trouble": ""},
            "linux_driver_packages": [],
        },
        "installed": {"weights": 0, "torch": "", "proven": False},
        "sources": [],
        "injected": [],
    }
    return host.merge(copy.deepcopy(base), changes)
