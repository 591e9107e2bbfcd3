"""What scripts, tasks and plugins call of coreutils, with the options they give: uutils knows them as GNU does.

The look-alike of Ubuntu 26.04 has uutils under the plain names, and GNU's as gnuNAME; what the calls do there, the
installation itself shows.
"""

import re
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://chatglm-forky"]

ROOT = Path(__file__).resolve().parents[3]
PATTERNS = ("bootstrap", "relock", "roles/*/files/*", "roles/*/tasks/*.yml", "roles/*/vars/*.yml", "playbooks/*.yml")
PATTERNS += ("action_plugins/*.py", "library/*.py", "module_utils/chatglm/*/*.py")
# An option and, where it is one letter, the value that may follow it.
OPTION = r"(?: +--?[A-Za-z][\w-]*(?:=[^\s;|&)\"'`]+)?)"


def calls(names):
    """Return {(name, options): file} of what the project's files call with options."""
    begin = r"(?:^\s*|[;|&(`\"'!{]\s*|\b(?:sudo|then|else|do|exec|if|xargs -0) |\b[A-Z_]+=\S+ )"  # not: apt-get install
    command = re.compile(rf"{begin}({'|'.join(map(re.escape, names))})({OPTION}+)(?![\w-])", re.MULTILINE)
    found = {}
    for path in sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern) if path.is_file()):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        text = "\n".join(line for line in lines if not re.match(r"\s*#", line))
        for name, options in command.findall(text):
            found.setdefault((name, " ".join(options.split())), path.relative_to(ROOT))
    return found


@pytest.fixture(scope="module")
def names(host):
    # Not what every shell has built in: test takes no --help.
    ask = 'for n in $(coreutils --list); do [ "$(command -v $n)" = $n ] || ! command -v gnu$n >&2 || echo $n; done'
    listed = host.run(f"PATH=$PATH:/usr/sbin; {ask}").stdout.split()
    assert {"sha256sum", "readlink", "stat"} <= set(listed)
    return listed


def knows(host, program, options):
    """Tell whether a program takes the options; one of them may want a value."""
    return any(host.run(f"{program} {options}{value} --help").rc == 0 for value in ("", " 1"))


def test_the_plain_names_are_uutils_and_the_others_gnu_s(host):
    assert "uutils" in host.check_output("stat --version")
    assert "GNU" in host.check_output("gnustat --version")
    assert "uutils" in host.check_output("ssh -V 2>/dev/null; /usr/bin/env stat --version")


def test_both_know_every_option(host, names):
    used = calls(names)
    assert {name for name, _ in used} >= {"sha256sum", "readlink", "mkdir", "rm", "stat", "head"}
    unknown = [
        f"{path}: {prefix}{name} {options}"
        for (name, options), path in used.items()
        for prefix in ("", "gnu")
        if not knows(host, prefix + name, options)
    ]
    assert unknown == []


@pytest.mark.parametrize("prefix", ["", "gnu"])
def test_an_option_that_nobody_has_is_seen(host, prefix):
    assert not knows(host, f"{prefix}stat", "--no-such-option")


@pytest.mark.parametrize("prefix", ["", "gnu"])
def test_the_launcher_s_check_of_the_weights_fails_when_it_should(host, prefix):
    check = f"{prefix}sha256sum --check --status --strict sums"
    begin = f"cd $(mktemp -d) && echo good >a && {prefix}sha256sum a >sums"
    assert host.run(f"{begin} && {check}").rc == 0
    for damage in ("echo bad >a", "rm a", "echo nonsense >>sums", ": >sums"):
        assert host.run(f"{begin} && {damage} && {check}").rc != 0, damage
