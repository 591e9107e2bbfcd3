"""What the host's own pip configuration says about where packages come from.

Sources of fact: pip's documentation "Configuration" and its ``_internal/configuration.py`` and ``cli/parser.py``:
files are read from the weakest to the strongest, a key of a stronger file hides the same key of a weaker one, and then
[install] hides [global] and PIP_* variables hide both.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..core.failure import Failure

_KEYS = ("index-url", "extra-index-url", "find-links", "no-index", "cert", "proxy", "trusted-host")


@dataclass(frozen=True)
class PipConfig:
    """The settings that decide where packages come from; empty when not set.

    Attributes:
        index_url: the package index.
        extra_index_urls: further indexes.
        find_links: folders or pages that list distribution files.
        no_index: True when no index may be asked.
        cert: PEM file of certificate authorities.
        proxy: proxy URL.
        trusted_hosts: hosts whose certificate is not checked.
        origins: setting name to the file or variable that set it.

    """

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    cert: str = ""
    proxy: str = ""
    trusted_hosts: tuple[str, ...] = ()
    origins: dict[str, str] = field(default_factory=dict, compare=False)


def config_files(environment: Mapping[str, str], home: str) -> list[str]:
    """Return the paths that pip reads outside a virtualenv, weakest first; they need not exist."""
    own = environment.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return []
    folders = [item for item in environment.get("XDG_CONFIG_DIRS", "").split(":") if item] or ["/etc/xdg"]
    files = [f"{folder}/pip/pip.conf" for folder in folders] + ["/etc/pip.conf"]
    if not (own and os.path.exists(own)):
        config_home = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
        files += [f"{home}/.pip/pip.conf", f"{config_home}/pip/pip.conf"]
    return [*files, own] if own else files


def merge(texts: list[tuple[str, str]], environment: Mapping[str, str], home: str) -> PipConfig:
    """Return the settings that the files and the environment make together.

    Args:
        texts: path and content of each configuration file, weakest first.
        environment: the PIP_* variables among others.
        home: what a leading ``~`` stands for.

    Raises:
        Failure: a file is not in pip's format.

    """
    sections: dict[str, dict[str, tuple[str, str]]] = {"global": {}, "install": {}, ":env:": {}}
    for path, text in texts:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(text)
        except configparser.Error as error:
            raise Failure(
                f"pip configuration file {path}, which cannot be read ({type(error).__name__})",
                "[sections] with key = value lines, as pip itself demands",
                f"correct {path} (pip config debug shows what pip makes of it)",
            ) from error
        for section in ("global", "install"):
            if parser.has_section(section):
                for key, value in parser.items(section):
                    sections[section][key.lower().replace("_", "-")] = (value, path)
    for name, value in environment.items():
        if name.startswith("PIP_"):
            sections[":env:"][name[4:].lower().replace("_", "-")] = (value, name)
    merged: dict[str, str] = {}
    origins: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for key, (value, origin) in sections[section].items():
            if key in _KEYS and value.strip():
                merged[key], origins[key] = value.strip(), origin

    def words(key: str) -> tuple[str, ...]:
        return tuple(_expanded(word, home) for word in merged.get(key, "").split())

    return PipConfig(
        index_url=merged.get("index-url", ""),
        extra_index_urls=words("extra-index-url"),
        find_links=words("find-links"),
        no_index=merged.get("no-index", "").lower() in ("1", "y", "yes", "t", "true", "on"),
        cert=_expanded(merged.get("cert", ""), home),
        proxy=merged.get("proxy", ""),
        trusted_hosts=words("trusted-host"),
        origins=origins,
    )


def _expanded(path: str, home: str) -> str:
    return home + path[1:] if path == "~" or path.startswith("~/") else path


def read(environment: Mapping[str, str]) -> PipConfig:
    """Return the pip settings of the user who runs this.

    Raises:
        Failure: as :func:`merge`.

    """
    home = environment.get("HOME") or os.path.expanduser("~")
    texts = []
    for path in config_files(environment, home):
        try:
            texts.append((path, Path(path).read_text(encoding="utf-8", errors="replace")))
        except OSError:
            continue  # pip, too, passes over a file that is not there or not readable
    return merge(texts, environment, home)
