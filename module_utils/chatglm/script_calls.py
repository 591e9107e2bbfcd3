"""Judge the calls of a script by what the pinned packages take, and settle those that were written for older ones.

The tables of signatures.py decide; the few names below only say what took a name's place. What a call gives and the
pinned package does not take is renamed where something took its place, dropped where the package of upstream's time
took it, and else refused with its line: nobody can know what it was meant for.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import signatures

if TYPE_CHECKING:
    from .web_demo_patch import Source

# What took the place of an argument, where it means the same.
RENAMED = {"concurrency_count": "default_concurrency_limit", "_js": "js", "source": "sources"}
REPLACED = {"Box": "Group", "Variable": "State", "Pil": "Image"}
"""What took the place of a class of gradio."""


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


class Gradio:
    """The calls of gradio in a script."""

    def __init__(self, source: Source) -> None:
        """Find the package's names, and what the script's variables hold."""
        self.source = source
        self.pinned, self.classic = table(signatures.GRADIO), table(signatures.CLASSIC)
        self.modules, self.members = names_of(source.tree, "gradio")
        self.made: dict[str, set[str]] = {}
        for node in ast.walk(source.tree):
            pairs: list[tuple[ast.AST, ast.AST | None]] = []
            if isinstance(node, ast.Assign):
                pairs = [(target, node.value) for target in node.targets]
            elif isinstance(node, ast.withitem):
                pairs = [(node.optional_vars, node.context_expr)] if node.optional_vars is not None else []
            for target, value in pairs:
                if isinstance(target, ast.Name):
                    self.made.setdefault(target.id, set()).add(self.kind(value) if value is not None else "")

    def path(self, node: ast.AST) -> str:
        """Return the name within gradio that an expression is, such as ``Textbox`` or ``inputs.Textbox``, or ""."""
        if isinstance(node, ast.Name):
            return self.members.get(node.id, "")
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in self.modules:
                return node.attr
            above = self.path(node.value)
            return f"{above}.{node.attr}" if above else ""
        return ""

    def kind(self, node: ast.AST) -> str:
        """Return the class of gradio that an expression makes or holds, or ""."""
        if isinstance(node, ast.Name):
            kinds = self.made.get(node.id, set())
            return next(iter(kinds)) if len(kinds) == 1 else ""
        if not isinstance(node, ast.Call):
            return ""
        path = self.path(node.func)
        if path:
            return path if path[0].isupper() else ""
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("queue", "style"):
            return self.kind(node.func.value)
        return ""

    def constructs(self, node: ast.AST) -> bool:
        """Tell whether an expression is a call of one of the package's own names."""
        return isinstance(node, ast.Call) and bool(self.path(node.func))

    def takes(self, call: ast.Call) -> Signature | None:
        """Return what the class that ``call`` makes takes today."""
        path = self.path(call.func)
        return self.pinned.get(REPLACED.get(path, path))

    def judge(self) -> Iterator[tuple[ast.Call, str, Signature, Signature | None]]:
        """Settle names that are gone; yield each call that is known, how it is called, what it takes and took.

        Raises:
            Failure: a name that the pinned package has not, and nothing in its place.

        """
        for node in ast.walk(self.source.tree):
            if not isinstance(node, ast.Call):
                continue
            path = self.path(node.func)
            if path:
                yield from self.named(node, path)
            elif isinstance(node.func, ast.Attribute):
                name = f".{node.func.attr}"
                known = self.kind(node.func.value) or ("Blocks" if name in (".launch", ".queue") else "")
                pinned = self.pinned.get(name)
                if known and pinned is not None:
                    yield node, name, pinned, self.classic.get(name)
                elif known and name in self.classic and name != ".style":
                    raise self.source.refuse(
                        node, f"{known} of gradio {signatures.GRADIO_VERSION} has no {name}", "a method that it has"
                    )

    def named(self, node: ast.Call, path: str) -> Iterator[tuple[ast.Call, str, Signature, Signature | None]]:
        """Settle or yield a call of a name of the package."""
        shown, func = f"gr.{path}", node.func
        head, _, tail = path.partition(".")
        if tail == "update" and "update" in self.pinned and f"{head}.update" not in self.pinned and self.modules:
            if head[:1].isupper():  # gr.Textbox.update(...) became gr.update(...)
                module = sorted(self.modules)[0]
                self.source.edit(*self.source.span(func), f"{module}.update", "gradio")
            return
        if head in REPLACED and head not in self.pinned:
            if tail or not isinstance(func, ast.Attribute):
                raise self.source.refuse(node, f"gradio {signatures.GRADIO_VERSION} has no {shown}", REPLACED[head])
            end = self.source.span(func)[1]
            self.source.edit(end - len(head), end, REPLACED[head], "gradio")
            pinned = self.pinned[REPLACED[head]]
            if pinned is not None:
                yield node, shown, pinned, self.classic.get(head)
            return
        if head not in self.pinned:
            raise self.source.refuse(
                node,
                f"gradio {signatures.GRADIO_VERSION} has no {shown}",
                f"what gradio {signatures.GRADIO_VERSION} has",
            )
        pinned = self.pinned.get(path)
        if pinned is not None:
            yield node, shown, pinned, self.classic.get(path)


def settle(
    source: Source, call: ast.Call, shown: str, *, pinned: Signature, classic: Signature | None, given: str
) -> None:
    """Note the edits after which ``call`` gives only what is taken.

    Args:
        source: the script.
        call: one of its calls.
        shown: how it is called, for messages.
        pinned: what it takes.
        classic: what it took in upstream's time, None where it was not there.
        given: the package with its version, for messages.

    Raises:
        Failure: an argument that neither takes.

    """
    used = {keyword.arg for keyword in call.keywords}
    by_name = False
    order = classic.by_place if classic is not None else pinned.by_place
    for index, argument in enumerate(call.args):
        if isinstance(argument, ast.Starred):
            break
        if index < len(order):
            name = order[index]
        elif index < len(pinned.by_place) and classic is None:
            name = pinned.by_place[index]
        elif pinned.any_place or (classic is not None and classic.any_place):
            break
        else:
            raise source.refuse(
                argument, f"{shown} is given {len(call.args)} arguments by place", f"at most {len(order)}"
            )
        if not by_name and index < len(pinned.by_place) and pinned.by_place[index] == name:
            continue
        by_name = True
        today = RENAMED.get(name, name) if name not in pinned.names else name
        if today in pinned.names and today not in used:
            at = source.span(argument)[0]
            source.edit(at, at, f"{today}=", "gradio")
        else:
            source.drop(call, argument, f"{source.of(argument)} ({name})", given)
    for keyword in call.keywords:
        name = keyword.arg or ""
        if not name or name in pinned.names or pinned.any_name:
            continue
        today = RENAMED.get(name, "")
        if today in pinned.names and today not in used:
            start = source.span(keyword)[0]
            source.edit(start, start + len(name), today, "gradio")
        elif classic is not None and (name in classic.names or classic.any_name):
            source.drop(call, keyword, " ".join(source.of(keyword).split()), given)
        else:
            raise source.refuse(keyword, f"{shown} is given {name}", f"an argument that {given} takes")


def settle_gradio(source: Source) -> Gradio:
    """Note the edits after which every call of gradio is one that the pinned version takes; return its names.

    Raises:
        Failure: a name or an argument that neither version has.

    """
    gradio = Gradio(source)
    for call, shown, pinned, classic in gradio.judge():
        settle(
            source,
            call,
            shown,
            pinned=pinned,
            classic=classic,
            given=f"gradio {signatures.GRADIO_VERSION.split('.')[0]}",
        )
    return gradio


def settle_streamlit(source: Source) -> None:
    """Note the edits after which every call of streamlit is one that the pinned version takes.

    Raises:
        Failure: a name or an argument that it has not.

    """
    modules, _ = names_of(source.tree, "streamlit")
    known = table(signatures.STREAMLIT)
    given = f"streamlit {signatures.STREAMLIT_VERSION}"
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner, name = node.func.value, node.func.attr
        side = isinstance(owner, ast.Attribute) and owner.attr == "sidebar"
        owner = owner.value if side and isinstance(owner, ast.Attribute) else owner
        if not (isinstance(owner, ast.Name) and owner.id in modules):
            continue
        if name not in known:
            today = name.replace("experimental_", "")
            if today not in known or today == name:
                raise source.refuse(node, f"{given} has no st.{name}", f"what {given} has")
            start, end = source.method_name(node)
            source.edit(start, end, today, "streamlit")
            name = today
        pinned = known[name]
        if pinned is not None:
            settle(source, node, f"st.{name}", pinned=pinned, classic=None, given=given)


def settle_uvicorn(source: Source, call: ast.Call) -> None:
    """Refuse a ``uvicorn.run`` with an argument that the pinned version does not take.

    Raises:
        Failure: with its line.

    """
    pinned = table(signatures.UVICORN)["run"]
    assert pinned is not None
    settle(source, call, "uvicorn.run", pinned=pinned, classic=None, given=f"uvicorn {signatures.UVICORN_VERSION}")
