"""Edits of openai_api.py: it keeps to its requests, answers meanwhile, and belongs to no web page."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ..core.addresses import loopback
from .edit import Settings, Source, constant, is_method, last_name
from .inserted import text_of

if TYPE_CHECKING:
    from .edit import MethodCall, Node
    from .inserted import openai_server  # noqa: F401 (it is read, not run; Ansible sends to the host what is imported)

T = TypeVar("T", bound="Node")


@dataclass
class Form:
    """The places of upstream's form that are edited.

    Attributes:
        endpoint: the function that answers a request.
        stream: the function that yields an answer in parts.
        request: the endpoint's parameter with the request.
        start: the call of ``stream`` in the endpoint.
        reply: the answer of the endpoint that hands the parts on.
        chat: the call for an answer as a whole.
        loop: the loop over the parts.

    """

    endpoint: ast.AsyncFunctionDef
    stream: ast.AsyncFunctionDef
    request: ast.arg
    start: ast.Call
    reply: ast.Call
    chat: MethodCall
    loop: ast.For


def edit_openai_api(source: Source, settings: Settings) -> bool:
    """Note the edits; tell whether it is that script, which can ask for a password.

    Raises:
        Refused: it is openai_api.py, and not in upstream's form.

    """
    classes = {node.name for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)}
    if "ChatCompletionRequest" not in classes:
        return False
    own = f"[{settings.listen}]" if ":" in settings.listen else settings.listen
    hosts = repr(sorted({"127.0.0.1", "localhost", own}) if loopback(settings.listen) else ["*"])
    _edit_settings(source, settings, hosts)
    if "LimitedRequest" not in classes:
        values = {"HOSTS": hosts, "KEY_FILE": source.literal(settings.password_file)}
        _edit_form(source, _find_form(source), text_of("openai_server", values) + "\n\n")
    elif settings.password_file and "Guard" not in classes:
        raise source.refuse(None, "an older patch that asks for no key", "upstream's text")
    return True


def _edit_settings(source: Source, settings: Settings, hosts: str) -> None:
    """Note the edits at what every form has: no pages of outside hosts, no origins; an earlier patch's settings."""
    for call in source.calls:
        if last_name(call.func) == "FastAPI" and not {"docs_url", "redoc_url"} & {k.arg for k in call.keywords}:
            source.insert_arguments(call, "docs_url=None, redoc_url=None", "api")  # pages with scripts of outside hosts
        for keyword in call.keywords:
            text, span = ast.unparse(keyword.value), source.span(keyword.value)
            if keyword.arg == "allow_origins" and text != "[]":
                source.edit(*span, "[]", "api")
            elif keyword.arg == "allowed_hosts" and text != hosts:
                source.edit(*span, hosts, "api")
            elif keyword.arg == "key_file" and constant(keyword.value) != settings.password_file:
                source.edit(*span, source.literal(settings.password_file), "api")


def _only(source: Source, form: str, found: Sequence[T]) -> T:
    """Return the one place of a form.

    Raises:
        Refused: there is none, or several.

    """
    if len(found) != 1:
        place = found[1] if found else None
        raise source.refuse(place, f"{len(found)} places of the form {form}", "one, as in upstream's script")
    return found[0]


def _function_of(source: Source, node: ast.AST | None) -> ast.AsyncFunctionDef | None:
    while node is not None and not isinstance(node, ast.AsyncFunctionDef):
        node = source.parents.get(node)
    return node


def _find_form(source: Source) -> Form:
    """Return the places of upstream's form.

    Raises:
        Refused: the script is in another form.

    """
    chats = [call for call in source.calls if is_method(call, "chat") and len(call.args) > 1]
    chat = _only(source, "model.chat(tokenizer, query, ...)", chats)
    loops = [node for node in ast.walk(source.tree) if isinstance(node, ast.For)]
    streams = [loop for loop in loops if is_method(loop.iter, "stream_chat")]
    loop = _only(source, "for ... in model.stream_chat(...)", streams)
    endpoint, stream = _function_of(source, chat), _function_of(source, loop)
    if endpoint is None or stream is None or endpoint is stream or endpoint not in source.tree.body:
        raise source.refuse(chat, "not in an async function of its own", "the form of upstream's script")
    inside = [call for call in source.calls if _function_of(source, call) is endpoint]
    starts = [call for call in inside if last_name(call.func) == stream.name]
    start = _only(source, f"{stream.name}(...)", starts)
    replies = [
        call
        for call in inside
        if any(k.arg == "media_type" for k in call.keywords) and call.args and isinstance(call.args[0], ast.Name)
    ]
    reply = _only(source, "EventSourceResponse(generate, media_type=...)", replies)
    arguments = [a for a in endpoint.args.args if a.annotation and ast.unparse(a.annotation) == "ChatCompletionRequest"]
    request = _only(source, "request: ChatCompletionRequest", arguments)
    if not stream.args.args:
        raise source.refuse(stream, f"{stream.name} takes no arguments by place", "upstream's script")
    return Form(endpoint, stream, request, start, reply, chat, loop)


def _put_before(source: Source, node: ast.stmt, text: str) -> None:
    """Note that whole lines come before ``node``, with its indentation and the file's line ends."""
    decorators = getattr(node, "decorator_list", [])
    at = source.norm_starts[min([node.lineno, *(item.lineno for item in decorators)]) - 1]
    indent = " " * node.col_offset
    new = "".join(f"{indent}{line}\n" if line else "\n" for line in text.splitlines())
    source.edit(at, at, new.replace("\n", source.line_end), "api")


def _edit_form(source: Source, form: Form, server: str) -> None:
    """Note the edits by which an answer goes through the classes of ``server``."""
    chat, reply, generate = form.chat, form.reply, source.of(form.reply.args[0])
    given = [source.of(chat.func.value), *map(source.of, chat.args)]
    given += [source.of(keyword.value) for keyword in chat.keywords if keyword.arg == "history"]
    given.insert(2, form.request.arg)
    assert form.request.annotation is not None
    first = next(node for node in form.endpoint.body if form.start in ast.walk(node))
    _put_before(source, form.endpoint, server)
    source.edit(*source.span(form.request.annotation), "LimitedRequest, connection: Request", "api")
    _put_before(source, first, f"answer = await run_in_threadpool(Answer, {', '.join(given)})")
    source.insert_arguments(form.start, "answer=answer" if form.start.keywords else "answer", "api")
    source.edit(*source.span(reply.args[0]), f"answer.told({generate})", "api")
    source.insert_arguments(reply, f"background=BackgroundTask(answer.close, {generate})", "api")
    source.edit(*source.span(chat), "await answer.whole(connection)", "api")
    _edit_stream(source, form)
    for call in source.calls:
        for keyword in call.keywords:
            if keyword.arg == "finish_reason" and constant(keyword.value) == "stop":
                source.edit(*source.span(keyword.value), "answer.finish_reason", "api")


def _edit_stream(source: Source, form: Form) -> None:
    """Note that the function that streams is given the answer, and takes its parts."""
    arguments, loop = form.stream.args, form.loop
    last = arguments.defaults[-1] if arguments.defaults else arguments.args[-1].annotation or arguments.args[-1]
    end = source.span(last)[1]
    source.edit(end, end, ", answer=None" if arguments.defaults else ", answer", "api")
    source.edit(source.span(loop)[0], source.span(loop)[0], "async ", "api")
    source.edit(*source.span(loop.iter), "answer.parts", "api")
