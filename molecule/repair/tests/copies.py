"""Copies of an installed host: containers on a copy-on-write layer over its files, made in a second, thrown away.

The layer lies on the very files of the stopped host, so that a copy has its inodes and times and all that the
installation has recorded of them still holds. `copies.py HOST...` removes what a killed run has left.
"""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

COUNTERS = """
table inet received {
  counter net {}
  counter standins {}
  chain in {
    type filter hook input priority 0
    iifname "lo" tcp sport { 8765, 8766 } counter name standins
    iifname != "lo" tcp dport != 22 counter name net
  }
}
"""


def run(*words, check=True, **options):
    """Run a command and return it done, with its output as text."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, errors="replace", **options)
    if check and done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {words}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


def inspect(name, what):
    return run("podman", "inspect", "--format", "{{" + what + "}}", name).stdout.strip()


def wait_for_ssh(address, seconds=60):
    """Return once sshd greets, within so many seconds."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        try:
            with socket.create_connection((address, 22), timeout=1) as connection:
                if connection.recv(4).startswith(b"SSH"):
                    return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"no sshd at {address}")


def start(name):
    """Start a host that may be stopped; return its address."""
    run("podman", "start", name)
    address = inspect(name, ".NetworkSettings.IPAddress")
    wait_for_ssh(address)
    return address


class Copy:
    """One copy of the host ``base``, which is stopped for it; ``options`` are words for podman run."""

    def __init__(self, base, options=()):
        self.base, self.name = base, f"{base}-copy"
        remove(base)
        run("podman", "stop", "--time=5", base)
        place = Path(run("podman", "volume", "create", self.name) and volume(self.name))
        layers = json.loads(inspect(base, "json .GraphDriver.Data"))
        for folder in ("upper", "work", "root"):
            (place / folder).mkdir()
        root = place / "root"
        below = f"{layers['UpperDir']}:{layers['LowerDir']}"
        # Without redirect_dir, a folder that comes from below could not be renamed, as it can on a host's own disk.
        lay = f"lowerdir={below},upperdir={place / 'upper'},workdir={place / 'work'},redirect_dir=on"
        run("mount", "-t", "overlay", "overlay", "-o", lay, root)
        mounts = [m for m in json.loads(inspect(base, "json .Mounts")) if m["Type"] == "bind"]
        volumes = [f"--volume={m['Source']}:{m['Destination']}:ro" for m in mounts]
        words = ["--detach", "--systemd=always", "--name", self.name, "--hostname", base, *volumes, *options]
        run("podman", "run", *words, "--rootfs", root, "/sbin/init")
        self.address = inspect(self.name, ".NetworkSettings.IPAddress")
        pid = inspect(self.name, ".State.Pid")
        self.root = Path(f"/proc/{pid}/root")  # as its processes see it, with what is mounted there
        self.inside = ["nsenter", "-t", pid, "-n"]
        run(*self.inside, "nft", "-f", "-", input=COUNTERS)
        wait_for_ssh(self.address)

    def shell(self, script, user="deploy"):
        """Run a script there as a user, in that user's home."""
        home = "/root" if user == "root" else f"/home/{user}"
        words = ["--user", user, "--workdir", home, "--env", f"HOME={home}", "--interactive", self.name]
        return run("podman", "exec", *words, "bash", "-euo", "pipefail", "-s", input=script, check=False)

    def received(self):
        """Return the bytes received so far from elsewhere (without SSH) and from the stand-ins, headers included."""
        found = json.loads(run(*self.inside, "nft", "-j", "list", "counters").stdout)["nftables"]
        return {item["counter"]["name"]: item["counter"]["bytes"] for item in found if "counter" in item}


def volume(name):
    """Return the folder of a volume, "" if there is none."""
    return run("podman", "volume", "inspect", "--format", "{{.Mountpoint}}", name, check=False).stdout.strip()


def remove(base):
    """Remove the copy of ``base`` with its files, if there is one; return whether there was."""
    name = f"{base}-copy"
    run("podman", "rm", "--force", "--ignore", "--time", "0", "--volumes", name)
    place = volume(name)
    if not place:
        return False
    while str(Path(place) / "root") in Path("/proc/self/mounts").read_text():
        run("umount", Path(place) / "root")
    run("podman", "volume", "rm", "--force", name)
    return True


if __name__ == "__main__":
    for host in sys.argv[1:]:
        if remove(host):
            print(f"removed the copy of {host}")
