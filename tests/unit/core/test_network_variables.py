"""Each client that fetches, with each network variable that cannot work: it gets there, or names the variable.

The clients are the real ones (huggingface_hub on requests, http.client, git, uv); what they ask listens on loopback.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import doctor
import fault_server
import host_facts
import pytest
import source_checkout
from ansible.module_utils.chatglm.core import guard, network_environment, network_remedy
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.language import translations
from ansible.module_utils.chatglm.preflight import plan
from ansible.module_utils.chatglm.smoke_test.page import Page
from ansible.module_utils.chatglm.source import source_plan
from ansible.module_utils.chatglm.virtualenv import managed_python_work, uv_command
from ansible.module_utils.chatglm.weights import connection, snapshot, sources, transfer
from ansible.module_utils.chatglm.weights.content import Digest, TransferError, Wanted
from serve import ModelRepo, StandIn
from snapshot_host import COMMIT, FILES, LFS, REPO

UV = Path(sys.executable).with_name("uv")
GONE = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"), "/gone/ca.pem")
HARMLESS = [
    {"no_proxy": "localhost,127.0.0.1,[::1]"},
    {"ALL_PROXY": "http://127.0.0.1:9", "no_proxy": "[::1]"},
    *({name: value} for name, value in GONE.items()),
    {"SSL_CERT_DIR": "/gone"},
    {"GIT_SSL_CAPATH": "/gone"},
    # What is asked is this very host, which no proxy reaches.
    {"ALL_PROXY": "socks5://127.0.0.1:9"},
    {"all_proxy": "socks5h://127.0.0.1:9", "no_proxy": "example.org"},
    {"http_proxy": "socks5://127.0.0.1:9"},
    {"http_proxy": "foo://h:1"},
    {"http_proxy": "http://127.0.0.1:99999"},
]
SOCKS, PORT, SCHEME = ({"http_proxy": value} for value in ("socks5://h.invalid:1", "http://h:99999", "foo://h:1"))
ALL = {"ALL_PROXY": "socks5://127.0.0.1:9"}
AWAY = "http://hub.invalid"


@pytest.fixture
def given(monkeypatch):
    """Set network variables, and do something as a module does it."""
    for name in network_environment.VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def do(variables, act):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        before, told = dict(os.environ), []
        try:
            guard.guarded(lambda: told.append(act()))
        finally:
            guard.network.clear()
            for name in os.environ.keys() - before.keys():
                del os.environ[name]
            os.environ.update(before)
        return told[0]

    return do


@pytest.fixture
def hub():
    with StandIn(repos={REPO: ModelRepo(dict(FILES), LFS)}) as made:
        yield made


def secured(variables, server, folder):
    """Let a server speak TLS where variables of certificates are the subject; return its scheme and the authority."""
    if not set(variables) & {*network_environment.CERTIFICATES, *network_environment.FOLDERS}:
        return "http", ""
    (folder / "tls").mkdir()
    pem, context = fault_server.certificate(folder / "tls")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return "https", str(pem)


def place(endpoint, ca_bundle=""):
    question = sources.Question(REPO, COMMIT, "", sys.executable, None)
    return sources.Hub(endpoint, question, connection.Options(timeout=5, attempts=1, ca_bundle=ca_bundle))


def reason(act):
    with pytest.raises(TransferError) as caught:
        act()
    return caught.value


def ids(value):
    return " ".join(f"{name}={text}" for name, text in value.items())


@pytest.mark.parametrize("variables", HARMLESS, ids=ids)
def test_the_hub_and_the_files(given, hub, tmp_path, variables):
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed beside pytest")

    scheme, authority = secured(variables, hub._hub, tmp_path)

    def act():
        asked = place(hub.url.replace("http", scheme), authority)
        for one in asked.files():
            asked.get(one.path, tmp_path / one.path.replace("/", "-"), Wanted(one.digest, one.size), None, "")

    given(variables, act)
    assert (tmp_path / "config.json").read_bytes() == FILES["config.json"]


@pytest.mark.parametrize("variables", HARMLESS, ids=ids)
def test_git(given, hub, tmp_path, variables):
    scheme, authority = secured(variables, hub._hub, tmp_path)
    url = hub.source_url.replace("http", scheme)
    checkout = source_checkout.Checkout(url, hub.source_version, tmp_path / "clone", authority, git=shutil.which("git"))
    made = given(variables, checkout.clone)
    assert (made / "web_demo.py").is_file()


@pytest.mark.parametrize("variables", HARMLESS, ids=ids)
def test_uv(given, tmp_path, variables):
    if not UV.is_file():
        pytest.skip("uv is not installed beside pytest")
    server = fault_server.Server(files={"simple/nothing/": b"<html></html>"})
    scheme, authority = secured(variables, server.httpd, tmp_path)

    def act():
        environment = uv_command.bare_environment(os.environ, "", str(tmp_path / "cache"))
        environment.update(UV_DEFAULT_INDEX=f"{server.url.replace('http', scheme)}/simple", UV_HTTP_RETRIES="0")
        if authority:
            bundle = tmp_path / "bundle.pem"
            bundle.write_bytes(uv_command.certificates(authority, os.environ))
            environment["SSL_CERT_FILE"] = str(bundle)
        command = [str(UV), "pip", "install", "--dry-run", "--python", sys.executable, "nothing"]
        return uv_command.run_uv(command, environment, 60, "testing")

    try:
        status, _, told = given(variables, act)
    finally:
        server.close()
    assert status
    assert [request.path for request in server.seen] == ["/simple/nothing/"], told


@pytest.mark.parametrize("variables", [SOCKS, PORT, SCHEME, {"ALL_PROXY": "socks5://127.0.0.1:9"}], ids=ids)
def test_what_the_hub_cannot_be_asked_through_is_named(given, variables):
    name = next(iter(variables))
    error = given(variables, lambda: reason(place(AWAY).files))
    assert (error.kind, str(error).partition(" is ")[0]) == ("proxy", name)
    failure = given(variables, lambda: snapshot.failure(REPO, COMMIT, "/x", 1, {"f": [("hub", error)]}))
    assert f"mend that variable: {'export' if 'socks' in variables[name] else 'unset'} " in failure.remedy
    told = translations.failure(str(failure))
    assert "把这个变量改好：" in told, told
    assert f"{name} 是" in told, told


@pytest.mark.parametrize("variables", [SOCKS, PORT, SCHEME], ids=ids)
def test_what_files_cannot_be_had_through_is_named(given, tmp_path, variables):
    wanted, options = Wanted(Digest("sha256", "0" * 64), 1), connection.Options(timeout=5, attempts=1)
    error = given(variables, lambda: reason(lambda: transfer.fetch(f"{AWAY}/f", tmp_path / "f", wanted, options)))
    assert (error.kind, str(error).partition(" is ")[0]) == ("proxy", "http_proxy")


@pytest.mark.parametrize("variables", [PORT, SCHEME], ids=ids)
def test_what_git_cannot_ask_through_is_named(given, tmp_path, variables):
    def act():
        checkout = source_checkout.Checkout(f"{AWAY}/x.git", "0" * 40, tmp_path / "clone", git=shutil.which("git"))
        with pytest.raises(source_checkout.GitError) as caught:
            checkout.clone()
        return source_plan.explain(caught.value.text, checkout.url, checkout.version, caught.value.what)

    failure = given(variables, act)
    assert failure.remedy.startswith("http_proxy is ")
    assert failure.remedy.endswith("mend that variable: unset http_proxy")


@pytest.mark.parametrize("variables", [PORT, {"PIP_PROXY": "http://h:99999"}], ids=ids)
def test_what_uv_cannot_ask_through_is_named(given, variables):
    stderr = f"error: Failed to fetch: {AWAY}/simple/x/\n  cause: tcp connect error\n"
    failure = given(variables, lambda: uv_command.explain(stderr, "testing"))
    assert failure.remedy.endswith(f"mend that variable: unset {next(iter(variables))}")


# --- what is refused before ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "url", "variables", "stops"),
    [
        ("hub", AWAY, ALL, True),
        ("web", AWAY, ALL, False),
        ("git", AWAY, ALL, False),
        ("uv", AWAY, ALL, False),
        ("hub", "http://127.0.0.1:8765", ALL, False),
        ("hub", "http://localhost:8765", ALL, False),
        ("hub", "http://[::1]:8765", ALL, False),
        ("hub", AWAY, {**ALL, "no_proxy": ".invalid"}, False),
        ("hub", AWAY, {**ALL, "no_proxy": "*"}, False),
        ("hub", AWAY, {**ALL, "http_proxy": "http://h:1"}, False),
        ("hub", "https://h", SOCKS, False),
        *((client, AWAY, SOCKS, client not in ("git", "uv")) for client in ("git", "uv", "hub", "web")),
        *((client, AWAY, SCHEME, client != "uv") for client in ("git", "uv", "hub", "web")),
        *((client, AWAY, PORT, True) for client in ("git", "uv", "hub", "web")),
    ],
)
def test_whom_a_variable_stops(client, url, variables, stops):
    assert bool(network_environment.stopped(client, url, variables)) is stops


GIT, WEIGHTS = {"name": "git", "git": True}, {"name": "weights"}


@pytest.mark.parametrize(
    ("groups", "stops"),
    [
        ([], []),
        ([{**GIT, "urls": [AWAY]}, {**WEIGHTS, "urls": [], "hubs": []}], []),
        ([{**WEIGHTS, "urls": ["http://127.0.0.1:8765"], "hubs": ["http://127.0.0.1:8765"]}], []),
        ([{**WEIGHTS, "urls": [AWAY], "hubs": [AWAY]}], ["weights"]),
        ([{**WEIGHTS, "urls": [AWAY, "http://cloud.invalid"], "hubs": [AWAY]}], []),
    ],
    ids=["nothing asked", "git alone", "loopback", "a hub", "another way"],
)
def test_only_what_would_fail_is_refused(given, groups, stops):

    seen = given(ALL, lambda: host_facts.look_at_network(groups))
    assert [each["stops"] for each in seen] == [stops]
    refusals, warnings = plan.network_checks({"network": seen})
    assert (len(refusals), len(warnings)) == ((1, 0) if stops else (0, 1))


# --- names that WSL does not find ------------------------------------------------------------------------------------


def unfound_by_the_hub(_tmp_path):
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed beside pytest")
    error = reason(place(AWAY).files)
    return lambda: snapshot.failure(REPO, COMMIT, "/x", 1, {"f": [("hub", error)]})


def unfound_by_transfer(tmp_path):
    wanted, options = Wanted(Digest("sha256", "0" * 64), 1), connection.Options(timeout=5, attempts=1)
    error = reason(lambda: transfer.fetch(f"{AWAY}/f", tmp_path / "f", wanted, options))
    return lambda: snapshot.failure(REPO, COMMIT, "/x", 1, {"f": [("url", error)]})


def unfound_by_git(tmp_path):
    checkout = source_checkout.Checkout(f"{AWAY}/x.git", "0" * 40, tmp_path / "clone", git=shutil.which("git"))
    with pytest.raises(source_checkout.GitError) as caught:
        checkout.clone()
    return lambda: source_plan.explain(caught.value.text, checkout.url, checkout.version, caught.value.what)


def uvs_words(tmp_path):
    if not UV.is_file():
        pytest.skip("uv is not installed beside pytest")
    environment = uv_command.bare_environment(os.environ, "", str(tmp_path / "cache"))
    environment.update(UV_DEFAULT_INDEX=f"{AWAY}/simple", UV_HTTP_RETRIES="0")
    command = [str(UV), "pip", "install", "--dry-run", "--python", sys.executable, "nothing"]
    status, _, told = uv_command.run_uv(command, environment, 60, "testing")
    assert status
    return told


def unfound_by_uv(tmp_path):
    told = uvs_words(tmp_path)
    return lambda: uv_command.explain(told, "testing")


def unfound_by_managed_python(tmp_path):
    told = managed_python_work.reason_of(uvs_words(tmp_path))
    return lambda: Failure(told, "x", network_remedy.remedy(told, "check network and proxy", "uv", AWAY))


UNFOUND = [unfound_by_the_hub, unfound_by_transfer, unfound_by_git, unfound_by_uv, unfound_by_managed_python]


@pytest.mark.parametrize("fetcher", UNFOUND)
def test_names_that_are_not_found(given, monkeypatch, tmp_path, fetcher):
    """Where WSL has its own server already, the same advice would lead back to itself."""
    conf = tmp_path / "wsl.conf"
    monkeypatch.setattr(network_remedy, "WSL_CONF", str(conf))
    explain = given({}, lambda: fetcher(tmp_path))
    for wsl, text in ((True, ""), (True, "[network]\ngenerateResolvConf = false\n"), (False, "")):
        conf.write_text(text)
        monkeypatch.setattr(network_remedy, "in_wsl", lambda wsl=wsl: wsl)
        failure = explain()
        told = wsl and not text
        assert failure.remedy.count(network_remedy.WSL_NAMES) == int(told), str(failure)
        assert ("给它指定服务器" in translations.failure(str(failure))) is told
        assert told or failure.remedy


def test_wsls_line_does_what_it_says(tmp_path):
    """On copies of the two files; once it was done, it is not advised again."""
    conf, resolv = tmp_path / "wsl.conf", tmp_path / "resolv.conf"
    conf.write_text("[boot]\nsystemd=true\n")
    resolv.symlink_to("/nowhere/resolv.conf")
    line = network_remedy.WSL_NAMES.partition("of its own: ")[2].replace("sudo ", "")
    line = line.replace("/etc/wsl.conf", str(conf)).replace("/etc/resolv.conf", str(resolv))
    subprocess.run(["sh", "-ec", line], check=True, capture_output=True)
    assert conf.read_text() == "[boot]\nsystemd=true\n[network]\ngenerateResolvConf=false\n"
    assert resolv.read_text() == "nameserver 223.5.5.5\n"
    assert not resolv.is_symlink()


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variables", [*HARMLESS, GONE, {"http_proxy": "http://127.0.0.1:9", **ALL}], ids=ids)
def test_the_page_is_asked_straight(given, variables):
    """By the doctor, and by the command, which no guard puts right."""
    server = fault_server.Server(files={"": b"page"})
    try:
        assert given(variables, lambda: doctor.ask_page(server.url, True))["status"] == 200
        assert given(variables, lambda: Page(server.url, 5).status()) == 200
    finally:
        server.close()
    assert {request.path for request in server.seen} == {"/"}
