"""Run a module in the test's own process."""

import json

import ansible.module_utils
import pytest
from ansible.module_utils import basic


@pytest.fixture(autouse=True)
def on_a_host(monkeypatch):
    """Keep a module's warnings in its answer, as on a host, where a test has imported parts of the control side."""
    internal = getattr(ansible.module_utils, "_internal", None)  # ansible-core 2.19
    if internal is not None:
        monkeypatch.setattr(internal, "is_controller", False)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Reach the servers of tests on loopback directly, whatever the environment says."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def run_module(monkeypatch, capsys):
    """Return a function that runs a module of library/ and returns its answer."""

    def runner(module, check=False, **options):
        arguments = {**options, "_ansible_check_mode": check, "_ansible_remote_tmp": "/tmp"}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    return runner
