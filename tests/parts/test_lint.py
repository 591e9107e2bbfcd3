"""The part lint: checkers over the whole repository."""

import json
import subprocess

import pytest
from conftest import ROOT, show

CHECKS = {
    "ruff": ["ruff", "check", ".", "test"],
    "ruff-format": ["ruff", "format", "--check", ".", "test"],
    "mypy": ["mypy", "module_utils/chatglm"],
    "yamllint": ["yamllint", "--strict", "."],
    "ansible-lint": ["ansible-lint", "--offline", "--strict"],
}
SCRIPTS = ["bootstrap", ".ci/run", "lab/build-image"]


@pytest.mark.parametrize("check", CHECKS)
def test_lint(check):
    show(*CHECKS[check])


@pytest.mark.parametrize("inventory", sorted(p.name for p in (ROOT / "inventory").iterdir()))
def test_syntax(inventory):
    plays = [ROOT / "site.yml", *sorted((ROOT / "playbooks").glob("*.yml"))]
    show("ansible-playbook", "--syntax-check", "-i", ROOT / "inventory" / inventory, *plays)


def test_shell_scripts(need):
    need({"shellcheck": "shellcheck"}, "lint")
    show("shellcheck", *SCRIPTS)


@pytest.mark.parametrize("module", sorted(p.stem for p in (ROOT / "library").glob("*.py")))
def test_documentation_renders(module):
    command = ["ansible-doc", "--module-path", str(ROOT / "library"), "--type", "module"]
    done = subprocess.run([*command, "--json", module], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    parts = json.loads(done.stdout)[module]
    assert parts["doc"]["description"]
    assert parts["examples"].strip()
    assert parts["return"]
    assert {"check_mode", "diff_mode"} <= parts["doc"]["attributes"].keys()
    rendered = subprocess.run([*command, module], capture_output=True, text=True, cwd=ROOT)
    assert rendered.returncode == 0, rendered.stderr
    assert module.upper() in rendered.stdout.upper()
