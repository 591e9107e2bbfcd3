"""Containers of the lab's images, with a copy of this project in them."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from conftest import ROOT

CONF = {**os.environ, "CONTAINERS_CONF": str(ROOT / "lab" / "containers.conf")}


def image(suite: str) -> str:
    """Return the lab's image of a distribution, built first where it is missing."""
    done = subprocess.run([ROOT / "lab" / "build-image", suite], capture_output=True, text=True, env=CONF)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def copy_project(folder: Path) -> Path:
    """Make a folder hold this project's files as they are now, and what was built in it before."""
    command = ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.name not in (".venv", ".cache"):
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for name in filter(None, names):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder


class Container:
    """A running container."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _command(self, line: str, user: str, *options: str) -> list[str]:
        home = "/root" if user == "root" else f"/home/{user}"
        places = ["--user", user, "--env", f"HOME={home}", "--workdir", home]
        return ["podman", "exec", *options, *places, self.name, "sh", "-c", line]

    def run(self, line: str, user: str = "root") -> subprocess.CompletedProcess:
        """Run a line of shell as a user, without a terminal."""
        command = self._command(line, user)
        return subprocess.run(command, capture_output=True, text=True, env=CONF, stdin=subprocess.DEVNULL)

    def type(self, line: str, password: str, user: str) -> tuple[int, str]:
        """Run a line of shell as a user on a terminal, where each question for a password is answered.

        Returns:
            (exit status, what the terminal showed).

        """
        pid, terminal = pty.fork()
        if not pid:
            command = self._command(line, user, "--interactive", "--tty")
            os.execvpe(command[0], command, CONF)
        shown, asked = b"", 0
        with contextlib.suppress(OSError):  # what a terminal says at its end
            while piece := os.read(terminal, 4096):
                shown += piece
                if b"assword" in shown[asked:] and shown.rstrip().endswith(b":"):
                    asked = len(shown)
                    os.write(terminal, password.encode() + b"\n")
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace").replace("\r\n", "\n")


@contextlib.contextmanager
def container(suite: str, *options: object) -> Iterator[Container]:
    """Run a container of a distribution for the time of a with block; its certificates are this machine's too."""
    name = f"chatglm-unit-{suite}-{os.getpid()}-{len(options)}"
    store = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    mounts = ["--volume", f"{store}:/usr/local/share/ca-certificates/machine.crt:ro"] if store.exists() else []
    command = ["podman", "run", "--detach", "--rm", "--name", name, *mounts, *options, image(suite)]
    command += ["sh", "-c", "sleep 3600 & wait"]  # as init would: what has ended is reaped
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=CONF)
    assert done.returncode == 0, done.stderr
    try:
        made = Container(name)
        assert made.run("update-ca-certificates").returncode == 0
        yield made
    finally:
        subprocess.run(["podman", "rm", "--force", "--time", "0", name], capture_output=True, env=CONF)
