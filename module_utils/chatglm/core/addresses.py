"""Addresses: whom they let in; passwords in them out of messages, out of arguments."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import unquote


def loopback(address: str) -> bool:
    """Tell whether only this machine reaches what listens on ``address``."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def secrets(urls: Iterable[str]) -> set[str]:
    """Return passwords and tokens in the user part of URLs."""
    found = set()
    for url in urls:
        user = re.match(r"[a-z+]+://([^/\s]+)@", url)
        if user:
            name, _, password = user[1].partition(":")
            found.add(password or name)
    return found


def masked(text: str) -> str:
    """Return a text with the user part of every URL masked, also where it has no scheme (as proxy variables may)."""
    return re.sub(r"//[^/\s]+@", "//***@", text)


def without_password(url: str) -> tuple[str, str]:
    """Return an http address without its user part, and the header that stands for this; both as given for others."""
    found = re.match(r"(https?://)([^/\s]+)@(.*)", url, re.IGNORECASE | re.DOTALL)
    if not found:
        return url, ""
    name, _, password = found[2].partition(":")
    word = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
    return found[1] + found[3], f"Authorization: Basic {word}"
