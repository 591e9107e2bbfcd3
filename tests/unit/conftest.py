"""Run a module in the test's own process."""

import json

import pytest
from ansible.module_utils import basic


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
