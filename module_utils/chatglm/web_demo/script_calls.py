"""Judge the calls of a script by what the pinned packages take, and settle those that were written for older ones.

The tables of signatures.py decide; the few names below only say what took a name's place. What a call gives and the
pinned package does not take is renamed where something took its place, dropped where the package of upstream's time
took it, and else refused with its line: nobody can know what it was meant for.
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass

from .edit import Source

# What took the place of an argument, where it means the same.
RENAMED = {"concurrency_count": "default_concurrency_limit", "_js": "js", "source": "sources"}


@dataclass(frozen=True)
class Signature:
    """What a callable takes: by place in their order, by name, and whether any more."""

    by_place: tuple[str, ...]
    names: frozenset[str]
    any_place: bool
    any_name: bool

    @classmethod
    def parse(cls, words: list[str]) -> Signature:
        """Return the signature in a line of signatures.py, without the name."""
        stars = [index for index, word in enumerate(words) if word.startswith("*")]
        places = words[: stars[0]] if stars else words
        names = frozenset(word for word in words if not word.startswith("*"))
        return cls(tuple(places), names, "*args" in words, "**" in words)


@functools.cache
def table(text: str) -> dict[str, Signature | None]:
    """Return signatures by name from a table of signatures.py; None for what is there and no function."""
    lines: list[list[str]] = []
    for line in text.strip("\n").splitlines():
        if line.startswith("  "):
            lines[-1] += line.split()
        else:
            lines.append(line.split())
    return {words[0]: Signature.parse(words[1:]) if len(words) > 1 else None for words in lines}


def names_of(tree: ast.AST, package: str) -> tuple[set[str], dict[str, str]]:
    """Return the names that a package has in a script, and of those imported from it, what each is."""
    modules: set[str] = set()
    members: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name == package}
        elif isinstance(node, ast.ImportFrom) and node.module == package and not node.level:
            members |= {alias.asname or alias.name: alias.name for alias in node.names}
    return modules, members


def settle(
    source: Source, call: ast.Call, shown: str, *, pinned: Signature, classic: Signature | None, package: str
) -> None:
    """Note the edits after which ``call`` gives only what is taken.

    Args:
        source: the script.
        call: one of its calls.
        shown: how it is called, for messages.
        pinned: what it takes.
        classic: what it took in upstream's time, None where it was not there.
        package: its name with the version, for messages.

    Raises:
        Refused: an argument that neither takes.

    """
    _settle_places(source, call, shown, pinned=pinned, classic=classic, package=package)
    used = {keyword.arg for keyword in call.keywords}
    for keyword in call.keywords:
        name = keyword.arg or ""
        if not name or name in pinned.names or pinned.any_name:
            continue
        today = RENAMED.get(name, "")
        if today in pinned.names and today not in used:
            start = source.span(keyword)[0]
            source.edit(start, start + len(name), today, "gradio")
        elif classic is not None and (name in classic.names or classic.any_name):
            source.drop(call, keyword, " ".join(source.of(keyword).split()), package)
        else:
            raise source.refuse(keyword, f"{shown} is given {name}", f"an argument that {package} takes")


def _settle_places(
    source: Source, call: ast.Call, shown: str, *, pinned: Signature, classic: Signature | None, package: str
) -> None:
    """Note the edits after which ``call`` gives by place only what is taken there; see :func:`settle`."""
    used = {keyword.arg for keyword in call.keywords}
    by_name = False
    order = classic.by_place if classic is not None else pinned.by_place
    for index, argument in enumerate(call.args):
        if isinstance(argument, ast.Starred):
            break
        if index >= len(order):
            if pinned.any_place or (classic is not None and classic.any_place):
                break
            raise source.refuse(
                argument, f"{shown} is given {len(call.args)} arguments by place", f"at most {len(order)}"
            )
        name = order[index]
        if not by_name and index < len(pinned.by_place) and pinned.by_place[index] == name:
            continue
        by_name = True
        today = RENAMED.get(name, name) if name not in pinned.names else name
        if today in pinned.names and today not in used:
            at = source.span(argument)[0]
            source.edit(at, at, f"{today}=", "gradio")
        else:
            source.drop(call, argument, f"{source.of(argument)} ({name})", package)
