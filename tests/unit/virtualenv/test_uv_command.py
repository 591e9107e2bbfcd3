"""What uv is told, and what its errors mean."""

import pytest
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.virtualenv import uv_command
from ansible.module_utils.chatglm.virtualenv.pip_config import PipConfig
from ansible.module_utils.chatglm.virtualenv.python_env import Wanted
from ansible.module_utils.chatglm.virtualenv.requirements import Pin

TORCH = Pin("torch", "2.13.0+cpu", ("a" * 64,))
GRADIO = Pin("gradio", "6.17.3", ("a" * 64,))
PAGE = "https://download.pytorch.org/whl/cpu"
WANTED = Wanted("/home/me/venv", "/usr/bin/python3", (), cache_dir="/nowhere/uv")

# Captured from uv 0.13.9, but for the last three, which are invented after its source texts.
NO_WHEEL = """error: No solution found when resolving dependencies
  cause: Because torch==2.13.0+cpu has no wheels with a matching Python ABI tag (e.g., `cp312`) and you require
hint: You require CPython 3.12 (`cp312`), but we only found wheels for `torch` (v2.13.0+cpu) with `cp311`
"""
DNS = """error: Failed to read `--find-links` URL: https://download.pytorch.org/whl/cpu/torch/
  cause: Request failed after 3 retries in 8.2s
  cause: Failed to fetch: https://download.pytorch.org/whl/cpu/torch/
  cause: dns error
  cause: failed to lookup address information: Name or service not known
"""
HASH = """error: Failed to download `torch==2.13.0+cpu`
  cause: Hash mismatch for `torch==2.13.0+cpu`
"""
REFUSED = """error: Request failed after 3 retries in 4.5s
  cause: Failed to fetch: http://127.0.0.1:9/simple/setuptools/
  cause: tcp connect error
  cause: Connection refused (os error 111)
"""
TLS = """error: Failed to fetch: https://index.example.org/simple/torch/
  cause: error sending request for url (https://index.example.org/simple/torch/)
  cause: client error (Connect)
  cause: invalid peer certificate: UnknownIssuer
"""
PAGE_AS_WHEEL = """error: Failed to download `gamma==3.0`
  cause: Encountered an unexpected header (actual: 0x4f44213c, expected: 0x4034b50).
"""
BIT = "error: Failed to download `x==1`\n  cause: Bad CRC (got cff9fc27, expected 38aede8a) for file: x/RECORD\n"
NO_INDEX = "error: Missing `Content-Type` header for `http://127.0.0.1:38945/simple/beta/`\n"
DISK = "error: Failed to extract archive\n  cause: No space left on device (os error 28)\n"
DENIED = "error: HTTP status client error (401 Unauthorized) for url (https://me:pw@index.example/simple/x/)\n"
ODD = "something\nerror: never seen before\n"


@pytest.mark.parametrize(
    ("stderr", "found", "remedy"),
    [
        (NO_WHEEL, "no wheel of a locked package for this Python", "virtualenv_python"),
        (DNS, "a package source that cannot be reached", "virtualenv_torch_index_url"),
        (HASH, "content differs from the lock", "virtualenv_index_url"),
        (REFUSED, "cannot be reached (http://127.0.0.1:9/simple/setuptools/)", "in China a mirror"),
        (TLS, "does not trust", "chatglm_ca_bundle"),
        (DISK, "a full disk", "chatglm_home"),
        (DENIED, "refuses access", "vault"),
        (PAGE_AS_WHEEL, "content differs from the lock", "virtualenv_index_url"),
        (BIT, "content differs from the lock", "virtualenv_index_url"),
        (NO_INDEX, "not as a package index", "virtualenv_index_url"),
        (ODD, "uv failed while testing: error: never seen before", "stderr"),
        ("", "no output", "stderr"),
    ],
)
def test_errors_are_explained(stderr, found, remedy):
    failure = uv_command.explain(stderr, "testing")
    assert found in failure.found
    assert remedy in failure.remedy
    assert "pw" not in str(failure)


def test_the_torch_page_is_asked_only_for_torch_and_only_without_a_local_wheel(tmp_path):
    folder = tmp_path / "my wheels, all"
    folder.mkdir()
    sources = uv_command.Sources(torch_index_url=PAGE, find_links=(str(folder),))
    local = f"file://{tmp_path}/my%20wheels%2C%20all"
    assert uv_command.locations(sources, [GRADIO], "3.11") == ([], {"UV_FIND_LINKS": local})
    both = ([], {"UV_FIND_LINKS": f"{local},{PAGE}/torch/"})
    assert uv_command.locations(sources, [TORCH, GRADIO], "3.11") == both
    (folder / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    assert uv_command.locations(sources, [TORCH], "3.11") == ([], {"UV_FIND_LINKS": local})
    assert uv_command.locations(sources, [TORCH], "3.12") == both
    assert uv_command.locations(uv_command.Sources(), [TORCH], "3.12") == ([], {})


def test_addresses_travel_in_the_environment_for_they_may_hold_passwords():
    sources = uv_command.Sources(
        index_url="https://me:pw@one/",
        extra_index_urls=("https://me:pw@two/", "https://three/"),
        find_links=("https://me:pw@four/", "file:///srv/wheels"),
    )
    arguments, environment = uv_command.locations(sources, [GRADIO], "3.11")
    assert arguments == []
    assert environment == {
        "UV_DEFAULT_INDEX": "https://me:pw@one/",
        "UV_INDEX": "https://me:pw@two/ https://three/",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "https://me:pw@four/,file:///srv/wheels",
    }


def test_what_is_set_here_wins_over_pip():
    pip = PipConfig("https://pip/", ("https://extra/",), ("/pip",), True, "/pip.pem", "http://proxy", ("h",))
    chosen = uv_command.choose_sources(pip, "https://own/", ["/own"], PAGE + "/", "/own.pem")
    assert (chosen.index_url, chosen.extra_index_urls, chosen.find_links) == ("https://own/", (), ("/own",))
    assert (chosen.no_index, chosen.ca_bundle, chosen.torch_index_url) == (False, "/own.pem", PAGE)
    chosen = uv_command.choose_sources(pip, "", [], "", "")
    assert (chosen.index_url, chosen.extra_index_urls, chosen.find_links) == (
        "https://pip/",
        ("https://extra/",),
        ("/pip",),
    )
    assert (chosen.no_index, chosen.ca_bundle, chosen.proxy) == (True, "/pip.pem", "http://proxy")
    told = {"UV_FIND_LINKS": "file:///pip", "UV_INSECURE_HOST": "h"}
    assert uv_command.locations(chosen, [GRADIO], "3.11") == (["--no-index"], told)


def test_uv_sees_no_setting_that_could_change_what_it_does():
    environ = {"PATH": "/bin", "UV_LINK_MODE": "symlink", "PYTHONPATH": "/x", "VIRTUAL_ENV": "/y", "HTTPS_PROXY": "p"}
    environment = uv_command.base_environment(environ, uv_command.Sources(), WANTED)
    assert environment["UV_LINK_MODE"] == "hardlink"
    assert environment["LC_ALL"] == "C"
    assert environment["HTTPS_PROXY"] == "p"
    assert not {"PYTHONPATH", "VIRTUAL_ENV"} & set(environment)
    kept = Wanted("/home/me/venv", "/usr/bin/python3", (), cache_dir="/nowhere/uv", keep_cache=True)
    assert uv_command.base_environment(environ, uv_command.Sources(), kept)["UV_LINK_MODE"] == "copy"


def test_an_own_bundle_adds_to_the_systems(tmp_path):
    system, own = tmp_path / "system.pem", tmp_path / "own.pem"
    system.write_text("-----BEGIN CERTIFICATE-----\nsystem\n")
    own.write_text("-----BEGIN CERTIFICATE-----\nown\n")
    text = uv_command.certificates(str(own), {"SSL_CERT_FILE": str(system)}).decode()
    assert "system" in text
    assert "own" in text
    own.write_text("hello")
    with pytest.raises(Failure, match="no certificate in it"):
        uv_command.certificates(str(own), {})
