"""Becoming root over SSH on fresh hosts: classic sudo and sudo-rs, right, wrong or no password, no right.

What gives a user the right is run as it is printed, and has to help. The connection local:
tests/unit/core/test_rights.py, by what classic sudo and sudo-rs print.
"""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://chatglm"]

ROOT = Path(__file__).resolve().parents[3]
FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
PASSWORD = "right 'pässword"
USERS = """
for user in plain outsider unset; do useradd --create-home --shell /bin/bash $user; done
for user in plain unset; do gpasswd --add $user sudo; done
for user in plain outsider; do echo "$user:$1"; done | chpasswd
for user in plain outsider unset; do
    install -d -m 0700 -o $user /home/$user/.ssh
    install -m 0600 -o $user /dev/stdin /home/$user/.ssh/authorized_keys <<END
$2
END
done
"""
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - block:
        - root_rights:
          become: true
        - ansible.builtin.command: id --user --name
          become: true
          register: me
        - ansible.builtin.set_fact: {told: "{{ me.stdout }}{{ me.stderr }}"}
      rescue:
        - ansible.builtin.set_fact: {told: "{{ ansible_failed_result.msg }}"}
    - ansible.builtin.copy: {content: "{{ told }}", dest: "{{ folder }}/{{ inventory_hostname }}"}
      delegate_to: localhost
"""
# The user, the password given, what is said.
CASES = {
    "right": ("plain", PASSWORD, "root"),
    "wrong": ("plain", "wrong", "does not take the password that was given for plain"),
    "none": ("plain", None, "asks plain for a password, and none was given"),
    "outsider": ("outsider", PASSWORD, "does not let outsider become root"),
    "unset": ("unset", "any", "password of unset on this host is locked, or was never set"),
}


@pytest.fixture(scope="session")
def fresh():
    """Fresh hosts from the images of molecule's: name of the latter -> name of the container, its address."""
    names = [path.stem.removeprefix("before-") for path in FOLDER.glob("before-*.json")]
    hosts = {}
    try:
        for name in names:
            image = run("podman", "inspect", "--format={{.ImageName}}", name)
            rights = ["--cap-add=SYS_ADMIN", "--cgroupns=private"]
            run("podman", "run", "--detach", "--systemd=always", "--name", f"{name}-fresh", *rights, image)
        for name in names:
            container = f"{name}-fresh"
            script = ["sh", "-euc", USERS, "-", PASSWORD, (FOLDER / "id_ed25519.pub").read_text()]
            run("podman", "exec", container, *script)
            hosts[name] = container, run("podman", "inspect", "--format={{.NetworkSettings.IPAddress}}", container)
            for _ in range(300):
                if run("podman", "exec", container, "systemctl", "is-active", "ssh", check=False) == "active":
                    break
                time.sleep(0.1)
        yield hosts
    finally:
        for name in names:
            run("podman", "rm", "--force", "--ignore", "--time=0", f"{name}-fresh")


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True).stdout.strip()


def play(folder, hosts, user, password):
    """Run the play on all hosts; return what each was told, and the whole output."""
    inventory, book, file = folder / "hosts.yml", folder / "play.yml", folder / "password"
    inventory.write_text(
        json.dumps({"all": {"hosts": {name: {"ansible_host": address} for name, (_, address) in hosts.items()}}})
    )
    book.write_text(PLAY)
    given = ["--become-password-file", str(file)] if password is not None else []
    file.write_text(f"{password}\n")
    command = ["ansible-playbook", f"--inventory={inventory}", f"--user={user}", "-vvv", *given]
    command += [f"--private-key={FOLDER / 'id_ed25519'}", "--extra-vars", json.dumps({"folder": str(folder)})]
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    env |= {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_SSH_ARGS": "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no",
    }
    done = subprocess.run([*command, book], capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return {name: (folder / name).read_text() for name in hosts}, output


@pytest.fixture(scope="session")
def told(fresh, tmp_path_factory):
    """What each case says on each host."""
    found = {}
    for case, (user, password, _) in CASES.items():
        folder = tmp_path_factory.mktemp(case)
        begin = time.monotonic()
        found[case], output = play(folder, fresh, user, password)
        assert "imed out" not in output
        assert "Timeout (" not in output
        assert PASSWORD not in output
        print(f"{case}: {time.monotonic() - begin:.1f} s on {len(fresh)} hosts")
    return found


@pytest.mark.parametrize("case", CASES)
def test_sudo_lets_in_or_says_why_not(host, told, case):
    text = told[case][host.backend.get_pytest_id().rpartition("/")[2]]
    assert CASES[case][2] in text
    assert (text == "root") == (case == "right")


def test_who_has_no_right_gets_it_by_what_is_printed(fresh, told, tmp_path):
    for name, (container, _) in fresh.items():
        remedy = re.search(r"To do: su -c '([^']*)'", told["outsider"][name])[1]
        run("podman", "exec", container, "sh", "-c", remedy)
    found, _ = play(tmp_path, fresh, "outsider", PASSWORD)
    assert set(found.values()) == {"root"}
