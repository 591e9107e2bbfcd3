"""Network variables that cannot work: found, mended by the line that is shown, put right; seen by the real clients."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils.chatglm.core import network_environment
from ansible.module_utils.chatglm.core.network_environment import VARIABLES, problems, put_right
from ansible.module_utils.chatglm.language import translations

FILE = Path(network_environment.__file__)
STORE = network_environment.SYSTEM_STORE
PEM = b"# a comment\n-----BEGIN CERTIFICATE-----\nMII\n"
FILES = {STORE: PEM, "/good.pem": PEM, "/not.pem": b"root:x:0\n", "/folder": network_environment.FOLDER}
HTTP = "http://127.0.0.1:7890"
SECRET = "geheim"

BAD = [
    # environment, code, what it becomes (where all goes: {})
    ({"ALL_PROXY": "socks5://127.0.0.1:7890"}, "proxy_socks", {}),
    ({"all_proxy": f"socks5h://me:{SECRET}@h:1", "ALL_PROXY": f"socks5h://me:{SECRET}@h:1"}, "proxy_socks", {}),
    ({"https_proxy": "socks5://h:1", "http_proxy": "socks5://h:1"}, "proxy_socks", {}),
    ({"HTTP_PROXY": "socks4://h:1"}, "proxy_socks", {}),
    ({"PIP_PROXY": "socks5://h:1"}, "proxy_socks", {}),
    ({"ALL_PROXY": "socks://h:1", "https_proxy": HTTP}, "proxy_socks_beside", {"https_proxy": HTTP}),
    ({"https_proxy": "ftp://h:1"}, "proxy_scheme", {}),
    ({"https_proxy": "http://h:port"}, "proxy_address", {}),
    ({"https_proxy": "http://h:99999"}, "proxy_address", {}),
    ({"https_proxy": "http://"}, "proxy_address", {}),
    ({"https_proxy": "http:/h:1"}, "proxy_address", {}),
    ({"https_proxy": "http\uff1a//h:1"}, "proxy_address", {}),
    ({"https_proxy": " "}, "proxy_address", {}),
    (
        {"https_proxy": f"http://me:{SECRET}#/1?@h:1"},
        "proxy_password",
        {"https_proxy": f"http://me:{SECRET}%23%2F1%3F@h:1"},
    ),
    ({"https_proxy": f"{HTTP}\r"}, "proxy_stray", {"https_proxy": HTTP}),
    ({"HTTPS_PROXY": f'"{HTTP}"'}, "proxy_stray", {"HTTPS_PROXY": HTTP}),
    ({"https_proxy": f"http://me:{SECRET}@h:1 "}, "proxy_stray", {"https_proxy": f"http://me:{SECRET}@h:1"}),
    ({"https_proxy": f"\u201c{HTTP}\u201d"}, "proxy_stray", {"https_proxy": HTTP}),
    ({"https_proxy": "proxy:3128"}, "proxy_no_scheme", {"https_proxy": "http://proxy:3128"}),
    ({"no_proxy": "localhost,127.0.0.1,[::1]"}, "no_proxy_entry", {"no_proxy": "localhost,127.0.0.1,::1"}),
    ({"NO_PROXY": "[::1]:80, localhost"}, "no_proxy_entry", {"NO_PROXY": "::1,localhost"}),
    ({"no_proxy": "localhost,fe80::/10"}, "no_proxy_entry", {"no_proxy": "localhost"}),
    ({"no_proxy": "[fe80::]/10"}, "no_proxy_entry", {}),
    ({"no_proxy": "a.example:x,b.example:80"}, "no_proxy_entry", {"no_proxy": "b.example:80"}),
    ({"no_proxy": "localhost\uff0c127.0.0.1"}, "no_proxy_entry", {"no_proxy": "localhost,127.0.0.1"}),
    ({"no_proxy": "'localhost'"}, "no_proxy_entry", {"no_proxy": "localhost"}),
    *(
        ({name: "/gone.pem"}, "certificate_missing", {name: STORE})
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO")
    ),
    ({"SSL_CERT_FILE": "/not.pem"}, "certificate_not_pem", {"SSL_CERT_FILE": STORE}),
    ({"SSL_CERT_FILE": "/folder"}, "certificate_not_pem", {"SSL_CERT_FILE": STORE}),
    ({"PIP_CERT": "/good.pem\r"}, "certificate_spelling", {"PIP_CERT": "/good.pem"}),
    ({"PIP_CERT": "~/own.pem", "HOME": "/home/me"}, "certificate_spelling", {"PIP_CERT": "/home/me/own.pem"}),
    ({"SSL_CERT_DIR": "/gone:/good.pem"}, "certificate_folder", {}),
    ({"GIT_SSL_CAPATH": "/gone"}, "certificate_folder", {}),
]
GOOD = [
    {},
    dict.fromkeys(VARIABLES, ""),
    {"http_proxy": HTTP, "HTTPS_PROXY": "https://h:1", "all_proxy": "HTTP://me:pw@h.example:8080/"},
    {"http_proxy": "127.0.0.1:7890", "https_proxy": "proxy.example:1", "all_proxy": "http://[::1]:3128"},
    {"http_proxy": "http://u:p@s@h:1", "https_proxy": "http://h"},
    {"no_proxy": "localhost, 127.0.0.0/8,::1,*.example.com,.local,a.example:80,192.168.*,<local>,a_b,http://x"},
    {"NO_PROXY": "*"},
    {"SSL_CERT_FILE": "/good.pem", "SSL_CERT_DIR": "/gone:/folder", "REQUESTS_CA_BUNDLE": "/folder"},
]


def read(path):
    return {**FILES, "/home/me/own.pem": PEM}.get(path)


def names(environment):
    return {name: value for name, value in environment.items() if name != "HOME"}


@pytest.mark.parametrize(("environment", "code", "right"), BAD)
def test_what_cannot_work_is_named_and_put_right(environment, code, right):
    found = problems(environment, read)
    assert [problem.code for problem in found] == [code]
    assert set(found[0].variables) <= set(environment)
    for language in ("en", "zh"):
        told = found[0].said(language)
        assert all(told)
        assert SECRET not in repr(told) + found[0].value
    put = put_right(environment, direct=True, read=read)
    assert names(put) == right
    assert problems(put, read) == []
    if not found[0].safe:
        assert put_right(environment, read=read) == environment


@pytest.mark.parametrize("environment", GOOD)
def test_what_works_is_left_alone(environment):
    assert problems(environment, read) == []
    assert put_right(environment, direct=True, read=read) == environment


@pytest.mark.parametrize(("environment", "code", "right"), BAD)
def test_the_line_that_is_shown_mends_it(environment, code, right):
    lines = [problem.remedy for problem in problems(environment, read)]
    done = subprocess.run(
        ["bash", "-euc", "\n".join([*lines, "env -0"])],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        check=True,
    )
    after = dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0") if "=" in pair)
    after = {name: after[name] for name in VARIABLES if name in after}
    assert problems(after, read) == []
    if right and code != "proxy_stray":
        assert after == right
    if code == "proxy_socks" and "PIP_PROXY" not in environment:
        value = next(iter(environment.values())).partition("://")[2]
        assert after == {"http_proxy": f"http://{value}", "https_proxy": f"http://{value}"}


CLIENT = """
import httpx2, requests
httpx2.Client().close()
with requests.Session() as session:
    settings = session.merge_environment_settings("https://x.example/", {}, None, None, None)
    proxy = requests.utils.select_proxy("https://x.example/", settings["proxies"])
    adapter = session.get_adapter("https://x.example/")
    if proxy:
        adapter.proxy_manager_for(proxy if "://" in proxy else "http://" + proxy)
"""


def client(environment):
    """Return what Python's clients say to an environment as they start; "" where they do."""
    base = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run([sys.executable, "-c", CLIENT], env=base, capture_output=True, text=True)
    return done.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"ALL_PROXY": "socks5://127.0.0.1:7890"},
        {"ALL_PROXY": "socks5://127.0.0.1:7890", "https_proxy": HTTP},
        {"https_proxy": "http://h:port"},
        {"https_proxy": f"http://me:{SECRET}#1@h:1"},
        {"https_proxy": f"{HTTP}\r"},
        {"SSL_CERT_FILE": "/gone.pem"},
    ],
)
def test_the_clients_stop_at_it_and_start_when_it_is_put_right(environment):
    assert client(environment)
    assert client(put_right(environment, direct=True)) == ""


def test_it_runs_alone():
    environment = {"all_proxy": f"socks5://me:{SECRET}@h:1", "PIP_CERT": "/gone \u6587.pem", "no_proxy": "[::1]"}
    command = [sys.executable, "-I", "-S", FILE]
    done = subprocess.run([*command, "zh"], env=environment, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("bootstrap: 这个网络变量用不了：") == 3
    assert "bootstrap:     处理: export no_proxy=::1" in done.stderr
    assert SECRET not in done.stderr
    done = subprocess.run([*command, "en"], env={"no_proxy": "::1"}, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_old_python_can_read_it():
    ast.parse(FILE.read_text(), feature_version=(3, 6))
    assert not re.search(r"(?m)^from (\.|__future__)", FILE.read_text())


@pytest.mark.parametrize(("environment", "code", "right"), BAD)
def test_modules_say_it_in_chinese(environment, code, right):
    problem = problems(environment, read)[0]
    for english, chinese in zip(problem.said("en")[:2], problem.said("zh")[:2], strict=True):
        assert translations.chinese(english) == chinese
