"""APT's lists of sources: read both formats, and write the stanzas that enable one more component.

Pure; formats as in sources.list(5) and deb822-style of the same page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

TARGET = "/etc/apt/sources.list.d/chatglm-cuda.sources"
"""The file that the project writes; nothing else of APT's is touched."""

OWN_FILES = (
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/apt/sources.list.d/ubuntu.sources",
    "/etc/apt/sources.list.d/system.sources",
    "/etc/apt/sources.list.d/official-package-repositories.list",
)
"""Where Debian, Ubuntu, Pop!_OS and Mint keep the entries of their own archive."""

# sources.list(5): names of one-line options that differ from the deb822 field by more than case and prefix.
OPTION_FIELDS = {
    "arch": "Architectures",
    "lang": "Languages",
    "target": "Targets",
    "pdiffs": "PDiffs",
    "inrelease-path": "InRelease-Path",
}
LIST_OPTIONS = ("Architectures", "Languages", "Targets", "Signed-By")
"""Fields whose values one-line entries separate by commas, and deb822 by blanks."""

BASIC_FIELDS = ("types", "uris", "suites", "components", "enabled")


@dataclass(frozen=True)
class Entry:
    """One stanza, or one line.

    Args:
        file: where it stands.
        types: deb, deb-src.
        options: further fields by their deb822 name, for example Signed-By; a value may have several lines.

    """

    file: str
    types: tuple[str, ...]
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    enabled: bool = True
    options: dict[str, str] = field(default_factory=dict)


def parse_one_line(text: str, file: str = "") -> list[Entry]:
    """Return the entries of a file in the one-line format; comments, and lines that cannot be read, are left out."""
    entries = []
    for line in text.splitlines():
        match = re.match(r"\s*(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?((?:cdrom:\[[^\]]*\]\S*)|\S+)\s+(\S+)([^#]*)", line)
        if not match:
            continue
        kind, options, uri, suite, components = match.groups()
        fields = {}
        for name, value in re.findall(r"([\w-]+)[+-]?=(\S+)", options or ""):
            title = OPTION_FIELDS.get(name.lower(), "-".join(part.capitalize() for part in name.split("-")))
            fields[title] = value.replace(",", " ") if title in LIST_OPTIONS else value
        entries.append(Entry(file, (kind,), (uri,), (suite,), tuple(components.split()), options=fields))
    return entries


def parse_deb822(text: str, file: str = "") -> list[Entry]:
    """Return the entries of a file in deb822 format, those with ``Enabled: no`` too, marked as such."""
    entries = []
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n[ \t]*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1] in " \t" and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip()
                fields[name] = value.strip()
        low = {name.lower(): value for name, value in fields.items()}
        if "uris" not in low or "suites" not in low:
            continue
        entries.append(
            Entry(
                file,
                tuple(low.get("types", "deb").split()),
                tuple(low["uris"].split()),
                tuple(low["suites"].split()),
                tuple(low.get("components", "").split()),
                low.get("enabled", "yes").strip().lower() not in ("no", "false", "0", "off", "without", "disable"),
                {name: value for name, value in fields.items() if name.lower() not in BASIC_FIELDS},
            )
        )
    return entries


def parse(files: dict[str, str]) -> list[Entry]:
    """Return the entries of ``files`` (path to text), each read in the format that its name ends in."""
    entries = []
    for path, text in sorted(files.items()):
        entries += parse_deb822(text, path) if path.endswith(".sources") else parse_one_line(text, path)
    return entries


def _base(suite: str) -> str:
    """Return the release that a suite belongs to: bookworm-updates and bookworm/updates give bookworm."""
    return re.sub(r"(-updates|-security|/updates)$", "", suite.rstrip("/"))


def own_entries(entries: Iterable[Entry], codename: str) -> list[Entry]:
    """Return the entries of the distribution's own archive, reduced to the suites of ``codename``.

    Backports and proposed updates are left out, and so are the archives of others that use the same suite name: what
    stands in the distribution's own files comes first; without such, an address that ends in the distribution's name.
    """
    aliases = (codename, "stable", "oldstable", "testing", "unstable", "sid")
    found = []
    for entry in entries:
        suites = tuple(suite for suite in entry.suites if _base(suite) in aliases)
        if "deb" in entry.types and entry.enabled and suites and "main" in entry.components and entry.file != TARGET:
            uris = tuple(uri for uri in entry.uris if not uri.startswith("cdrom:"))
            if uris:
                found.append(Entry(entry.file, ("deb",), uris, suites, entry.components, True, entry.options))
    named = [entry for entry in found if entry.file in OWN_FILES]
    if named:
        return named
    return [
        entry
        for entry in found
        if all(re.search(r"/(debian|ubuntu|debian-security|ubuntu-ports)/?$", uri) for uri in entry.uris)
        and not any("ppa.launchpad" in uri for uri in entry.uris)
    ]


def _places(entry: Entry) -> set[tuple[str, str]]:
    """Return the (address, suite) pairs of an entry."""
    return {(uri.rstrip("/"), suite.rstrip("/")) for uri in entry.uris for suite in entry.suites}


def enabled(entries: Iterable[Entry], codename: str, component: str) -> bool:
    """Whether ``component`` of the release itself can be installed from; TARGET counts as well."""
    entries = list(entries)
    own = {place for entry in own_entries(entries, codename) for place in _places(entry)}
    release = {(uri, suite) for uri, suite in own if _base(suite) == suite}
    return any(
        entry.enabled and "deb" in entry.types and component in entry.components and _places(entry) & release
        for entry in entries
    )


def stanzas(entries: Iterable[Entry], codename: str, component: str, even_enabled: bool = False) -> str:
    """Return the text of TARGET that enables ``component`` beside the distribution's own entries.

    Each stanza repeats address, suites and every option (Signed-By among them) of one own entry. Empty when the
    release's entries have the component already, unless ``even_enabled``, or when there is no entry to go by.
    """
    entries = [entry for entry in entries if entry.file != TARGET]
    if not even_enabled and enabled(entries, codename, component):
        return ""
    texts = []
    for entry in own_entries(entries, codename):
        if component in entry.components and not even_enabled:
            continue
        fields = {
            "Types": "deb",
            "URIs": " ".join(entry.uris),
            "Suites": " ".join(entry.suites),
            "Components": component,
            **entry.options,
        }
        # A value that begins on the next line (a key in Signed-By) starts with the line break.
        text = "".join(f"{name}:{'' if value.startswith(chr(10)) else ' '}{value}\n" for name, value in fields.items())
        if text not in texts:
            texts.append(text)
    if not texts:
        return ""
    head = f"# Enables {component} for the CUDA runtime libraries of ChatGLM2-6B-int4 (role cuda_libs).\n"
    return head + "\n".join(texts)
