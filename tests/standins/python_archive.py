"""Make an archive in the layout of python-build-standalone (install_only) from this machine's Debian Python 3.11.

    python3 python_archive.py FOLDER [BASE]

writes FOLDER/BUILD/cpython-....tar.gz and FOLDER/downloads.json, the list in uv's format that names it with its
SHA-256. BASE is the address that the list puts before BUILD/ (default: FOLDER as file://). Made again only where this
machine's Python, or this script, has changed. Needs Debian 12's python3.11 and patchelf.

Does not prove that the true archives work: they are other builds, with a lower glibc floor and their own libraries.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PYTHON = "/usr/bin/python3.11"
LIBRARY = "usr/lib/python3.11"
PACKAGES = ("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib")
BUILD = "20230409"
# What is the host's own there: glibc.
GLIBC = re.compile(r"(ld-linux.*|lib(c|m|dl|rt|pthread|util|resolv)\.so\..*)")


def packaged() -> list[str]:
    """Files of Debian's packages that make up the interpreter and its library.

    Raises:
        SystemExit: this machine has none.

    """
    done = subprocess.run(["dpkg-query", "--listfiles", *PACKAGES], capture_output=True, text=True, check=False)
    if done.returncode or not shutil.which("patchelf"):
        sys.exit("python_archive needs Debian 12's python3.11 and patchelf: apt-get install python3.11 patchelf")
    wanted = re.compile(rf"{PYTHON}|/{LIBRARY}/(?!.*(__pycache__|/test/|/config-|/dist-packages|/EXTERNALLY)).*")
    return [path for path in done.stdout.splitlines() if wanted.fullmatch(path) and not os.path.isdir(path)]


def needed(path: str) -> dict[str, str]:
    """Name and place of the shared libraries that a program loads, glibc's left out."""
    done = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    found = re.findall(r"^\s*(\S+) => (/\S+)", done.stdout, re.MULTILINE)
    return {name: place for name, place in found if not GLIBC.fullmatch(name)}


def lay_out(root: Path) -> None:
    """Copy the files below ``root``, each program told to look for its libraries beside it."""
    libraries: dict[str, str] = {}
    programs = []
    for path in packaged():
        target = root / os.path.relpath(path, "/usr")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)  # what a link means, not the link
        if path == PYTHON or path.endswith(".so"):
            libraries |= needed(path)
            programs.append(target)
    for name, place in libraries.items():
        target = root / "lib" / name
        shutil.copy2(place, target)
        programs.append(target)
    for target in programs:
        target.chmod(0o755)
        rpath = f"$ORIGIN/{os.path.relpath(root / 'lib', target.parent)}"
        # The older tag holds for the libraries' own libraries too.
        subprocess.run(["patchelf", "--force-rpath", "--set-rpath", rpath, str(target)], check=True)
    for name in ("python3", "python"):
        (root / "bin" / name).symlink_to("python3.11")


def pack(root: Path, target: Path) -> str:
    """Write the archive and return its SHA-256."""

    def own(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return entry

    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as archive:
        archive.add(root, "python", filter=own)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.getvalue())
    return hashlib.sha256(content.getvalue()).hexdigest()


def entry(version: str, url: str, sha256: str) -> dict[str, object]:
    """One entry of uv's list."""
    major, minor, patch = map(int, version.split("."))
    machine: dict[str, object] = {"arch": {"family": "x86_64", "variant": None}, "os": "linux", "libc": "gnu"}
    number: dict[str, object] = {"major": major, "minor": minor, "patch": patch, "prerelease": ""}
    return {"name": "cpython", **machine, **number, "url": url, "sha256": sha256, "variant": None, "build": BUILD}


def make(folder: Path, base: str = "") -> Path:
    """Make archive and list unless they are there, and return the list's path."""
    base = base or folder.absolute().as_uri()
    versions = subprocess.run(["dpkg-query", "--show", *PACKAGES, "libssl3"], capture_output=True, check=False).stdout
    made_from = hashlib.sha256(versions + Path(__file__).read_bytes()).hexdigest()
    mark, listed = folder / "made-from", folder / "downloads.json"
    version = subprocess.run([PYTHON, "-I", "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    name = f"cpython-{version}+{BUILD}-x86_64-unknown-linux-gnu-install_only.tar.gz"
    archive = folder / BUILD / name
    if not (archive.is_file() and mark.is_file() and mark.read_text() == made_from):
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "python"
            lay_out(root)
            pack(root, archive)
        mark.write_text(made_from)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    url = f"{base}/{BUILD}/{name.replace('+', '%2B')}"
    listed.write_text(json.dumps({f"cpython-{version}-linux-x86_64-gnu": entry(version, url, sha256)}, indent=1) + "\n")
    return listed


if __name__ == "__main__":
    print(make(Path(sys.argv[1]), *sys.argv[2:3]))
