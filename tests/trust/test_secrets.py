"""A token or password is nowhere but where it is needed: not in output, arguments, or files, whatever fails."""

import base64
import os
import re
import shutil
import urllib.parse
from pathlib import Path

import pytest
from conftest import HOME, TOKEN, Watch, mode

PASSWORD = "PasswordOfTheIndex"
WRONG = "hf_" + "WrongToken" * 3


def forms(secret):
    """A secret as it may be written: plain, quoted for a URL, and as basic authentication holds it."""
    basic = {base64.b64encode(f"user:{secret}".encode()).decode()}
    return {secret, urllib.parse.quote(secret, safe=""), *basic}


def told_in_files(folder, secrets):
    """Return the files below a folder that hold one of the secrets."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 50_000_000:
            data = path.read_bytes()
            found += [str(path) for secret in secrets if secret.encode() in data]
    return found


@pytest.fixture
def quiet(site, tmp_path):
    """Run the site with all that Ansible can tell, and look for secrets everywhere."""

    def run(*options, secrets, settings=None, **environ):
        secrets = set().union(*map(forms, secrets))
        if settings:
            path = tmp_path / "secret.yml"
            path.write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
            path.chmod(0o600)
            options = (*options, "-e", f"@{path}")
        temporary = tmp_path / "ansible"
        environ = {"ANSIBLE_LOCAL_TEMP": str(temporary), "ANSIBLE_REMOTE_TMP": str(temporary), **environ}
        temporary.mkdir(exist_ok=True, mode=0o755)
        with Watch(secrets, temporary, HOME / "state", HOME / "source" / ".git", HOME / "models") as watch:
            status, text = site("-vvvvv", "--diff", *options, **environ)
        assert watch.looks > 20
        assert watch.found == {}
        for secret in secrets:
            lines = [line for line in text.splitlines() if secret in line]
            assert not lines, lines[:3]
        assert told_in_files(temporary, secrets) == []
        return status, text

    return run


def forget_the_model():
    shutil.rmtree(HOME / "models", ignore_errors=True)
    (HOME / "state" / "weights.json").unlink(missing_ok=True)


def test_the_hubs_token(quiet, hub):
    forget_the_model()
    status, text = quiet(secrets=[WRONG], token=WRONG)
    assert status != 0
    assert "HTTP 401" in text
    assert "chatglm_hub_token" in text
    status, text = quiet(secrets=[TOKEN])
    assert status == 0, text[-4000:]
    assert any(TOKEN in request.authorization for request in hub.requests)
    assert hub.leaks == []
    assert told_in_files(HOME, forms(TOKEN) | forms(WRONG)) == []


def test_passwords_in_addresses(quiet, hub):
    """An index that cannot be reached, a repository that asks for a password, a web folder: all fail in words."""

    def locked(address):
        return address.replace("://", f"://user:{PASSWORD}@")

    target = next(HOME.glob("venv/lib/python3*/site-packages/mdtex2html/__init__.py"))
    before = target.read_bytes()
    target.write_bytes(before + b"# damaged\n")
    status, text = quiet(secrets=[PASSWORD], settings={"virtualenv_index_url": locked("http://127.0.0.1:1/simple/")})
    if status != 0:  # else the wheel came from a folder of the host's pip configuration
        assert "127.0.0.1:1" in text
    target.write_bytes(before)

    os.rename(HOME / "source", HOME / "source.aside")
    try:
        settings = {
            "chatglm_source_url": locked(hub.source_url),
            "chatglm_model_sources": f'[{{type: url, url: "{locked(hub.url)}/nowhere"}}]',
            "weights_verify": "deep",
        }
        status, text = quiet(secrets=[PASSWORD], settings=settings, HTTP_PROXY=locked("http://127.0.0.1:1"))
        assert (HOME / "source" / "web_demo.py").exists(), text[-3000:]
        assert told_in_files(HOME / "source", forms(PASSWORD)) == []
        shutil.rmtree(HOME / "source")
        status, text = quiet(
            secrets=[PASSWORD],
            settings={
                **settings,
                "chatglm_source_url": locked("http://127.0.0.1:1/x.git"),
                "chatglm_source_version": "0" * 40,
            },
        )
        assert status != 0
        assert "127.0.0.1:1" in text
    finally:
        shutil.rmtree(HOME / "source", ignore_errors=True)
        os.rename(HOME / "source.aside", HOME / "source")
    assert told_in_files(HOME, forms(PASSWORD)) == []


def words_in_readable_files(folder):
    """Return what may be a digest in files that others can read below a folder: hex or base64, by file."""
    found = {}
    for place, inside, names in os.walk(folder):
        inside[:] = [
            name for name in inside if mode(Path(place, name)) & 0o011 and name not in ("venv", "models", "uv")
        ]
        for path in (Path(place, name) for name in names):
            if mode(path) & 0o044:
                for word in re.findall(rb"[0-9A-Za-z+/_=-]{16,}", path.read_bytes()):
                    found.setdefault(word, str(path))
    return found


def test_the_pages_password_leaves_nothing_to_guess_it_from(quiet):
    """A digest without a salt comes back with the same password, and is not there with another."""
    one, other = "geheim-12345", "geheim-67890"
    seen = []
    for password in (one, other, one):
        status, text = quiet(
            secrets=[password], settings={"chatglm_page_password": password, "chatglm_service": "none"}
        )
        assert status == 0, text[-4000:]
        shown = {word.encode(): "the output" for word in re.findall(r"[0-9a-f]{32,}", text)}
        seen.append({**words_in_readable_files(HOME), **shown})
    derived = {word: seen[0][word] for word in (seen[0].keys() & seen[2].keys()) - seen[1].keys()}
    assert derived == {}
    assert mode(HOME / "state" / "page_password") == 0o600
    status, text = quiet(secrets=[one], settings={"chatglm_page_password": '""', "chatglm_service": "none"})
    assert status == 0, text[-4000:]
    assert not (HOME / "state" / "page_password").exists()
