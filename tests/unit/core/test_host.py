"""Parsing of what a host says. Samples in data/host with their origins; kernel names from public reports."""

from pathlib import Path

import pytest
from ansible.module_utils.chatglm.core import host

DATA = Path(__file__).parents[1] / "data" / "host"


@pytest.mark.parametrize(
    ("osrelease", "version", "device", "expected"),
    [
        ("5.15.167.4-microsoft-standard-WSL2\n", "", False, 2),
        ("4.19.43-microsoft-standard", "", False, 2),
        ("4.4.0-19041-Microsoft", "Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)", False, 1),
        ("6.1.0-28-amd64", "Linux version 5.15.0-microsoft-standard-WSL2 (root@x)", False, 2),
        ("6.6.1-mine", "Linux version 6.6.1-mine (me@box)", True, 2),
        ("6.1.0-28-amd64", "Linux version 6.1.0-28-amd64 (debian-kernel@lists.debian.org)", False, 0),
        ("5.15.0-1041-azure", "Linux version 5.15.0-1041-azure (builder@microsoft) (gcc microsoft)", False, 0),
        ("", "", False, 0),
    ],
)
def test_wsl_version(osrelease, version, device, expected):
    assert host.wsl_version(osrelease, version, device) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'NAME="Ubuntu"\nVERSION_ID="22.04"\nVERSION_CODENAME=jammy\nID=ubuntu\nUBUNTU_CODENAME=jammy',
            ("ubuntu", "22.04", "ubuntu", "jammy"),
        ),
        ("ID=debian\nVERSION_ID='13'\nVERSION_CODENAME=trixie\n#x=y\n\nnonsense", ("debian", "13", "debian", "trixie")),
        (
            'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble',
            ("linuxmint", "22", "ubuntu", "noble"),
        ),
        ("ID=kali\nID_LIKE=debian\nVERSION_CODENAME=kali-rolling", ("kali", "", "debian", "kali-rolling")),
        ("ID=fedora\nVERSION_ID=41", ("fedora", "41", "fedora", "")),
        ("", ("linux", "", "linux", "")),
    ],
)
def test_distribution(text, expected):
    found = host.distribution(host.parse_os_release(text))
    assert (found["id"], found["version"], found["base"], found["base_codename"]) == expected


def test_os_release_unescapes():
    assert host.parse_os_release('NAME="a \\"b\\" \\$c"')["NAME"] == 'a "b" $c'


def test_meminfo():
    assert host.parse_meminfo((DATA / "meminfo.txt").read_text()) == {
        "total": 24684084 * 1024,
        "available": 17626096 * 1024,
        "swap_total": 0,
        "swap_free": 0,
    }
    old = host.parse_meminfo("MemTotal: 1000 kB\nMemFree: 100 kB\nCached: 50 kB\nSwapTotal: 9 kB\nSwapFree: 8 kB\n")
    assert old == {"total": 1024000, "available": 153600, "swap_total": 9216, "swap_free": 8192}
    assert host.parse_meminfo("")["total"] == 0


@pytest.mark.parametrize(
    ("path", "point", "kind", "drive"),
    [
        ("/home/me/chatglm", "/", "ext4", False),
        ("/mnt/c/Users/me", "/mnt/c", "9p", True),
        ("/mnt/c", "/mnt/c", "9p", True),
        ("/mnt/cargo", "/", "ext4", False),
        ("/mnt/my disk/x", "/mnt/my disk", "xfs", False),
    ],
)
def test_mount_of(path, point, kind, drive):
    mount = host.mount_of(path, (DATA / "mountinfo-wsl2.txt").read_text())
    assert (mount.point, mount.type, mount.windows_drive) == (point, kind, drive)


def test_mount_of_nothing():
    assert host.mount_of("/x", "") is None
    assert host.mount_of("/x", "garbage\n1 2 3 - \n") is None


def test_listening_inodes():
    # Invented in the format of proc(5): a listener on 127.0.0.1:7860 (1EB4) and a client connected to it.
    text = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1EB4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 48211 1\n"
        "   1: 0100007F:1EB4 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 48333 1\n"
    )
    assert host.listening_inodes(text, 7860) == ["48211"]
    assert host.listening_inodes(text, 7861) == []
    assert host.listening_inodes("", 1) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"version": [3, 11, 2], "path": "/x/python3.11", "implementation": "cpython", "venv": false, "bits": 64}',
            {"path": "/x/python3.11", "version": "3.11.2", "minor": "3.11"},
        ),
        ('{"version": [3, 10, 14], "path": "/x/pypy3", "implementation": "pypy", "venv": false, "bits": 64}', None),
        (
            '{"version": [3, 10, 14], "path": "/x/python3", "implementation": "cpython", "venv": false, "bits": 32}',
            None,
        ),
        ("pyenv: python3.12: command not found", None),
        ("", None),
        ("[]", None),
    ],
)
def test_python_report(text, expected):
    assert host.parse_python_report(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Captured, then shortened: python3 -m venv, and uv 0.13.
        (
            "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11.2\nexecutable = /usr/bin/py\n",
            "/usr/bin/python3.11",
        ),
        ("home = /usr/bin\nimplementation = CPython\nuv = 0.13.9\nversion_info = 3.12.1\n", "/usr/bin/python3.12"),
        ("home = /usr/bin\n", ""),
        ("", ""),
    ],
)
def test_venv_python(text, expected):
    assert host.venv_python(text) == expected


def test_loader_library():
    text = (DATA / "ldconfig.txt").read_text()
    assert host.loader_library(text, "libcuda.so.1") == "/usr/lib/wsl/lib/libcuda.so.1"
    assert host.loader_library(text, "libcuda.so") == ""
    assert host.loader_library("\tlibcuda.so.1 (libc6) => /usr/lib/i386-linux-gnu/libcuda.so.1", "libcuda.so.1") == ""


def test_merge():
    assert host.merge({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3}, "d": [2]}) == {"a": {"b": 3, "c": 2}, "d": [2]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("528.79", (528, 79)), ("12.0", (12, 0)), ("535.183.01", (535, 183, 1)), ("", ()), ("x1", ())],
)
def test_version_tuple(text, expected):
    assert host.version_tuple(text) == expected


def test_http_urls():
    assert host.http_urls(["https://a/b.git", "git@h:x", "file:///x", "http://c"]) == ["https://a/b.git", "http://c"]
