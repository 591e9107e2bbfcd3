"""Passwords in addresses."""

from ansible.module_utils.chatglm.core import addresses


def test_secrets_and_masks():
    urls = ["https://me:pw@one/", "https://token@two/", "https://three/", "/srv/a@b"]
    assert addresses.secrets(urls) == {"pw", "token"}
    assert addresses.secrets(["https://me:p@w@one/"]) == {"p@w"}  # what cannot be in an address, but is typed
    assert addresses.masked("see https://me:p@w@one/x@2 now") == "see https://***@one/x@2 now"
    assert addresses.without_password("https://me:p@w@one/x")[0] == "https://one/x"
    assert addresses.masked("see https://me:pw@one/x now") == "see https://***@one/x now"


def test_a_password_becomes_a_header():
    url, header = addresses.without_password("https://me:p%40w@one.example:8443/a/b.git")
    assert (url, header) == ("https://one.example:8443/a/b.git", "Authorization: Basic bWU6cEB3")  # me:p@w
    for plain in ("https://one/a@b", "git@one:a.git", "/srv/a", "ssh://me@one/a"):
        assert addresses.without_password(plain) == (plain, "")
