"""APT's sources: reading both formats, and what is written to enable a component. Samples in data/host."""

from pathlib import Path

import pytest
from ansible.module_utils.chatglm.cuda_libs import apt_sources

DATA = Path(__file__).parents[1] / "data" / "host"
MAIN = "/etc/apt/sources.list"


def entries(name, path):
    return apt_sources.parse({path: (DATA / name).read_text()})


def test_bookworm_list():
    text = apt_sources.stanzas(entries("bookworm.list", MAIN), "bookworm", "non-free")
    assert text == (
        "# Enables non-free for the CUDA runtime libraries of ChatGLM2-6B-int4 (role cuda_libs).\n"
        "Types: deb\nURIs: http://mirror.example.org/debian\nSuites: bookworm\nComponents: non-free\n\n"
        "Types: deb\nURIs: http://mirror.example.org/debian\nSuites: bookworm-updates\nComponents: non-free\n\n"
        "Types: deb\nURIs: http://security.debian.org/debian-security\nSuites: bookworm-security\n"
        "Components: non-free\n"
    )


def test_debian_sources():
    found = entries("debian.sources", "/etc/apt/sources.list.d/debian.sources")
    text = apt_sources.stanzas(found, "bookworm", "non-free")
    assert text.count("Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n") == 2
    assert "Suites: bookworm bookworm-updates\nComponents: non-free\n" in text


def test_ubuntu_sources():
    """The stanza repeats the key and the architecture, leaves backports out, and the disabled stanza does not count."""
    found = entries("ubuntu.sources", "/etc/apt/sources.list.d/ubuntu.sources")
    text = apt_sources.stanzas(found, "noble", "multiverse")
    assert (
        "Types: deb\nURIs: http://mirror.example/ubuntu/\nSuites: noble noble-updates\nComponents: multiverse\n" in text
    )
    assert "Architectures: amd64\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQIN" in text
    assert text.count("Types: ") == 2
    again = apt_sources.parse_deb822(text)
    assert [entry.components for entry in again] == [("multiverse",), ("multiverse",)]
    assert again[0].options["Signed-By"] == found[0].options["Signed-By"]


def test_jammy_list():
    """Neither the CD, nor backports, nor deb-src, nor another archive of the same suite is repeated."""
    text = apt_sources.stanzas(entries("jammy.list", MAIN), "jammy", "multiverse")
    assert [line for line in text.splitlines() if line.startswith("Suites")] == [
        "Suites: jammy",
        "Suites: jammy-updates",
    ]
    assert "Architectures: amd64 i386\nSigned-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg\n" in text
    assert "cdrom" not in text
    assert "postgresql" not in text


@pytest.mark.parametrize(
    ("files", "enabled"),
    [
        ({MAIN: "deb http://mirror.example.org/debian bookworm main contrib non-free\n"}, True),
        ({MAIN: "deb http://mirror.example.org/debian bookworm main non-free-firmware\n"}, False),
        ({MAIN: "deb http://d/debian bookworm main\ndeb http://d/debian/ bookworm non-free\n"}, True),
        ({MAIN: "deb http://d/debian bookworm main\n# deb http://d/debian bookworm non-free\n"}, False),
        ({MAIN: "deb http://d/debian bookworm main\ndeb http://other/debian bookworm non-free\n"}, False),
        ({MAIN: "deb http://d/debian bookworm main\ndeb-src http://d/debian bookworm non-free\n"}, False),
        ({MAIN: "deb http://d/debian bookworm main\ndeb http://d/debian bookworm-updates non-free\n"}, False),
        ({MAIN: "deb http://d/debian stable main non-free\n"}, True),
        ({}, False),
        (
            {
                MAIN: "deb http://d/debian bookworm main\n",
                apt_sources.TARGET: "Types: deb\nURIs: http://d/debian\nSuites: bookworm\nComponents: non-free\n",
            },
            True,
        ),
        (
            {
                MAIN: "deb http://d/debian bookworm main\n",
                apt_sources.TARGET: "Types: deb\nURIs: http://old/debian\nSuites: bookworm\nComponents: non-free\n",
            },
            False,
        ),
        (
            {
                MAIN: "deb http://d/debian bookworm main\n",
                "/etc/apt/sources.list.d/x.sources": "Enabled: no\nURIs: http://d/debian\nSuites: bookworm\n"
                "Components: non-free\n",
            },
            False,
        ),
    ],
)
def test_enabled(files, enabled):
    assert apt_sources.enabled(apt_sources.parse(files), "bookworm", "non-free") is enabled


def test_own_file_is_written_the_same_again():
    """What the project wrote does not change what it would write, so that a second run changes nothing."""
    before = entries("bookworm.list", MAIN)
    text = apt_sources.stanzas(before, "bookworm", "non-free")
    after = before + apt_sources.parse_deb822(text, apt_sources.TARGET)
    assert apt_sources.stanzas(after, "bookworm", "non-free") == text
    assert apt_sources.enabled(after, "bookworm", "non-free")


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("deb https://mirrors.example/debian bookworm main", True),
        ("deb https://packages.sury.org/php bookworm main", False),
        ("deb https://ppa.launchpadcontent.net/x/y/ubuntu bookworm main", False),
        ("deb https://download.docker.com/linux/debian bookworm stable", False),
        ("deb [trusted=yes] https://mirrors.example/debian/ bookworm main", True),
        ("deb https://mirrors.example/debian trixie main", False),
    ],
)
def test_own_entries_elsewhere(line, own):
    """Without the distribution's own files, the address decides."""
    found = apt_sources.parse({"/etc/apt/sources.list.d/some.list": line + "\n"})
    assert bool(apt_sources.own_entries(found, "bookworm")) is own
    if "trusted" in line:
        assert "Trusted: yes\n" in apt_sources.stanzas(found, "bookworm", "non-free")


def test_nothing_to_go_by():
    assert apt_sources.stanzas([], "bookworm", "non-free") == ""
    assert apt_sources.parse_one_line("nonsense\ndeb\ndeb x\n") == []
    assert apt_sources.parse_deb822("nonsense\n\nTypes: deb\n") == []
