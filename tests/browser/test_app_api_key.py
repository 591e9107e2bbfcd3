"""openai_api.py with a key, asked by the openai client from PyPI, by the command chatglm and by who has none."""

import json
import os
import stat
import subprocess
import urllib.parse
from pathlib import Path

import openai
import pytest
from conftest import ARTIFACTS, HOME, ROOT, free_port, launched, play
from test_app_api import GREEDY, KNOWN, http

KEY, FORMER = "geheim-12345", "another-67890"
# What is written while it is asked and installed; packages and weights are not.
WRITTEN = ("bin", "cache", "lib", "run", "source", "state")


@pytest.fixture(scope="module")
def keyed():
    """Install with one key, then with another; gives address, log, and which roles the other has made work."""
    port, opened = free_port(), {"listen": "0.0.0.0"}
    play("openai_api", port, **opened, page_password=FORMER)
    changed = play("openai_api", port, **opened, page_password=KEY)[0]
    assert play("openai_api", port, **opened, page_password=KEY)[0] == set()
    url, log = f"http://127.0.0.1:{port}", ARTIFACTS / "openai_api_key.log"
    with launched(url, log):
        yield url, log, changed


@pytest.fixture
def url(keyed):
    return keyed[0]


def client(url, key):
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, timeout=120, max_retries=0)


def chatglm(*words, **options):
    command = [HOME / "bin" / "chatglm", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


def test_the_right_key(url):
    with client(url, KEY) as right:
        assert len(right.models.list().data) == 1
        whole = right.chat.completions.create(**GREEDY).choices[0].message.content
        assert KNOWN in whole
        parts = [part.choices[0].delta.content or "" for part in right.chat.completions.create(**GREEDY, stream=True)]
    assert len(parts) > 3
    assert "".join(parts) == whole


@pytest.mark.parametrize("key", ["none", FORMER, KEY[:-1], KEY + "6", KEY.upper()])
def test_a_wrong_key(url, key):
    with client(url, key) as wrong:
        for ask in (
            wrong.models.list,
            lambda: wrong.chat.completions.create(**GREEDY),
            lambda: wrong.chat.completions.create(**GREEDY, stream=True),
            lambda: wrong.get("/nothing", cast_to=object),
        ):
            with pytest.raises(openai.AuthenticationError, match="a wrong API key, or none") as caught:
                ask()
            assert caught.value.code == "invalid_api_key"
            assert caught.value.response.headers["www-authenticate"] == "Bearer"


def test_no_key(url):
    omitted = {"extra_headers": {"Authorization": openai.Omit()}}
    with client(url, "x") as without:
        with pytest.raises(openai.AuthenticationError, match="a wrong API key, or none"):
            without.models.list(**omitted)
        with pytest.raises(openai.AuthenticationError, match="a wrong API key, or none"):
            without.chat.completions.create(**GREEDY, **omitted, stream=True)


def test_what_is_open_without_it_is_that_something_is_here(url):
    assert http(url, "/")[0] == 200
    for path in ("/v1/models", "/openapi.json", "/docs", "//", "/nothing"):
        status, headers, text = http(url, path)
        assert (status, headers["www-authenticate"], json.loads(text)["error"]["param"]) == (401, "Bearer", None)
    assert http(url, "/v1/models", method="OPTIONS")[0] == 401
    assert http(url, "/v1/models", {"Authorization": f"Basic {KEY}"})[0] == 401
    assert http(url, "/v1/models", {"Authorization": f"bearer {KEY}"})[0] == 200


def test_others_reach_it_and_need_the_key_too(url):
    there = f"http://127.0.0.2:{urllib.parse.urlsplit(url).port}"
    assert http(there, "/v1/models")[0] == 401
    assert http(there, "/v1/models", {"Authorization": f"Bearer {KEY}", "Host": "pc.example"})[0] == 200


def test_the_command_shows_the_key(keyed):
    told = chatglm("status", "--ask")
    assert told.returncode == 0, told
    assert KNOWN in told.stdout
    talk = chatglm("chat", input="你好\nclear\n你好\nexit\n")
    assert talk.returncode == 0, talk
    assert talk.stdout.count(KNOWN) == 2


def test_the_key_is_in_its_file_only(keyed):
    with client(keyed[0], KEY) as right:
        right.models.list()
    assert "401" in keyed[1].read_text()
    assert KEY not in keyed[1].read_text()
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                assert KEY.encode() not in (process / name).read_bytes(), process
            except OSError:
                continue
    kept = HOME / "state" / "page_password"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    files = [Path(folder, name) for top in WRITTEN for folder, _, names in os.walk(HOME / top) for name in names]
    assert len(files) > 30
    assert [path for path in [*files, ROOT / "report.html"] if KEY.encode() in path.read_bytes()] == [kept]


def test_a_change_of_the_key_changes_just_that_and_is_proven(keyed):
    assert keyed[2] == {"web_demo", "smoke_test"}
    proof = HOME / "state" / "proof.json"
    before = proof.stat().st_mtime_ns
    # With another address, since the API still listens.
    assert play("openai_api", free_port())[0] == {"web_demo", "smoke_test", "service"}
    assert not (HOME / "state" / "page_password").exists()
    assert (json.loads(proof.read_text())["verdict"], proof.stat().st_mtime_ns > before) == ("ok", True)
