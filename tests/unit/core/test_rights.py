"""Becoming root: what sudo and sudo-rs say, told apart; the become plugin; on real hosts: molecule/default/tests."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import ansible.plugins.become
import pytest
import yaml
from ansible.module_utils.chatglm.core import rights
from ansible.module_utils.chatglm.language import translations

ROOT = Path(__file__).resolve().parents[3]
# As sudo 1.9.13 (Debian 12), 1.9.16 (Debian 13) and sudo-rs 0.2.15 (forky) print it; <p> is the prompt.
CLASSIC = {
    "wrong": "<p>Sorry, try again.\n<p>\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n",
    "none": "sudo: a password is required\n",
    "no right": "<p>me is not in the sudoers file.\n",
    "not this": "<p>Sorry, user me is not allowed to execute '/bin/sh -c echo OK ; :' as root on here.\n",
    "password expired": "<p>sudo: Account or password is expired, reset your password and try again\n"
    "Changing password for me.\n[sudo] password for %p: \nsudo: no password was provided\n"
    "sudo: unable to change expired password: Authentication token manipulation error\nsudo: a password is required\n",
    "account expired": "<p>sudo: account validation failure, is your account locked?\nsudo: a password is required\n",
}
RUST = {
    "wrong": "[sudo: <p>] Password: \nsudo: Authentication failed, try again.\n[sudo: <p>] Password: \n"
    "sudo: Authentication required but not attempted\n",
    "none": "sudo: interactive authentication is required\n",
    "no right": "sudo: I'm sorry me. I'm afraid I can't do that\n",
    "not this": "sudo: I'm sorry me. I'm afraid I can't do that\n",
    "password expired": "[sudo: <p>] Password: \n[sudo: <p>] Current password: \n"
    "sudo: PAM error: Authentication token manipulation error\n",
    "account expired": "[sudo: <p>] Password: \nsudo: Account validation failure, is your account locked?\n",
}
FOUND = {
    "wrong": "sudo on this host does not take the password that was given for me",
    "none": "sudo on this host asks me for a password, and none was given",
    "no right": "sudo does not let me become root on this host",
    "not this": "sudo does not let me become root on this host",
    "password expired": "the password of me on this host has expired",
    "account expired": "the account of me on this host has expired or is locked",
}
LOCKED = "the password of me on this host is locked, or was never set"
PROMPT = "[sudo via ansible, key=abcdefghijklmnopqrstuvwxyzabcdef] password:"
SET, UNSET = "me P 2026-11-29 0 99999 7 -1", "me L 2026-11-29 0 99999 7 -1"


@pytest.mark.parametrize("case", FOUND)
@pytest.mark.parametrize("words", [CLASSIC, RUST], ids=["classic", "rs"])
def test_each_reason_is_told_apart(words, case):
    told = words[case].replace("<p>", PROMPT)
    failure = rights.refusal(1, told, SET, "me", given=case != "none")
    assert failure.found == FOUND[case]
    failure.remedy += "; or do without a service: -e chatglm_service=none"
    chinese = translations.failure(str(failure)).splitlines()
    assert [line[:3] for line in chinese] == [translations.FOUND, translations.EXPECTED, translations.REMEDY]
    assert not re.search(r"\b(the|password|host|then|run|again|one|WSL,)\b", " ".join(chinese)), chinese


@pytest.mark.parametrize("case", ["wrong", "none"])
@pytest.mark.parametrize("words", [CLASSIC, RUST], ids=["classic", "rs"])
def test_to_ask_for_a_password_that_does_not_exist_would_lead_nowhere(words, case):
    failure = rights.refusal(1, words[case], UNSET, "me", given=case != "none")
    assert failure.found == LOCKED
    assert "passwd me" in failure.remedy
    assert "再加上 --ask-become-pass 运行" in translations.failure(str(failure))


def test_no_sudo_and_a_broken_one():
    failure = rights.refusal(127, "/bin/sh: 1: sudo: not found", SET, "me", given=False)
    assert failure.found == "this host has no sudo"
    broken = f"{PROMPT}sudo: /etc/sudoers is world writable\nsudo: error initializing audit plugin sudoers_audit\n"
    failure = rights.refusal(1, broken, SET, "me")
    assert "world writable" in failure.found
    assert "key=" not in failure.found


SUDO = """#!{python} -I
import subprocess, sys
words = {words!r}
if "-p" in sys.argv:
    prompt = {prompt!r}.replace("<p>", sys.argv[sys.argv.index("-p") + 1])
    sys.stderr.write(prompt)
    sys.stderr.flush()
    if sys.stdin.buffer.raw.readline().rstrip(b"\\n") == {password!r}:
        sys.exit(subprocess.call(sys.argv[sys.argv.index("/bin/sh") :]))
    sys.stderr.write(words["wrong"].removeprefix({prompt!r}).replace("<p>", sys.argv[sys.argv.index("-p") + 1]))
else:
    sys.stderr.write(words["none"])
sys.exit(1)
"""
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - root_rights:
        instead: "do without a service: -e chatglm_service=none"
      become: true
    - ansible.builtin.command: echo done
      become: true
      register: done
    - ansible.builtin.assert: {that: "done.stdout == 'done' and done.stderr == ''"}
"""
PASSWORD = "pä ss'wört"


def play(folder, words, given):
    """Run PLAY with a sudo that speaks ``words``, and a password or None; return what was shown, and the status."""
    sudo, book, file = folder / "sudo", folder / "play.yml", folder / "password"
    prompt = "<p>" if words is CLASSIC else "[sudo: <p>] Password: "
    text = SUDO.format(python=sys.executable, words=words, prompt=prompt, password=PASSWORD.encode())
    sudo.write_text(text)
    sudo.chmod(stat.S_IRWXU)
    passwd = folder / "passwd"  # of the user here, whose password may be locked
    passwd.write_text(f"#!/bin/sh\necho '{SET}'\n")
    passwd.chmod(stat.S_IRWXU)
    book.write_text(PLAY)
    file.write_text(f"{given}\n")
    # Another user than the one who is here, root often: for oneself nothing is asked.
    extra = {"ansible_become_exe": str(sudo), "ansible_become_user": "nobody", "chatglm_language": "zh"}
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-vvv", f"-e{json.dumps(extra)}"]
    command += ["--become-password-file", file] if given is not None else []
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1"}
    env |= {"ANSIBLE_PYTHON_INTERPRETER": sys.executable, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run([*command, book], capture_output=True, text=True, env=env, cwd=ROOT)
    return done.stdout + done.stderr, done.returncode


@pytest.mark.parametrize("given", [PASSWORD, "wrong", None], ids=["right", "wrong", "none"])
@pytest.mark.parametrize("words", [CLASSIC, RUST], ids=["classic", "rs"])
def test_ansible_becomes_root_or_says_why_not(tmp_path, words, given):
    shown, status = play(tmp_path, words, given)
    assert (status == 0) == (given == PASSWORD), shown
    assert PASSWORD not in shown
    if given == PASSWORD:
        return
    assert ("不接受给出的密码" if given else "而没有给出") in shown
    assert "处理：" in shown
    assert "或者不装服务" in shown


def test_the_plugin_has_the_options_of_ansible_core():
    """It stands in front of ansible-core's, which reads them from its own documentation."""
    places = ROOT / "become_plugins" / "sudo.py", Path(ansible.plugins.become.__file__).with_name("sudo.py")
    ours, cores = (
        yaml.safe_load(re.search(r'(?s)DOCUMENTATION = """(.*?)"""', path.read_text())[1])["options"] for path in places
    )
    assert ours.keys() >= cores.keys()
    for name, option in cores.items():
        assert {**ours[name], "description": ""} == {**option, "description": ""}, name
