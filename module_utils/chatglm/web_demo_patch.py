"""Edits that make upstream's demo scripts run with the local model, the chosen device and the pinned packages.

Spots are found in the syntax tree, and each edit replaces one span of bytes, so that everything else in the file
(comments, indentation, line ends, byte order mark, encoding) stays as it is. Pure: bytes and settings in, edits out.

Why these edits (observed with the versions named):

* ``device='cuda'`` in ``from_pretrained`` builds the model on the GPU before quantised weights replace it, which a card
  of 6 GB cannot hold; ``.cuda()`` after the load can.
* gradio is pinned to 6.17.3. It has no ``.style()``, its chatbot takes messages instead of tuples, and it renders
  Markdown itself. Classic gradio 3.39, for which upstream wrote the page, serves files below its working folder to any
  origin, fetches URLs that a page hands it, and makes the browser load fonts from outside hosts.
* pydantic 2 refuses ``.json(ensure_ascii=False)``; ``.model_dump_json()`` never escapes.
* openai_api.py ignores the request's limits, generates in the event loop (nothing else is answered meanwhile), lets two
  answers share the GPU's memory, goes on after the client has left, and asks nobody for a key, nor any web page (CORS
  ``*``).
"""

from __future__ import annotations

import ast
import base64
import binascii
import bisect
import difflib
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .addresses import loopback
from .failure import Failure
from .files import sha256_bytes
from .script_calls import Gradio, settle_gradio, settle_streamlit, settle_uvicorn

RECORD_KIND = "web_demo_patch"
PAGE_USER = "chatglm"
LINE_TEXT = re.compile(r"\r\n|\r|\n")  # what Python's tokenizer ends a line at; str.splitlines knows more
LINE_BYTES = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
NOT_A_MODEL = ("Tokenizer", "TokenizerFast", "Config", "Processor", "FeatureExtractor")
PATH_KEYWORDS = {"pretrained_model_name_or_path", "checkpoint_path"}
# Arguments of from_pretrained that place or quantise the model: by packages that are not installed (accelerate,
# bitsandbytes), or once more, since it is int4 already and is placed after the load.
PLACING = {
    "device", "device_map", "max_memory", "low_cpu_mem_usage", "offload_folder", "offload_state_dict",
    "offload_buffers", "load_in_8bit", "load_in_4bit", "quantization_config", "attn_implementation",
    "use_flash_attention_2",
}  # fmt: skip
DEVICES = ("cuda", "cpu", "mps", "xpu", "hpu", "npu", "mlu", "musa", "privateuseone", "dml")
DTYPE_OR_DEVICE = {"cuda", "cpu", "half", "float", "double", "bfloat16", "to"}
# Put before the endpoint of openai_api.py. In ASCII, for files in any encoding.
API_BLOCK = '''\
# The following, up to LimitedRequest, was put here by Ansible (patch_web_demo), and what uses it.
import asyncio
import json
import secrets
from typing import List, Optional

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field, model_validator
from starlette.background import BackgroundTask
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from transformers import LogitsProcessorList


def failure(message, **more):
    """Return what is wrong in the form of OpenAI's API: its client shows nothing of another."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}


FAILED = failure("the model failed; the log says why", type="server_error")


@app.exception_handler(AnyHTTPException)
async def refuse(request, error):
    more = error.detail if isinstance(error.detail, dict) else {"message": error.detail}
    return JSONResponse(failure(**more), error.status_code, error.headers)


@app.exception_handler(RequestValidationError)
async def refuse_values(request, error):
    found = error.errors()[0]
    param = "" if found["type"] == "json_invalid" else ".".join(map(str, found["loc"][1:]))
    return JSONResponse(failure(f"{param}: {found['msg']}" if param else found["msg"], param=param or None), 400)


@app.exception_handler(Exception)
async def failed(request, error):
    return JSONResponse(FAILED, 500, {"Connection": "close"})  # as uvicorn does after an error, without saying so


class Guard:
    """Let in who has the key, where there is one. That something is here may be seen without it."""

    def __init__(self, app, key_file):
        self.app = app
        self.key = open(key_file, "rb").read().strip() if key_file else None
        if self.key == b"":
            raise ValueError(f"{key_file} is empty")

    async def __call__(self, scope, receive, send):
        app = self.app
        if self.key and scope["type"] != "lifespan" and scope["path"] != "/":
            scheme, _, key = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not secrets.compare_digest(key.strip(), self.key):
                told = failure("a wrong API key, or none", code="invalid_api_key")
                app = JSONResponse(told, 401, {"WWW-Authenticate": "Bearer"})
        await app(scope, receive, send)


app.add_middleware(Guard, key_file=KEY_FILE)
# A web page whose name was made to point here (DNS rebinding) is no other origin, but it gives its own name.
app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)


@app.get("/", include_in_schema=False)
async def where():
    """Answer who opens the address in a browser, or asks whether anything is here."""
    return {"message": "OpenAI's API: its base address is this one with /v1 behind it"}


TURN = asyncio.Lock()  # one answer at a time: the GPU has no memory for two


class Answer:
    """One answer: in its turn, in a thread, within the request's limits, and only while its client listens."""

    def __init__(self, model, tokenizer, request, query, history):
        prompt = len(tokenizer(tokenizer.build_prompt(query, history))["input_ids"])
        self.limit = request.max_length or 8192
        if prompt >= self.limit:
            told = f"the messages have {prompt} tokens, and max_length is {self.limit}"
            raise HTTPException(400, {"message": told, "param": "messages", "code": "context_length_exceeded"})
        self.limit = min([self.limit, *(prompt + n for n in (request.max_tokens, request.max_completion_tokens) if n)])
        settings = {"max_length": self.limit, "top_p": request.top_p, "temperature": request.temperature}
        if request.temperature is not None and request.temperature < 0.01:  # the most likely token, always
            settings.update(do_sample=False, temperature=None)
        self.settings = {name: value for name, value in settings.items() if value is not None}
        self.finish_reason = "stop"
        self.parts = self.stream(model, tokenizer, query, history)

    def __call__(self, ids, scores):
        """Look on as a logits processor: is the token that comes now the last one allowed?"""
        if ids.shape[-1] + 1 >= self.limit:
            self.finish_reason = "length"
        return scores

    async def stream(self, model, tokenizer, query, history):
        async with TURN:
            limits = {**self.settings, "logits_processor": LogitsProcessorList([self])}
            async for part in iterate_in_threadpool(model.stream_chat(tokenizer, query, history, **limits)):
                yield part

    async def whole(self, connection):
        part = "", []
        try:
            async for part in self.parts:
                if await connection.is_disconnected():
                    raise HTTPException(499, "the client has left")
        finally:
            await self.parts.aclose()
        return part

    async def told(self, generate):
        """Say as an event what goes wrong when the status is sent already: OpenAI's client raises it."""
        try:
            async for event in generate:
                yield event
        except Exception:
            yield json.dumps(FAILED)
            raise

    async def close(self, generate):
        await generate.aclose()
        await self.parts.aclose()


class LimitedRequest(ChatCompletionRequest):
    messages: List[ChatMessage] = Field(min_length=1)
    temperature: Optional[float] = Field(None, ge=0, le=2)
    top_p: Optional[float] = Field(None, ge=0, le=1)
    max_length: Optional[int] = Field(None, ge=1, le=32768)
    max_tokens: Optional[int] = Field(None, ge=1, le=32768)
    max_completion_tokens: Optional[int] = Field(None, ge=1, le=32768)

    @model_validator(mode="after")
    def is_text(self):
        for text in [self.model, *(message.content for message in self.messages)]:
            text.encode()  # JSON can hold half a character; no tokenizer takes it
        return self


'''


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


@dataclass
class Record:
    """What is known of a file that was patched.

    Attributes:
        path: the file.
        original: its bytes before the edits (with the user's own edits, where they could be told apart).
        edits: the edits, as offsets into ``original``.
        settings: the settings that they were made with.
        known: SHA-256 of the contents that this record stands for; two while a write was under way.
        kept: line numbers, from 0, in ``original`` where the user edited over our edit.

    """

    path: str
    original: bytes
    edits: list[Edit]
    settings: Settings
    known: list[str] = field(default_factory=list)
    kept: set[int] = field(default_factory=set)

    @property
    def patched(self) -> bytes:
        """The bytes after the edits."""
        return apply(self.original, self.edits)

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON data."""
        return {
            "record": RECORD_KIND,
            "path": self.path,
            "original": base64.b64encode(self.original).decode(),
            "original_sha256": sha256_bytes(self.original),
            "patched_sha256": sha256_bytes(self.patched),
            "known_sha256": self.known,
            "kept_lines": sorted(self.kept),
            "settings": vars(self.settings),
            "edits": [{**vars(edit), "new": base64.b64encode(edit.new).decode()} for edit in self.edits],
        }

    @classmethod
    def from_json(cls, value: Any) -> Record | None:
        """Return the record in ``value``, or None when it is not one or does not agree with its own digests."""
        if not isinstance(value, dict) or value.get("record") != RECORD_KIND:
            return None
        try:
            record = cls(
                path=str(value["path"]),
                original=base64.b64decode(value["original"], validate=True),
                edits=[
                    Edit(**{**edit, "new": base64.b64decode(edit["new"], validate=True)}) for edit in value["edits"]
                ],
                settings=Settings(**value["settings"]),
                known=[str(digest) for digest in value["known_sha256"]],
                kept={int(line) for line in value["kept_lines"]},
            )
            digests = (sha256_bytes(record.original), sha256_bytes(record.patched))
        except (KeyError, TypeError, ValueError, binascii.Error):
            return None
        return record if digests == (value.get("original_sha256"), value.get("patched_sha256")) else None


@dataclass
class Outcome:
    """What a run would leave.

    Attributes:
        data: the file's bytes after the run.
        record: the record to keep, or None when there is nothing to record.
        edits: the edits that ``data`` contains, against the record's original.
        warnings: what the user should know.

    """

    data: bytes
    record: Record | None
    edits: list[Edit]
    warnings: list[str]


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


refusal = Refused


class Source:
    """A script's bytes with its syntax tree, and the way from tree positions to byte offsets."""

    def __init__(self, data: bytes, name: str) -> None:
        """Decode and parse.

        Raises:
            Failure: the bytes are not valid in their encoding, or not valid Python.

        """
        self.name = name
        wanted = "a Python script in the form of one of upstream's demo scripts"
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
            offset = 3 if encoding == "utf-8-sig" else 0
            self.encoding = "utf-8" if offset else encoding
            text = data[offset:].decode(self.encoding)
        except UnicodeDecodeError as error:
            line = len(re.findall(rb"\r\n|\r|\n", data[: error.start])) + 1
            raise refusal(name, line, f"bytes that are not valid {error.encoding}", wanted) from None
        except (SyntaxError, LookupError) as error:
            raise refusal(name, 1, f"its encoding cannot be told ({error})", wanted) from None
        self.lines = LINE_TEXT.split(text)
        ends = [*LINE_TEXT.findall(text), ""]
        self.line_end = ends[0] or "\n"
        self.starts: list[int] = []  # bytes
        self.norm_starts: list[int] = []  # characters of the text with every line end as one "\n"
        check = bytearray(data[:offset])
        norm = 0
        for line_text, end in zip(self.lines, ends, strict=True):
            self.starts.append(len(check))
            self.norm_starts.append(norm)
            check += (line_text + end).encode(self.encoding)
            norm += len(line_text) + 1
        if bytes(check) != data:
            raise refusal(name, None, f"its encoding {encoding} does not give the same bytes back", "UTF-8 or GBK")
        self.data = data
        self.text = "\n".join(self.lines)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # upstream's "\`" is an invalid escape
                self.tree = ast.parse(self.text)
                compile(self.tree, name, "exec", dont_inherit=True)  # finds more, such as an argument given twice
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            number = getattr(error, "lineno", None)
            raise refusal(name, number, f"Python cannot parse it ({getattr(error, 'msg', error)})", wanted) from None
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self.edits: list[Edit] = []
        self.warnings: list[str] = []
        self.dropped: dict[ast.Call, dict[tuple[int, int], str]] = {}
        self.added: dict[ast.Call, list[tuple[str, str]]] = {}

    def refuse(self, node: Any, reason: str, expected: str) -> Failure:
        """Return the error for a place of the script."""
        return Refused(self.name, node.lineno, reason, expected)

    def drop(self, call: ast.Call, argument: Any, told: str, given: str) -> None:
        """Note that an argument goes, and say so."""
        self.remove_argument(call, argument, "gradio")
        self.warnings.append(f"{self.name}, line {argument.lineno}: {told} is dropped: {given} has no such argument")

    def index(self, line: int, column: int) -> int:
        """Return the index in ``text`` of a tree position (line from 1, column in UTF-8 bytes)."""
        content = self.lines[line - 1]
        if not content.isascii():
            column = len(content.encode()[:column].decode(errors="replace"))
        return self.norm_starts[line - 1] + column

    def span(self, node: Any) -> tuple[int, int]:
        """Return the start and end of ``node`` in ``text``."""
        return self.index(node.lineno, node.col_offset), self.index(node.end_lineno, node.end_col_offset)

    def byte(self, index: int) -> int:
        """Return the byte offset of an index in ``text``."""
        line = bisect.bisect_right(self.norm_starts, index) - 1
        return self.starts[line] + len(self.lines[line][: index - self.norm_starts[line]].encode(self.encoding))

    def raw(self, start: int, end: int) -> str:
        """Return the text between two indexes with its own line ends."""
        return self.data[self.byte(start) : self.byte(end)].decode(self.encoding)

    def of(self, node: Any) -> str:
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
        return sorted(self.span(node) for node in [*call.args, *call.keywords])

    def insert_arguments(self, call: ast.Call, text: str, kind: str) -> None:
        """Note that ``text`` becomes the last argument of ``call``."""
        self.added.setdefault(call, []).append((text, kind))

    def remove_argument(self, call: ast.Call, argument: Any, kind: str) -> None:
        """Note that an argument goes."""
        self.dropped.setdefault(call, {})[self.span(argument)] = kind

    def settle_arguments(self) -> None:
        """Make edits of the arguments that go and come: all of a call are needed to know which commas stay."""
        for call in list(dict.fromkeys([*self.dropped, *self.added])):
            gone, elements = self.dropped.get(call, {}), self.elements(call)
            kept = [span for span in elements if span not in gone]
            for position, span in enumerate(elements):
                if span in gone:
                    self.remove_element(call, position, bool(kept) and kept[0] < span, gone[span])
            if call in self.added:
                self.append_arguments(call, self.added[call], bool(elements) and not kept)
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
        for at, char in self.significant(last, self.span(call)[1] - 1):  # noqa: B007 (the last one is wanted)
            pass
        lead = "" if char == "(" or emptied else " " if char == "," else ", "
        self.edit(at + 1, at + 1, lead + ", ".join(text for text, _ in texts), texts[0][1])

    def set_keywords(
        self, call: ast.Call, wanted: dict[str, str | int | bool], kind: str, places: tuple[str, ...] = ()
    ) -> None:
        """Note that ``call`` gets these arguments: replaced in place, or added at the end by name.

        Args:
            call: one of the script's calls.
            wanted: the arguments.
            kind: of the edits.
            places: the names of those that are given by place.

        Raises:
            Failure: ``call`` takes a ``**mapping`` that may hold the same names.

        """
        present: dict[str | None, ast.expr] = {keyword.arg: keyword.value for keyword in call.keywords}
        present |= dict(zip(places, call.args, strict=False))
        if None in present or any(isinstance(argument, ast.Starred) for argument in call.args):
            raise refusal(
                self.name, call.lineno, "arguments given as **mapping", f"the arguments {', '.join(wanted)} by name"
            )
        for name, value in wanted.items():
            if name in present:
                node = present[name]
                if isinstance(value, Code):
                    self.edit(*self.span(node), value, kind)
                elif not (isinstance(node, ast.Constant) and type(node.value) is type(value) and node.value == value):
                    self.edit(*self.span(node), self.literal(value), kind)
        missing = [f"{name}={self.literal(value)}" for name, value in wanted.items() if name not in present]
        if missing:
            self.insert_arguments(call, ", ".join(missing), kind)

    def method_name(self, call: ast.Call) -> tuple[int, int]:
        """Return the span of the method's name in ``value.name(...)``."""
        func = call.func
        assert isinstance(func, ast.Attribute)
        end = self.span(func)[1]
        return end - len(func.attr), end

    def remove_method(self, call: ast.Call, kind: str) -> None:
        """Note that ``.name(...)`` goes from a chain."""
        func = call.func
        assert isinstance(func, ast.Attribute)
        value_end = self.span(func.value)[1]
        dot = next(at for at, char in self.significant(value_end, self.span(func)[1]) if char == ".")
        start = dot if self.text[value_end:dot].strip(" \t\f\n\\") else value_end
        self.edit(start, self.span(call)[1], "", kind)


def _attribute_call(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names


def _constant(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _path_argument(call: ast.Call) -> ast.expr | None:
    named = [keyword.value for keyword in call.keywords if keyword.arg in PATH_KEYWORDS]
    return call.args[0] if call.args else named[0] if named else None


def _constants_of(source: Source, call: ast.Call, argument: ast.expr | None) -> list[ast.Constant]:
    """Return the string constants that give ``argument`` its value.

    Raises:
        Failure: the value is computed.

    """
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return [argument]
    text = "nothing" if argument is None else " ".join(source.of(argument).split())
    computed = refusal(
        source.name,
        call.lineno,
        f"the model's path is computed ({text})",
        "the path as a string, or as a name that is set to a string",
    )
    if not isinstance(argument, ast.Name):
        raise computed
    above: ast.AST | None = call
    while above is not None:
        if isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = above.args
            if any(a.arg == argument.id for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]):
                raise computed
        above = source.parents.get(above)
    found: list[ast.Constant] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id == argument.id and not isinstance(node.ctx, ast.Load):
            binding = source.parents[node]
            value = binding.value if isinstance(binding, ast.Assign | ast.AnnAssign | ast.NamedExpr) else None
            if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
                raise computed
            found.append(value)
    if not found:
        raise computed
    return found


def _edit_paths(source: Source, settings: Settings, loads: list[ast.Call]) -> list[ast.Call]:
    """Note the path edits; return those of ``loads`` that load the chat model's folder."""
    constants = [(call, _constants_of(source, call, _path_argument(call))) for call in loads]
    values = {constant.value for _, found in constants for constant in found}

    def ours(value: Any) -> bool:
        return value == settings.model_path or "chatglm" in str(value).lower()

    if len(values) > 1 and not any(ours(value) for value in values):
        raise refusal(
            source.name,
            loads[0].lineno,
            f"several models are loaded ({', '.join(sorted(map(str, values)))}), and none is named as a ChatGLM model",
            "one model, or one whose name contains chatglm",
        )
    chosen: list[ast.Call] = []
    seen: set[int] = set()
    for call, found in constants:
        if len(values) > 1 and not any(ours(constant.value) for constant in found):
            source.warnings.append(
                f"{source.name}, line {call.lineno}: the load of {found[0].value!r} is left as it is: another model"
            )
            continue
        chosen.append(call)
        for constant in found:
            if constant.value != settings.model_path and id(constant) not in seen:
                seen.add(id(constant))
                source.edit(*source.span(constant), source.literal(settings.model_path), "model_path")
    return chosen


def _edit_device(source: Source, settings: Settings, load: ast.Call) -> set[int]:
    """Note the edits at one load of the model, its method chain, and later calls on the name it is bound to.

    Returns the ids of those calls, and of what is in them.

    """
    for keyword in load.keywords:
        bfloat16 = keyword.arg in ("torch_dtype", "dtype") and _last_name(keyword.value) == "bfloat16"
        if keyword.arg in PLACING or bfloat16:
            source.remove_argument(load, keyword, "device")
            if keyword.arg in PLACING - {"device", "device_map"}:
                source.warnings.append(
                    f"{source.name}, line {keyword.lineno}: {' '.join(source.of(keyword).split())} is dropped: "
                    "the model is int4 already, and is placed after its load"
                )
    chain: list[ast.Call] = []
    top: ast.expr = load
    while True:
        link = source.parents.get(source.parents[top])
        if not (isinstance(link, ast.Call) and isinstance(link.func, ast.Attribute) and link.func.value is top):
            break
        chain.append(link)
        top = link
    holder = source.parents[top]
    targets: list[ast.expr] = []
    if isinstance(holder, ast.Assign):
        targets = holder.targets
    elif isinstance(holder, ast.AnnAssign | ast.NamedExpr):
        targets = [holder.target]
    names = {ast.unparse(target) for target in targets if isinstance(target, ast.Name | ast.Attribute)}
    later: list[ast.Call] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in DTYPE_OR_DEVICE:
            root: ast.expr = node.func.value
            while isinstance(root, ast.Call) and isinstance(root.func, ast.Attribute):
                root = root.func.value
            if isinstance(root, ast.Name | ast.Attribute) and ast.unparse(root) in names:
                later.append(node)
    cuda = settings.device == "cuda"
    wanted = "cuda" if cuda else "float"
    unwanted = {"bfloat16", "float", "double", "cpu"} if cuda else {"half", "bfloat16", "double", "cuda"}
    dropped: list[ast.Call] = []
    placed = False
    for call in [*chain, *later]:
        assert isinstance(call.func, ast.Attribute)
        method = call.func.attr
        if method == "to":
            where = _device(source, call)
            if where is None and "bfloat16" in map(_last_name, [*call.args, *(k.value for k in call.keywords)]):
                dropped.append(call)
            elif where is None:
                source.warnings.append(f"{source.name}, line {call.lineno}: {source.of(call)[-60:]} is left as it is")
                placed = placed or cuda
            elif where.split(":")[0] != settings.device:
                dropped.append(call)
            else:
                placed = placed or cuda
        elif method in unwanted:
            dropped.append(call)
        placed = placed or method == wanted
    for call in dropped:
        if not placed and call in chain:
            source.edit(source.method_name(call)[0], source.span(call)[1], f"{wanted}()", "device")
            placed = True
        else:
            source.remove_method(call, "device")
    if not placed:
        end = source.span(load)[1]
        source.edit(end, end, f".{wanted}()", "device")
    inside = [
        node for call in [*chain, *later] for argument in [*call.args, *call.keywords] for node in ast.walk(argument)
    ]
    return {id(node) for node in [*chain, *later, *inside]}


def _device(source: Source, call: ast.Call) -> str | None:
    """Return the device that ``.to(...)`` names, None for one that is computed or no device."""
    where: ast.AST | None = call.args[0] if call.args else None
    if where is None:
        where = next((keyword.value for keyword in call.keywords if keyword.arg == "device"), None)
    if isinstance(where, ast.Name):  # set to one text, anywhere
        name = where.id
        values = [
            node.value
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
        ]
        where = values[0] if len(values) == 1 else None
    if isinstance(where, ast.Call) and _last_name(where.func) == "device" and where.args:
        where = where.args[0]  # torch.device("mps")
    told = _constant(where)
    return told if told is not None and told.split(":")[0] in DEVICES else None


def _edit_tensors(source: Source, settings: Settings, models: set[int]) -> None:
    """Note that what is moved beside the model goes to its device."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or id(node) in models:
            continue
        if node.func.attr == "cuda" and settings.device == "cpu" and _last_name(node.func.value) != "torch":
            source.edit(source.method_name(node)[0], source.span(node)[1], "cpu()", "device")
        elif node.func.attr in ("to", "device") and len(node.args) == 1:
            told = _constant(node.args[0])
            if told is not None and told.split(":")[0] in DEVICES and told.split(":")[0] != settings.device:
                source.edit(*source.span(node.args[0]), source.literal(settings.device), "device")


def _one_gpu(source: Source, settings: Settings, call: ast.Call) -> None:
    """Note that a load onto several GPUs becomes one onto the device: the former needs a package that is not there."""
    if not any(
        isinstance(node, ast.ImportFrom) and any((a.asname or a.name) in ("AutoModel", "*") for a in node.names)
        for node in ast.walk(source.tree)
    ):
        raise source.refuse(
            call, "load_model_on_gpus needs accelerate, which is not installed", "AutoModel.from_pretrained(...)"
        )
    for argument in [*call.args[1:], *call.keywords]:
        if getattr(argument, "arg", "") not in PATH_KEYWORDS:
            source.remove_argument(call, argument, "device")
    for keyword in call.keywords:
        if keyword.arg == "checkpoint_path":
            start = source.span(keyword)[0]
            source.edit(start, start + len("checkpoint_path"), "pretrained_model_name_or_path", "device")
    source.edit(*source.span(call.func), "AutoModel.from_pretrained", "device")
    source.insert_arguments(call, "trust_remote_code=True", "device")
    source.warnings.append(
        f"{source.name}, line {call.lineno}: the model is loaded on one GPU: several need accelerate, which is not "
        "installed, and int4 fits into one"
    )


def _edit_loads(source: Source, settings: Settings) -> None:
    loads = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and (
            (_attribute_call(node, "from_pretrained") and not _last_name(node.func.value).startswith("Peft"))  # type: ignore[attr-defined]
            or _last_name(node.func) == "load_model_on_gpus"
        )
    ]
    loads.sort(key=lambda node: (node.lineno, node.col_offset))

    def spread(call: ast.Call) -> bool:
        return _last_name(call.func) == "load_model_on_gpus"

    def loads_model(call: ast.Call) -> bool:
        return spread(call) or not _last_name(call.func.value).endswith(NOT_A_MODEL)  # type: ignore[attr-defined]

    if not any(loads_model(call) for call in loads):
        raise refusal(source.name, None, "no call that loads the model", "AutoModel.from_pretrained(...)")
    models: set[int] = set()
    for call in _edit_paths(source, settings, loads):
        if spread(call):
            _one_gpu(source, settings, call)
        if loads_model(call):
            models |= _edit_device(source, settings, call)
    _edit_tensors(source, settings, models)


def _message(source: Source, role: str, content: ast.expr) -> str:
    """Return source for one message; gradio renders Markdown, so upstream's HTML escaping goes."""
    if isinstance(content, ast.Call) and _last_name(content.func) == "parse_text" and len(content.args) == 1:
        content = content.args[0]
    return f'{{"role": "{role}", "content": {source.of(content)}}}'


def _edit_gradio(source: Source, settings: Settings) -> bool:
    """Note the edits that gradio 6 needs; tell whether it is a page of gradio, which can ask for a password."""
    first = next(
        (
            node.lineno
            for node in ast.walk(source.tree)
            if (isinstance(node, ast.Import) and any(alias.name == "gradio" for alias in node.names))
            or (isinstance(node, ast.ImportFrom) and node.module == "gradio")
        ),
        0,
    )
    if not first:
        return False
    gradio = settle_gradio(source)
    constructor = gradio.constructs

    chatbots = {"chatbot"} | {
        target.id
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign) and constructor(node.value) and _last_name(node.value.func) == "Chatbot"  # type: ignore[attr-defined]
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    launched = False
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and _attribute_call(node, "launch"):
            launched = True
            wanted: dict[str, str | int | bool] = {"server_name": settings.listen, "server_port": settings.port}
            if settings.password_file:
                secret = f"open({source.literal(settings.password_file)}).read().strip()"
                wanted["auth"] = Code(f'("{PAGE_USER}", {secret})')
            wanted |= {"share": False, "inbrowser": False}
            classic = gradio.classic[".launch"]
            source.set_keywords(node, wanted, "listen", classic.by_place if classic else ())
        elif isinstance(node, ast.Call) and _attribute_call(node, "style") and constructor(node.func.value):  # type: ignore[attr-defined]
            _edit_style(source, node, gradio)
        elif isinstance(node, ast.Call) and _attribute_call(node, "style") and gradio.kind(node.func.value):  # type: ignore[attr-defined]
            source.warnings.append(
                f"{source.name}, line {node.lineno}: .style({', '.join(map(source.of, node.keywords))}) is dropped: "
                "gradio 6 has no such method"
            )
            source.remove_method(node, "gradio")
        elif isinstance(node, ast.Call) and _attribute_call(node, "append"):
            argument = node.args[0] if len(node.args) == 1 else None
            on = _last_name(node.func.value)  # type: ignore[attr-defined]
            if on in chatbots and isinstance(argument, ast.Tuple) and len(argument.elts) == 2:
                user, assistant = argument.elts
                messages = f"[{_message(source, 'user', user)}, {_message(source, 'assistant', assistant)}]"
                source.edit(source.method_name(node)[0], source.span(node)[1], f"extend({messages})", "gradio")
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if (
                isinstance(target, ast.Attribute)
                and target.attr == "postprocess"
                and _last_name(target.value) == "Chatbot"
            ):
                start, end = source.span(node)
                rest = source.text[end : (source.text + "\n").index("\n", end)]
                note = "" if rest.strip().startswith(";") else "  # " + " ".join(source.of(node).split())
                source.edit(start, end, "pass" + note, "gradio")
            elif (
                isinstance(target, ast.Subscript)
                and _last_name(target.value) in chatbots
                and isinstance(node.value, ast.Tuple)
                and len(node.value.elts) == 2
                and ast.unparse(target.slice) == "-1"
            ):
                start, end = source.span(node.value)
                source.edit(start, end, _message(source, "assistant", node.value.elts[1]), "gradio")
    if not launched:
        raise refusal(source.name, first, "gradio is imported, and no .launch() call follows", "demo.launch(...)")
    return True


def _edit_style(source: Source, call: ast.Call, gradio: Gradio) -> None:
    """Note that ``gr.X(...).style(kw)`` becomes ``gr.X(..., kw)``, as far as that takes them."""
    assert isinstance(call.func, ast.Attribute)
    constructor = call.func.value
    assert isinstance(constructor, ast.Call)
    present = {keyword.arg for keyword in constructor.keywords}
    takes = gradio.takes(constructor)
    moved = []
    for keyword in call.keywords:
        if takes is not None and keyword.arg in takes.names and keyword.arg not in present:
            moved.append(source.of(keyword))
        else:
            source.warnings.append(
                f"{source.name}, line {keyword.lineno}: .style({' '.join(source.of(keyword).split())}) is dropped: "
                "gradio 6 has no such argument"
            )
    if moved:
        source.insert_arguments(constructor, ", ".join(moved), "gradio")
    source.remove_method(call, "gradio")


def _edit_servers(source: Source, settings: Settings) -> None:
    """Note the edits at ``uvicorn.run`` and at pydantic's old ``.json``."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        names = {keyword.arg for keyword in node.keywords}
        if node.func.attr == "run" and _last_name(node.func.value) == "uvicorn":
            wanted: dict[str, str | int | bool] = {"host": settings.listen, "port": settings.port}
            if any(
                isinstance(each, ast.ClassDef) and each.name == "ChatCompletionRequest" for each in source.tree.body
            ):
                wanted["timeout_graceful_shutdown"] = 3  # to stop it does not wait for the end of an answer
            # Each worker would load the model once more, and of an app that is given as an object there is one only.
            alone = {"workers": 1, "reload": False}
            wanted |= {keyword.arg: alone[keyword.arg] for keyword in node.keywords if keyword.arg in alone}
            source.set_keywords(node, wanted, "listen")
            settle_uvicorn(source, node)
        elif node.func.attr == "json" and not node.args and names & {"ensure_ascii", "exclude_unset"}:
            start, end = source.method_name(node)
            source.edit(start, end, "model_dump_json", "pydantic")
            for keyword in node.keywords:
                if keyword.arg == "ensure_ascii":
                    source.remove_argument(node, keyword, "pydantic")


def _edit_api(source: Source, settings: Settings) -> bool:
    """Note the edits that make openai_api.py keep to its requests, answer meanwhile, and belong to no web page.

    Returns whether it is that script, which can ask for a password.

    Raises:
        Failure: it is openai_api.py, and not in upstream's form.

    """
    classes = {node.name for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)}
    if "ChatCompletionRequest" not in classes:
        return False
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    own = f"[{settings.listen}]" if ":" in settings.listen else settings.listen
    hosts = repr(sorted({"127.0.0.1", "localhost", own}) if loopback(settings.listen) else ["*"])
    key_file = source.literal(settings.password_file)
    for call in calls:
        if _last_name(call.func) == "FastAPI" and not {"docs_url", "redoc_url"} & {k.arg for k in call.keywords}:
            source.insert_arguments(call, "docs_url=None, redoc_url=None", "api")  # pages with scripts of outside hosts
        for keyword in call.keywords:
            text = ast.unparse(keyword.value)
            if keyword.arg == "allow_origins" and text != "[]":
                source.edit(*source.span(keyword.value), "[]", "api")
            elif keyword.arg == "allowed_hosts" and text != hosts:
                source.edit(*source.span(keyword.value), hosts, "api")
            elif keyword.arg == "key_file" and _constant(keyword.value) != settings.password_file:
                source.edit(*source.span(keyword.value), key_file, "api")
    if "LimitedRequest" in classes:
        if settings.password_file and "Guard" not in classes:
            raise refusal(source.name, None, "an older patch that asks for no key", "upstream's text")
        return True

    def function_of(node: ast.AST | None) -> ast.AsyncFunctionDef | None:
        while node is not None and not isinstance(node, ast.AsyncFunctionDef):
            node = source.parents.get(node)
        return node

    def one(what: str, found: list[Any]) -> Any:
        if len(found) != 1:
            line = found[1].lineno if found else None
            raise refusal(source.name, line, f"{len(found)} places of the form {what}", "one, as in upstream's script")
        return found[0]

    chat = one(
        "model.chat(tokenizer, query, ...)", [c for c in calls if _attribute_call(c, "chat") and len(c.args) > 1]
    )
    loops = [node for node in ast.walk(source.tree) if isinstance(node, ast.For)]
    loop = one("for ... in model.stream_chat(...)", [n for n in loops if _attribute_call(n.iter, "stream_chat")])
    endpoint, stream = function_of(chat), function_of(loop)
    if endpoint is None or stream is None or endpoint is stream or endpoint not in source.tree.body:
        raise refusal(source.name, chat.lineno, "not in an async function of its own", "the form of upstream's script")
    inside = [node for node in calls if function_of(node) is endpoint]
    start = one(f"{stream.name}(...)", [c for c in inside if _last_name(c.func) == stream.name])
    streams = [
        c
        for c in inside
        if any(k.arg == "media_type" for k in c.keywords) and c.args and isinstance(c.args[0], ast.Name)
    ]
    reply = one("EventSourceResponse(generate, media_type=...)", streams)
    arguments = [a for a in endpoint.args.args if a.annotation and ast.unparse(a.annotation) == "ChatCompletionRequest"]
    request = one("request: ChatCompletionRequest", arguments)
    first = next(node for node in endpoint.body if start in ast.walk(node))

    def before(node: ast.stmt, text: str) -> None:
        """Put whole lines before ``node``, with its indentation and the file's line ends."""
        decorators = getattr(node, "decorator_list", [])
        at = source.norm_starts[min([node.lineno, *(item.lineno for item in decorators)]) - 1]
        indent = " " * node.col_offset
        new = "".join(f"{indent}{line}\n" if line else "\n" for line in text.splitlines())
        source.edit(at, at, new.replace("\n", source.line_end), "api")

    given = [source.of(chat.func.value), *map(source.of, chat.args)]
    given += [source.of(keyword.value) for keyword in chat.keywords if keyword.arg == "history"]
    before(endpoint, API_BLOCK.replace("HOSTS", hosts).replace("KEY_FILE", key_file))
    source.edit(*source.span(request.annotation), "LimitedRequest, connection: Request", "api")
    given.insert(2, request.arg)
    before(first, f"answer = await run_in_threadpool(Answer, {', '.join(given)})")
    source.insert_arguments(start, "answer=answer" if start.keywords else "answer", "api")
    source.edit(*source.span(reply.args[0]), f"answer.told({source.of(reply.args[0])})", "api")
    source.insert_arguments(reply, f"background=BackgroundTask(answer.close, {source.of(reply.args[0])})", "api")
    source.edit(*source.span(chat), "await answer.whole(connection)", "api")
    if not stream.args.args:
        raise refusal(source.name, stream.lineno, f"{stream.name} takes no arguments by place", "upstream's script")
    last = stream.args.defaults[-1] if stream.args.defaults else stream.args.args[-1].annotation or stream.args.args[-1]
    end = source.span(last)[1]
    source.edit(end, end, ", answer=None" if stream.args.defaults else ", answer", "api")
    source.edit(source.span(loop)[0], source.span(loop)[0], "async ", "api")
    source.edit(*source.span(loop.iter), "answer.parts", "api")
    for call in calls:
        for keyword in call.keywords:
            if keyword.arg == "finish_reason" and _constant(keyword.value) == "stop":
                source.edit(*source.span(keyword.value), "answer.finish_reason", "api")
    return True


def _plan_once(data: bytes, settings: Settings, name: str) -> tuple[list[Edit], list[str]]:
    source = Source(data, name)
    _edit_loads(source, settings)
    _edit_servers(source, settings)
    asks = [_edit_gradio(source, settings), _edit_api(source, settings)]
    settle_streamlit(source)
    if settings.password_file and not any(asks):
        raise refusal(name, None, "nothing in it can ask for a password", "web_demo.py, openai_api.py, or no password")
    source.settle_arguments()
    return sorted(source.edits, key=lambda edit: (edit.start, edit.end)), source.warnings


def plan(
    data: bytes, settings: Settings, name: str = "web_demo.py", kept: frozenset[int] | set[int] = frozenset()
) -> tuple[list[Edit], list[str]]:
    """Return the edits that ``data`` needs, and warnings.

    Args:
        data: a script's bytes.
        settings: what it shall use.
        name: the file's name for messages.
        kept: line numbers, from 0, that no edit may touch (the user's own edits over ours).

    Raises:
        Failure: the script is in no form that is understood; names line and reason.

    """
    edits, notes = _plan_once(data, settings, name)
    made: list[Edit] = []
    for edit in edits:
        if kept and kept & set(range(*_line_range(_line_starts(data), edit.start, edit.end))):
            notes.append(
                f"{name}, line {edit.line}: your own edit is kept; the settings would have made it "
                f"{edit.after.strip() or 'nothing'!r} instead of {edit.before.strip()!r}"
            )
        else:
            made.append(edit)
    # The proof that the edits did what they should: the result parses and needs no further edit.
    try:
        again = _plan_once(apply(data, made), settings, name)[0]
    except (Refused, ValueError) as error:
        line = _line_before(data, made, error.line) if isinstance(error, Refused) else None
        reason = error.reason if isinstance(error, Refused) else str(error)
        line = line or (made[0].line if made else None)
        raise refusal(name, line, f"an edit here would break the script: {reason}", "a form as upstream's") from None
    if len(again) > len(edits) - len(made):
        line = _line_before(data, made, again[0].line)
        raise refusal(name, line, "an edit here does not settle", "a form as upstream's")
    return made, notes


def _line_before(data: bytes, edits: list[Edit], line: int | None) -> int | None:
    """Return the line of ``data`` that a line of what the edits make of it comes from."""
    if line is None:
        return None
    patched = apply(data, edits)
    starts = _line_starts(patched)
    at = starts[min(line, len(starts)) - 1]
    shift = 0
    for edit in edits:
        if edit.start + shift + len(edit.new) > at:
            return edit.line if edit.start + shift <= at else bisect.bisect_right(_line_starts(data), at - shift)
        shift += len(edit.new) - (edit.end - edit.start)
    return bisect.bisect_right(_line_starts(data), at - shift)


def _line_starts(data: bytes) -> list[int]:
    return [match.start() for match in LINE_BYTES.finditer(data)] or [0]


def _line_range(starts: list[int], start: int, end: int) -> tuple[int, int]:
    """Return first and last+1 line (from 0) of the lines that a span of bytes touches."""
    first = bisect.bisect_right(starts, start) - 1
    return first, max(first + 1, bisect.bisect_left(starts, end))


@dataclass
class _Hunk:
    """Lines that our edits touch: in the original, in the patched file, and the edits as offsets in both."""

    original: tuple[int, int]
    patched: tuple[int, int]
    spans: list[tuple[int, int, int, int]]


def _hunks(record: Record) -> list[_Hunk]:
    before, after = _line_starts(record.original), _line_starts(record.patched)
    hunks: list[_Hunk] = []
    shift = 0
    for edit in record.edits:
        start, end = edit.start + shift, edit.start + shift + len(edit.new)
        hunk = _Hunk(
            _line_range(before, edit.start, edit.end),
            _line_range(after, start, end),
            [(edit.start, edit.end, start, end)],
        )
        shift += len(edit.new) - (edit.end - edit.start)
        last = hunks[-1] if hunks else None
        if last and (hunk.original[0] < last.original[1] or hunk.patched[0] < last.patched[1]):
            last.original = (last.original[0], max(last.original[1], hunk.original[1]))
            last.patched = (last.patched[0], max(last.patched[1], hunk.patched[1]))
            last.spans += hunk.spans
        else:
            hunks.append(hunk)
    return hunks


def _split(data: bytes) -> list[bytes]:
    return LINE_BYTES.findall(data)


def _finer(original: bytes, patched: bytes, current: bytes, spans: list[tuple[int, int, int, int]]) -> bytes | None:
    """Return ``original`` with the user's changes from ``patched`` to ``current``; None when they touch ``spans``."""
    token = re.compile(rb"\w+|\s+|.", re.DOTALL)
    old, new = token.findall(patched), token.findall(current)
    offsets = [0]
    for piece in old:
        offsets.append(offsets[-1] + len(piece))
    parts: list[bytes] = []
    at = 0
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        start, end = offsets[i1], offsets[i2]
        shift = 0
        for _, a2, b1, b2 in spans:
            if start < b2 and end > b1:
                return None
            if b2 <= start:
                shift = a2 - b2
        parts += [original[at : start + shift], b"".join(new[j1:j2])]
        at = end + shift
    return b"".join([*parts, original[at:]])


def _rebase(record: Record, current: bytes, fine: bool) -> tuple[bytes, set[int]]:
    """Return the record's original with the user's edits since, and the lines kept from ``current`` as they are."""
    original, patched, now = _split(record.original), _split(record.patched), _split(current)
    hunks = _hunks(record)
    changes = [
        (i1, i2, j1, j2)
        for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, patched, now, autojunk=False).get_opcodes()
        if tag != "equal"
    ]
    # Regions: runs of changes and of our hunks that touch one another.
    regions: list[tuple[int, int, int, int, list[_Hunk]]] = []
    rest = list(hunks)
    for i1, i2, j1, j2 in changes:
        touched = [h for h in rest if (i1 < h.patched[1] and i2 > h.patched[0])]
        rest = [h for h in rest if h not in touched]
        start = min([i1, *(h.patched[0] for h in touched)])
        end = max([i2, *(h.patched[1] for h in touched)])
        low, high = j1 - (i1 - start), j2 + (end - i2)
        if regions and regions[-1][1] > start:
            p1, p2, q1, _, more = regions.pop()
            start, low, touched = p1, q1, more + touched
            end, high = max(p2, end), high + max(0, p2 - end)
        regions.append((start, end, low, high, touched))

    def back(line: int) -> int:
        shift = 0
        for hunk in hunks:
            if hunk.patched[1] <= line:
                shift = hunk.original[1] - hunk.patched[1]
        return line + shift

    result: list[tuple[bytes, bool]] = []
    at = 0
    for start, end, low, high, touched in regions:
        a1, a2 = back(start), back(end)
        result += [(line, number in record.kept) for number, line in enumerate(original[at:a1], at)]
        mine = now[low:high]
        flag = bool(touched)
        if touched and fine:
            lead_a, lead_b = sum(map(len, original[:a1])), sum(map(len, patched[:start]))
            spans = [
                (s1 - lead_a, s2 - lead_a, t1 - lead_b, t2 - lead_b) for h in touched for s1, s2, t1, t2 in h.spans
            ]
            finer = _finer(b"".join(original[a1:a2]), b"".join(patched[start:end]), b"".join(mine), spans)
            if finer is not None:
                mine, flag = _split(finer), False
        result += [(line, flag) for line in mine]
        at = a2
    result += [(line, number in record.kept) for number, line in enumerate(original[at:], at)]
    return b"".join(line for line, _ in result), {number for number, (_, flag) in enumerate(result) if flag}


def _likeness(a: bytes, b: bytes) -> int:
    matcher = difflib.SequenceMatcher(None, _split(a), _split(b), autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks())


def base_of(current: bytes, record: Record | None, name: str = "web_demo.py") -> tuple[bytes, set[int]]:
    """Return the file without our edits, and the lines (from 0) where the user edited over them.

    Args:
        current: the file's bytes now.
        record: what an earlier run left, or None.
        name: the file's name for messages.

    """
    if record is None or current == record.original:
        return current, set()
    if current == record.patched or sha256_bytes(current) in record.known:
        return record.original, set(record.kept)
    if _likeness(current, record.original) > _likeness(current, record.patched):
        return current, set()  # restored or brought to another version since, by git for instance
    base, kept = _rebase(record, current, fine=True)
    try:
        if apply(base, plan(base, record.settings, name, kept)[0]) == current:
            return base, kept
    except Failure:
        pass
    return _rebase(record, current, fine=False)


def settle(current: bytes, record: Record | None, settings: Settings, path: str) -> Outcome:
    """Return what the file shall be under ``settings``, whatever state it is in.

    Args:
        current: the file's bytes now.
        record: what an earlier run left, or None.
        settings: what the script shall use.
        path: the file, for the record and for messages.

    Raises:
        Failure: the script is in no form that is understood; names line and reason.

    """
    name = path.rsplit("/", 1)[-1]
    base, kept = base_of(current, record, name)
    edits, notes = plan(base, settings, name, kept)
    data = apply(base, edits)
    if not edits and not kept:
        return Outcome(data, None, edits, notes)
    known = list(dict.fromkeys([sha256_bytes(current), sha256_bytes(data)]))
    new = Record(path, base, edits, settings, known, kept)
    if record is not None and new == replace(record, known=known) and current == data:
        new.known = record.known  # nothing to write
    return Outcome(data, new, edits, notes)


def revert(current: bytes, record: Record | None, path: str) -> Outcome:
    """Return the file without our edits; the user's edits made since stay.

    Args:
        current: the file's bytes now.
        record: what an earlier run left; without it nothing can be reverted.
        path: the file, for messages.

    """
    name = path.rsplit("/", 1)[-1]
    if record is None:
        return Outcome(current, None, [], [f"{name}: no record of a patch was found, so there is nothing to revert"])
    base, kept = base_of(current, record, name)
    notes = [f"{name}, line {line + 1}: your own edit over the patch stays as it is" for line in sorted(kept)]
    return Outcome(base, None, [], notes)
