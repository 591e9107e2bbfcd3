"""What openai_api.py is given, on its own: real FastAPI, a stand-in for the model."""

import ast
import asyncio
import json
import sys
import types

import pytest
from ansible.module_utils.chatglm.web_demo.inserted import text_of

FILLED = {"HOSTS": "['127.0.0.1']", "KEY_FILE": '"/k"'}


@pytest.fixture(scope="module")
def server():
    """The file as a module. Of transformers, which comes with torch, it only needs a list."""
    name = "ansible.module_utils.chatglm.web_demo.inserted.openai_server"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "transformers", types.SimpleNamespace(LogitsProcessorList=list))
        __import__(name)
        module = sys.modules.pop(name)

    @module.app.post("/echo")
    async def echo(request: module.LimitedRequest):
        if request.model == "broken":
            raise ValueError("a secret of the model's")
        if request.model == "gone":
            raise module.HTTPException(404, "no such model")
        return {"model": request.model}

    return module


def ask(app, path="/echo", headers=(), body=b"", method="POST"):
    """Ask an ASGI application; return status, headers and body."""
    answer = {"body": b""}

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            answer.update(status=message["status"], headers=dict(message["headers"]))
        else:
            answer["body"] += message.get("body", b"")

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
             "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
             "server": ("127.0.0.1", 2), "headers": [(b"host", b"127.0.0.1"), *headers]}  # fmt: skip
    try:
        asyncio.run(app(scope, receive, send))
    except ValueError as error:  # Starlette raises it again for the log
        answer["raised"] = error
    return answer["status"], answer["headers"], json.loads(answer["body"])


def request(**values):
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "你好"}], **values}).encode()


# -- the text


def test_the_text_is_python_in_ascii_with_its_settings():
    text = text_of("openai_server", FILLED)
    assert text.isascii()
    assert text.startswith("# The following, up to LimitedRequest, was put here by Ansible (patch_web_demo)")
    assert "allowed_hosts=['127.0.0.1'])" in text
    assert 'key_file="/k")' in text
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert not names & FILLED.keys()


def test_a_file_that_is_not_there_is_an_error():
    with pytest.raises(ImportError, match=r"inserted\.nothing has no source"):
        text_of("nothing", FILLED)


# -- who is let in


@pytest.mark.parametrize(
    ("header", "status"),
    [(None, 401), (b"Bearer wrong", 401), (b"Basic right", 401), (b"right", 401), (b"Bearer", 401),
     (b"Bearer right", 200), (b"bearer  right ", 200)],
)  # fmt: skip
def test_the_guard_asks_for_the_key(server, tmp_path, header, status):
    (tmp_path / "key").write_text("right\n")
    app = server.Guard(server.app, str(tmp_path / "key"))
    headers = [(b"content-type", b"application/json")]
    got = ask(app, headers=headers + [(b"authorization", header)] * (header is not None), body=request())
    assert got[0] == status
    if status == 401:
        assert got[1][b"www-authenticate"] == b"Bearer"
        assert got[2]["error"]["code"] == "invalid_api_key"
    assert ask(app, "/", method="GET")[0] == 200  # that something is here may be seen without it


def test_without_a_key_all_are_let_in_and_an_empty_one_is_none(server, tmp_path):
    assert ask(server.Guard(server.app, ""), headers=[(b"content-type", b"application/json")], body=request())[0] == 200
    (tmp_path / "key").write_text(" \n")
    with pytest.raises(ValueError, match="key is empty"):
        server.Guard(server.app, str(tmp_path / "key"))


# -- what is wrong


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        (b"{", 400, None, "JSON"),
        (request(messages=[]), 400, "messages", "messages: List should have at least 1 item"),
        (request(temperature=3), 400, "temperature", "less than or equal to 2"),
        (request(max_tokens=0), 400, "max_tokens", "greater than or equal to 1"),
        (request(model="\ud800"), 400, None, "surrogates not allowed"),
        (request(model="gone"), 404, None, "no such model"),
        (request(model="broken"), 500, None, "the model failed; the log says why"),
    ],
)
def test_errors_have_the_form_of_openai(server, body, status, param, words):
    got, headers, answer = ask(server.app, headers=[(b"content-type", b"application/json")], body=body)
    assert got == status
    assert answer["error"].keys() == {"message", "type", "param", "code"}
    assert answer["error"]["param"] == param
    assert words in answer["error"]["message"]
    assert "secret" not in str(answer)
    assert (headers.get(b"connection") == b"close") == (status == 500)


# -- an answer


class Tokenizer:
    def build_prompt(self, query, history):
        return query

    def __call__(self, text):
        return {"input_ids": list(text)}


class Model:
    """A stand-in: a token is a letter, and says what it was given."""

    def __init__(self, log, fails=False):
        self.log, self.fails = log, fails

    def stream_chat(self, tokenizer, query, history, logits_processor, **settings):
        self.log.append(("begins", query, settings))
        for size in (1, 2):
            logits_processor[0](types.SimpleNamespace(shape=(1, len(query) + size - 1)), None)
            yield "x" * size, []
        if self.fails:
            raise RuntimeError("planted")
        self.log.append(("ends", query))


class Connection:
    def __init__(self, left=False):
        self.left = left

    async def is_disconnected(self):
        return self.left


def answer_of(server, model, query="abc", **values):
    return server.Answer(model, Tokenizer(), server.LimitedRequest(**json.loads(request(**values))), query, [])


@pytest.mark.parametrize(
    ("values", "settings", "reason"),
    [
        ({}, {"max_length": 8192}, "stop"),
        ({"max_length": 5}, {"max_length": 5}, "length"),
        ({"max_tokens": 2}, {"max_length": 5}, "length"),
        ({"max_tokens": 9, "max_completion_tokens": 4}, {"max_length": 7}, "stop"),
        ({"top_p": 0.5, "temperature": 0.7}, {"max_length": 8192, "top_p": 0.5, "temperature": 0.7}, "stop"),
        ({"temperature": 0}, {"max_length": 8192, "do_sample": False}, "stop"),
    ],
)
def test_an_answer_keeps_to_its_limits(server, values, settings, reason):
    log = []
    answer = answer_of(server, Model(log), **values)
    assert asyncio.run(answer.whole(Connection())) == ("xx", [])
    assert log[0] == ("begins", "abc", settings)
    assert answer.finish_reason == reason


def test_messages_that_are_too_long_are_refused(server):
    with pytest.raises(server.HTTPException) as caught:
        answer_of(server, Model([]), max_length=3)
    assert caught.value.status_code == 400
    assert caught.value.detail["code"] == "context_length_exceeded"


def test_an_answer_ends_with_its_client_and_lets_the_next_one_begin(server):
    log = []

    async def leave():
        with pytest.raises(server.HTTPException) as caught:
            await answer_of(server, Model(log)).whole(Connection(left=True))
        assert caught.value.status_code == 499
        assert not server.TURN.locked()
        answer = answer_of(server, Model(log))
        parts = (part async for part in answer.parts)
        assert await anext(parts) == ("x", [])
        assert server.TURN.locked()
        await answer.close(parts)
        assert not server.TURN.locked()

    asyncio.run(leave())
    assert [entry[0] for entry in log] == ["begins", "begins"]


def test_two_answers_are_one_after_the_other(server):
    log = []

    async def both():
        answers = [answer_of(server, Model(log), query).whole(Connection()) for query in ("one", "two")]
        await asyncio.gather(*answers)

    asyncio.run(both())
    assert [entry[:2] for entry in log] == [("begins", "one"), ("ends", "one"), ("begins", "two"), ("ends", "two")]


def test_an_error_in_the_middle_is_an_event(server):
    events = []

    async def stream():
        answer = answer_of(server, Model([], fails=True))
        async for event in answer.told(part async for part, _ in answer.parts):
            events.append(event)

    with pytest.raises(RuntimeError, match="planted"):
        asyncio.run(stream())
    assert events[:2] == ["x", "xx"]
    assert json.loads(events[2]) == server.FAILED
