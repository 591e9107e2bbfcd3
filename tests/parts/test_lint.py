"""The part lint: checkers over the whole repository."""

import json
import os
import subprocess

import pytest
from conftest import ROOT, show

STANDINS = ("git_objects", "python_archive", "serve", "source_repo", "tiny_model")
"""But for those that have the shape of somebody else's files."""
TYPED = ["module_utils/chatglm", "engine", "library", *sorted(path.name for path in ROOT.glob("*_plugins"))]
TYPED += ["requirements/stage_zero.py", "roles/virtualenv/files/relock", "roles/virtualenv/files/signatures"]
TYPED += [
    "benchmarks",
    "docs/generate.py",
    "tests/parts/environments.py",
    *(f"tests/standins/{name}.py" for name in STANDINS),
]
CHECKS = {
    "ruff": ["ruff", "check", ".", "test"],
    "ruff-format": ["ruff", "format", "--check", ".", "test"],
    "mypy": ["mypy", *TYPED],
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


MODULES = sorted(path.stem for path in (ROOT / "library").glob("*.py"))


@pytest.fixture(scope="session")
def documentation():
    """What ansible-doc makes of all modules: one text, and the parsed parts by module."""
    command = ["ansible-doc", "--module-path", str(ROOT / "library"), "--type", "module"]
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    rendered, parsed = (
        subprocess.run([*command, *format_, *MODULES], capture_output=True, text=True, cwd=ROOT, env=env)
        for format_ in ([], ["--json"])
    )
    assert (rendered.returncode, parsed.returncode) == (0, 0), rendered.stderr + parsed.stderr
    return rendered.stdout, json.loads(parsed.stdout)


@pytest.mark.parametrize("module", MODULES)
def test_documentation_renders(module, documentation):
    rendered, parsed = documentation
    assert f"> MODULE {module}" in rendered
    parts = parsed[module]
    assert parts["doc"]["description"]
    assert parts["examples"].strip()
    assert parts["return"]
    assert {"check_mode", "diff_mode"} <= parts["doc"]["attributes"].keys()
