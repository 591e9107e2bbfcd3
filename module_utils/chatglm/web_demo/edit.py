"""The engine of the edits: parse a script, find places in its syntax tree, replace spans of its bytes.

Each edit replaces one span of bytes, so that everything else in the file (comments, indentation, line ends, byte order
mark, encoding) stays as it is. It knows no script; what is edited, and why, stands in the other files of this folder.
"""

from __future__ import annotations

import ast
import bisect
import functools
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from ..core.failure import Failure

LINE_TEXT = re.compile(r"\r\n|\r|\n")  # what Python's tokenizer ends a line at; str.splitlines knows more
A_SCRIPT = "a Python script in the form of one of upstream's demo scripts"
Node = ast.expr | ast.stmt | ast.keyword | ast.arg
"""A node with a place in the script."""

if TYPE_CHECKING:

    class MethodCall(ast.Call):
        """A call ``value.name(...)``."""

        func: ast.Attribute


@dataclass(frozen=True)
class Settings:
    """What the patched script shall use.

    Attributes:
        model_path: absolute path of the model folder on the host.
        device: ``cuda`` or ``cpu``.
        listen: address that the page or API binds.
        port: TCP port that it binds.
        password_file: absolute path of a file with the page's password, or the API's key; empty for none.

    """

    model_path: str
    device: str
    listen: str
    port: int
    password_file: str = ""


class Code(str):
    """Python source that becomes an argument as it is."""


@dataclass(frozen=True)
class Edit:
    """One replaced span of the base file.

    Attributes:
        start: offset in bytes of the first byte replaced.
        end: offset in bytes after the last byte replaced; equal to ``start`` for an insertion.
        new: the bytes put there.
        line: line number in the base file, from 1.
        kind: ``model_path``, ``device``, ``listen``, ``gradio``, ``streamlit``, ``pydantic`` or ``api``.
        before: the text replaced.
        after: the text put there.

    """

    start: int
    end: int
    new: bytes
    line: int
    kind: str
    before: str
    after: str


def apply(data: bytes, edits: list[Edit]) -> bytes:
    """Return ``data`` with ``edits`` made.

    Raises:
        ValueError: two edits overlap.

    """
    parts: list[bytes] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < at or edit.end > len(data):
            raise ValueError(f"edits overlap at byte {edit.start}")
        parts += [data[at : edit.start], edit.new]
        at = edit.end
    return b"".join([*parts, data[at:]])


class Refused(Failure):
    """A script that is left as it was; ``line`` (from 1, None for the whole) and ``reason`` are parts of its text."""

    def __init__(self, name: str, line: int | None, reason: str, expected: str) -> None:
        """Keep the parts."""
        self.line, self.reason = line, reason
        place = name if line is None else f"{name}, line {line}"
        super().__init__(
            f"{place}: {reason}",
            expected,
            "the file was left as it is; correct that line; or, where you have edited it, move it away and run the "
            "play again, which brings the commit's own text; if that is what is refused, choose another "
            "chatglm_source_version",
        )


def decode(data: bytes, name: str) -> tuple[str, str, int]:
    """Return a script's text, its encoding, and the length of its byte order mark in bytes.

    Raises:
        Refused: the bytes are not valid in their encoding.

    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        mark = 3 if encoding == "utf-8-sig" else 0
        encoding = "utf-8" if mark else encoding
        return data[mark:].decode(encoding), encoding, mark
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n|\r|\n", data[: error.start])) + 1
        raise Refused(name, line, f"bytes that are not valid {error.encoding}", A_SCRIPT) from None
    except (SyntaxError, LookupError) as error:
        raise Refused(name, 1, f"its encoding cannot be told ({error})", A_SCRIPT) from None


def parse(text: str, name: str) -> ast.Module:
    """Return a script's syntax tree.

    Raises:
        Refused: the text is not valid Python.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # upstream's "\`" is an invalid escape
            tree = ast.parse(text)
            compile(tree, name, "exec", dont_inherit=True)  # finds more, such as an argument given twice
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        number = getattr(error, "lineno", None)
        raise Refused(name, number, f"Python cannot parse it ({getattr(error, 'msg', error)})", A_SCRIPT) from None
    return tree


class Source:
    """A script's bytes with its syntax tree, and the way from tree positions to byte offsets."""

    def __init__(self, data: bytes, name: str) -> None:
        """Decode and parse.

        Raises:
            Refused: the bytes are not valid in their encoding, or not valid Python.

        """
        self.name = name
        self.data = data
        text, self.encoding, mark = decode(data, name)
        self.lines = LINE_TEXT.split(text)
        ends = [*LINE_TEXT.findall(text), ""]
        self.line_end = ends[0] or "\n"
        self.starts: list[int] = []  # bytes
        self.norm_starts: list[int] = []  # characters of the text with every line end as one "\n"
        check = bytearray(data[:mark])
        norm = 0
        for line_text, end in zip(self.lines, ends, strict=True):
            self.starts.append(len(check))
            self.norm_starts.append(norm)
            check += (line_text + end).encode(self.encoding)
            norm += len(line_text) + 1
        if bytes(check) != data:
            encoding = "utf-8-sig" if mark else self.encoding
            raise Refused(name, None, f"its encoding {encoding} does not give the same bytes back", "UTF-8 or GBK")
        self.text = "\n".join(self.lines)
        self.tree = parse(self.text, name)
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self.edits: list[Edit] = []
        self.warnings: list[str] = []
        self.dropped: dict[ast.Call, dict[tuple[int, int], str]] = {}
        self.added: dict[ast.Call, list[tuple[str, str]]] = {}

    @functools.cached_property
    def calls(self) -> list[ast.Call]:
        """All calls of the script, the outer ones first."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]

    def refuse(self, node: Node | None, reason: str, expected: str) -> Refused:
        """Return the error for a place of the script, or for the whole."""
        return Refused(self.name, None if node is None else node.lineno, reason, expected)

    def drop(self, call: ast.Call, argument: ast.expr | ast.keyword, shown: str, package: str) -> None:
        """Note that an argument goes, and warn."""
        self.remove_argument(call, argument, "gradio")
        self.warnings.append(f"{self.name}, line {argument.lineno}: {shown} is dropped: {package} has no such argument")

    def index(self, line: int, column: int) -> int:
        """Return the index in ``text`` of a tree position (line from 1, column in UTF-8 bytes)."""
        content = self.lines[line - 1]
        if not content.isascii():
            column = len(content.encode()[:column].decode(errors="replace"))
        return self.norm_starts[line - 1] + column

    def span(self, node: Node) -> tuple[int, int]:
        """Return the start and end of ``node`` in ``text``."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.index(node.lineno, node.col_offset), self.index(node.end_lineno, node.end_col_offset)

    def byte(self, index: int) -> int:
        """Return the byte offset of an index in ``text``."""
        line = bisect.bisect_right(self.norm_starts, index) - 1
        return self.starts[line] + len(self.lines[line][: index - self.norm_starts[line]].encode(self.encoding))

    def raw(self, start: int, end: int) -> str:
        """Return the text between two indexes with its own line ends."""
        return self.data[self.byte(start) : self.byte(end)].decode(self.encoding)

    def of(self, node: Node) -> str:
        """Return the text of ``node`` as written."""
        return self.raw(*self.span(node))

    def edit(self, start: int, end: int, after: str, kind: str) -> None:
        """Note that the text between two indexes becomes ``after``."""
        line = bisect.bisect_right(self.norm_starts, start)
        before = self.raw(start, end)
        if before != after:
            new = after.encode(self.encoding)
            self.edits.append(Edit(self.byte(start), self.byte(end), new, line, kind, before, after))

    def literal(self, value: str | int | bool) -> str:
        """Return Python source for ``value``, in characters that the file's encoding has."""
        if isinstance(value, Code):
            return str(value)
        if not isinstance(value, str):
            return repr(value)
        text = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return ascii(value)
        return text if value.isprintable() else ascii(value)

    def significant(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        """Yield index and character of what is neither space nor comment; the span must hold no string."""
        at = start
        while at < end:
            char = self.text[at]
            if char == "#":
                newline = self.text.find("\n", at, end)
                at = end if newline < 0 else newline
            elif not char.isspace() and char != "\\":
                yield at, char
            at += 1

    def elements(self, call: ast.Call) -> list[tuple[int, int]]:
        """Return the spans of the arguments of ``call``, in order."""
        return sorted(map(self.span, arguments_of(call)))

    def insert_arguments(self, call: ast.Call, text: str, kind: str) -> None:
        """Note that ``text`` becomes the last argument of ``call``."""
        self.added.setdefault(call, []).append((text, kind))

    def remove_argument(self, call: ast.Call, argument: ast.expr | ast.keyword, kind: str) -> None:
        """Note that an argument goes."""
        self.dropped.setdefault(call, {})[self.span(argument)] = kind

    def settle_arguments(self) -> None:
        """Make edits of the arguments that go and come: all of a call are needed to know which commas stay."""
        for call in list(dict.fromkeys([*self.dropped, *self.added])):
            gone, elements = self.dropped.get(call, {}), self.elements(call)
            left = [span for span in elements if span not in gone]
            for position, span in enumerate(elements):
                if span in gone:
                    self.remove_element(call, position, bool(left) and left[0] < span, gone[span])
            if call in self.added:
                self.append_arguments(call, self.added[call], bool(elements) and not left)
        self.dropped.clear()
        self.added.clear()

    def remove_element(self, call: ast.Call, position: int, behind: bool, kind: str) -> None:
        """Note that an argument and one comma go: the one before it where it is ``behind`` one that stays."""
        elements = self.elements(call)
        start, end = elements[position]
        if behind:
            commas = [at for at, char in self.significant(elements[position - 1][1], start) if char == ","]
            if "#" in self.text[commas[0] : start]:  # a comment between them stays
                self.edit(commas[0], commas[0] + 1, "", kind)
                self.edit(start, end, "", kind)
            else:
                self.edit(commas[0], end, "", kind)
            return
        after = elements[position + 1][0] if position + 1 < len(elements) else self.span(call)[1] - 1
        following = [at + 1 for at, char in self.significant(end, after) if char == ","]
        if following:
            end = following[0]
            while self.text[end] == " ":
                end += 1
        self.edit(start, end, "", kind)

    def append_arguments(self, call: ast.Call, texts: list[tuple[str, str]], emptied: bool) -> None:
        """Note what comes behind the arguments of ``call``, all of which go if ``emptied``."""
        last = max([self.span(call.func)[1], *(end for _, end in self.elements(call))])
        at, char = last - 1, ""
        for at, char in self.significant(last, self.span(call)[1] - 1):  # noqa: B007 (the last one counts)
            pass
        lead = "" if char == "(" or emptied else " " if char == "," else ", "
        self.edit(at + 1, at + 1, lead + ", ".join(text for text, _ in texts), texts[0][1])

    def set_keywords(
        self, call: ast.Call, values: dict[str, str | int | bool], kind: str, places: tuple[str, ...] = ()
    ) -> None:
        """Note that ``call`` gets these arguments: replaced in place, or added at the end by name.

        Args:
            call: one of the script's calls.
            values: the arguments.
            kind: of the edits.
            places: the names of those that are given by place.

        Raises:
            Refused: ``call`` takes a ``**mapping`` that may hold the same names.

        """
        present: dict[str | None, ast.expr] = {keyword.arg: keyword.value for keyword in call.keywords}
        present |= dict(zip(places, call.args, strict=False))
        if None in present or any(isinstance(argument, ast.Starred) for argument in call.args):
            raise self.refuse(call, "arguments given as **mapping", f"the arguments {', '.join(values)} by name")
        for name, value in values.items():
            if name in present:
                node = present[name]
                if isinstance(value, Code):
                    self.edit(*self.span(node), value, kind)
                elif not (isinstance(node, ast.Constant) and type(node.value) is type(value) and node.value == value):
                    self.edit(*self.span(node), self.literal(value), kind)
        missing = [f"{name}={self.literal(value)}" for name, value in values.items() if name not in present]
        if missing:
            self.insert_arguments(call, ", ".join(missing), kind)

    def method_name(self, call: MethodCall) -> tuple[int, int]:
        """Return the span of the method's name in ``value.name(...)``."""
        end = self.span(call.func)[1]
        return end - len(call.func.attr), end

    def remove_method(self, call: MethodCall, kind: str) -> None:
        """Note that ``.name(...)`` goes from a chain."""
        value_end = self.span(call.func.value)[1]
        dot = next(at for at, char in self.significant(value_end, self.span(call.func)[1]) if char == ".")
        start = dot if self.text[value_end:dot].strip(" \t\f\n\\") else value_end
        self.edit(start, self.span(call)[1], "", kind)


def is_method(node: ast.AST | None, *names: str) -> TypeGuard[MethodCall]:
    """Tell whether a node is a call ``value.name(...)`` with one of these names, or with any if there are none."""
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and (not names or node.func.attr in names)
    )


def constant(node: ast.AST | None) -> str | None:
    """Return the value of a string constant, None of anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def last_name(node: ast.AST | None) -> str:
    """Return ``c`` of ``a.b.c`` and of ``c``, "" of anything else."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def arguments_of(call: ast.Call) -> list[ast.expr | ast.keyword]:
    """Return the arguments of a call, those by place first."""
    return [*call.args, *call.keywords]
