"""Print the host's file system as JSON: path -> kind, mode, owner, and digest or target. Run as root."""

import hashlib
import json
import os
import stat
import sys

LEFT_OUT = {
    "/proc": "the kernel's",
    "/sys": "the kernel's",
    "/dev": "the kernel's",
    "/run": "of the running system",
    "/tmp": "temporary",
    "/var/tmp": "temporary",
    "/var/log": "logs",
    "/var/lib/apt": "apt's lists of what there is, and its marks",
    "/var/cache/apt": "apt's cache",
    "/var/cache/debconf": "debconf's cache, rewritten by any apt run",
    "/var/cache/ldconfig": "ldconfig's cache, with times in it",
    "/var/lib/dpkg/status-old": "dpkg's backup of its status before the last change",
    "/var/lib/dpkg/lock": "dpkg's lock",
    "/var/lib/dpkg/lock-frontend": "dpkg's lock",
    "/var/lib/dpkg/triggers/Lock": "dpkg's lock",
    "/var/lib/systemd": "systemd's own state: times, its random seed",
    "/var/lib/sudo": "sudo's notes of who was lectured",
    "/home/deploy/.ansible": "Ansible's own temporary folder",
    "/root/.ansible": "Ansible's own temporary folder",
}


def content(path):
    with open(path, "rb") as stream:
        data = stream.read()
    if path == "/var/lib/dpkg/status":  # in no order
        data = b"\n\n".join(sorted(data.strip().split(b"\n\n")))
    return hashlib.sha256(data).hexdigest()


def main():
    device = os.lstat("/").st_dev
    found, folders = {}, ["/"]
    while folders:
        for entry in os.scandir(folders.pop()):
            status = entry.stat(follow_symlinks=False)
            if entry.path in LEFT_OUT or status.st_dev != device:
                continue
            told = [f"{status.st_mode:o}", status.st_uid, status.st_gid]
            if stat.S_ISDIR(status.st_mode):
                folders.append(entry.path)
            elif stat.S_ISLNK(status.st_mode):
                told.append(os.readlink(entry.path))
            elif stat.S_ISREG(status.st_mode):
                told.append(content(entry.path))
            found[entry.path] = told
    json.dump(found, sys.stdout)


main()
