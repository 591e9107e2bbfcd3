"""Whether sudo lets a user become root, from what it says when it is asked; and if not, why and what helps."""

from __future__ import annotations

import re

from .failure import Failure

NO_RIGHT = r"is not in the sudoers file|is not allowed to |may not run sudo|I'm afraid I can't do that"
WRONG = r"Sorry, try again|incorrect password attempt|Authentication failed"
ASKED = r"password is required|password was provided|[Aa]uthentication (is )?required"
STALE = r"password is expired|token manipulation error"
CLOSED = r"[Aa]ccount validation failure"
NOT_THERE = r"not found|No such file"
CHOSEN_PROMPT = r"\[sudo(: \[sudo)? via ansible[^\n]*?password:(\] Password:)?\s*"


def as_root(command: str) -> str:
    """Return how a command is run as root by who has no sudo."""
    return f"su -c '{command}' (WSL, from Windows: wsl -u root -- sh -c '{command}')"


def refusal(status: int, told: str, account: str, user: str, *, exe: str = "sudo", given: bool = True) -> Failure:
    """Return why the user did not become root.

    Args:
        status: exit status of sudo.
        told: what it printed, in the locale C.
        account: what ``passwd -S`` prints, "" where it says nothing.
        user: who asked.
        exe: the command: sudo, or what the inventory names.
        given: whether there was a password.

    """
    state = account.split()[1:2]
    if status == 127 or (status == 126 and re.search(NOT_THERE, told)):
        return Failure(
            f"this host has no {exe}",
            f"{exe}, by which {user} becomes root",
            f"{as_root(f'apt-get install -y sudo && usermod -aG sudo {user}')}, then run the same command again",
        )
    if re.search(NO_RIGHT, told):
        return Failure(
            f"{exe} does not let {user} become root on this host",
            "a user in the group sudo, or another with that right",
            f"{as_root(f'usermod -aG sudo {user}')}, log in anew, then run the same command again",
        )
    if re.search(STALE, told):
        return Failure(
            f"the password of {user} on this host has expired",
            "one that is valid",
            "passwd on that host, as that user, then run the same command again with the new one",
        )
    if re.search(CLOSED, told):
        return Failure(
            f"the account of {user} on this host has expired or is locked",
            "one that is valid",
            f"{as_root(f'chage -E -1 {user}')}, then run the same command again",
        )
    if state in (["L"], ["NP"]) and re.search(f"{WRONG}|{ASKED}", told):
        return Failure(
            f"the password of {user} on this host is locked, or was never set",
            f"one, which {exe} asks for",
            f"{as_root(f'passwd {user}')}, then run the same command again with --ask-become-pass",
        )
    if not given and re.search(ASKED, told):
        return Failure(
            f"{exe} on this host asks {user} for a password, and none was given",
            "the password",
            "run the same command again with --ask-become-pass",
        )
    if re.search(f"{WRONG}|{ASKED}", told):
        return Failure(
            f"{exe} on this host does not take the password that was given for {user}",
            f"the password of {user} there",
            "type it again (--ask-become-pass), or correct the file or the vault that holds it; where it is forgotten: "
            + as_root(f"passwd {user}"),
        )
    lines = [line for line in re.sub(CHOSEN_PROMPT, "", told).splitlines() if line.strip()]
    return Failure(
        f"{exe} failed on this host (status {status}): {' '.join(lines[-2:])[:300]}",
        "that this works there: sudo true",
        "sudo true on that host, as that user; mend what it says, then run the same command again",
    )
