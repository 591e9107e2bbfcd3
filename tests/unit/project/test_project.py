"""The files about the project itself: its version, its changelog, its hooks."""

import re
from pathlib import Path

import yaml
from ansible.module_utils.chatglm.core.version import VERSION

ROOT = Path(__file__).resolve().parents[3]


def test_the_changelog_s_newest_release_is_the_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    releases = re.findall(r"^## \[(\d\S*)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert releases[0] == VERSION
    assert releases == sorted(set(releases), key=lambda each: [int(n) for n in each.split(".")], reverse=True)


def test_the_version_stands_once():
    """In other files it would be forgotten."""
    told = re.compile(rf"""(?m)^\s*(VERSION|version|__version__)\s*[:=]\s*["']?{re.escape(VERSION)}["']?\s*$""")
    files = [
        path for folder in ("module_utils", "library", "roles", "playbooks") for path in (ROOT / folder).rglob("*")
    ]
    files += [path for path in ROOT.iterdir() if path.is_file()]
    where = [path.name for path in files if path.suffix in {".py", ".yml", ".toml", ""} and path.is_file()
             and told.search(path.read_text(encoding="utf-8", errors="replace"))]  # fmt: skip
    assert where == ["version.py"]


def test_pre_commit_runs_what_test_lint_runs():
    text = (ROOT / "tests" / "parts" / "test_lint.py").read_text()
    checks = re.findall(r'^    "([\w-]+)": \[', text, re.M)
    tests = set(re.findall(r"^def (test_\w+)", text, re.M))
    assert len(checks) >= 5
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local", "no hook of somebody else's"
    entries = [hook["entry"].removeprefix("./bootstrap ./test lint -k ") for hook in repository["hooks"]]
    assert sorted(entries) == sorted([f"test_lint[{check}]" for check in checks] + sorted(tests - {"test_lint"}))
    assert all(not hook["pass_filenames"] and hook["language"] == "system" for hook in repository["hooks"])


def test_the_licence_is_there():
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License\n")
    assert "The ChatGLM2 WSL project" in text
