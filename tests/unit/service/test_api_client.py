"""The command chatglm and the API: a conversation with a small server that answers as openai_api.py does."""

import http.server
import io
import json
import sys
import threading

import pytest
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.service import command
from ansible.module_utils.chatglm.smoke_test.page import Api

KEY = "geheim-12345"


class Server(http.server.ThreadingHTTPServer):
    """Answers a question with it in quotes, in two parts; the second only when the first was seen."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Asked)
        self.key, self.asked, self.seen, self.late = KEY, [], threading.Event(), False
        self.status, self.events = 200, None


class Asked(http.server.BaseHTTPRequestHandler):
    def refused(self):
        if not self.server.key or self.headers.get("Authorization") == f"Bearer {self.server.key}":
            return False
        self.answer(401, {"error": {"message": "a wrong API key, or none"}})
        return True

    def do_GET(self):
        if self.path == "/" or not self.refused():
            self.answer(200, {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.refused():
            return
        self.server.asked.append(body)
        if self.server.status != 200:
            self.answer(self.server.status, {"error": {"message": "the messages have 9000 tokens"}})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if self.server.events is not None:
            for event in self.server.events:
                self.event(event)
            return
        self.delta({"role": "assistant"})
        self.delta({"content": "“" + body["messages"][-1]["content"]})
        self.server.late |= not self.server.seen.wait(5)
        self.server.seen.clear()
        self.delta({"content": "”"})
        self.delta({}, "stop")
        self.wfile.write(b"data: [DONE]\n\n")

    def delta(self, delta, ended=None):
        self.event({"choices": [{"delta": delta, "finish_reason": ended}]})

    def event(self, value):
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()

    def answer(self, status, value):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def home(tmp_path, server):
    (tmp_path / "state").mkdir()
    settings = {"app": "openai_api", "url": f"http://127.0.0.1:{server.server_port}", "language": "en"}
    (tmp_path / "state" / "service.json").write_text(json.dumps(settings))
    (tmp_path / "state" / "page_password").write_text(KEY)
    return tmp_path


class Screen(io.StringIO):
    """Tells the server when the first part of an answer was shown."""

    def __init__(self, server):
        super().__init__()
        self.server = server

    def write(self, text):
        if text.startswith("“"):
            self.server.seen.set()
        return super().write(text)


def talk(monkeypatch, home, server, text):
    """Return the exit status of ``chatglm chat`` and what it has shown."""
    screen = Screen(server)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    monkeypatch.setattr(sys, "stdout", screen)
    return command.main(str(home), ["chat"]), screen.getvalue()


def test_a_conversation_is_streamed_and_remembered_until_it_is_cleared(monkeypatch, home, server):
    status, shown = talk(monkeypatch, home, server, "你好\n再见\n\nclear\nwho?\nexit\nnot asked\n")
    assert (status, shown) == (0, "“你好”\n“再见”\n“who?”\n")
    assert not server.late, "the first part of an answer was shown only when the second was there"
    said = [[message["content"] for message in body["messages"]] for body in server.asked]
    assert said == [["你好"], ["你好", "“你好”", "再见"], ["who?"]]
    assert [message["role"] for message in server.asked[1]["messages"]] == ["user", "assistant", "user"]
    assert {(body["stream"], body["temperature"], body["max_length"]) for body in server.asked} == {(True, 0, 8192)}


def test_a_wrong_key_is_told_and_not_shown(monkeypatch, home, server, capsys):
    server.key = "another-12345"
    status, shown = talk(monkeypatch, home, server, "你好\n")
    assert (status, shown) == (1, "")
    told = capsys.readouterr().err
    assert "POST /v1/chat/completions answered 401" in told
    assert "run the play again" in told
    assert "12345" not in told


def test_a_conversation_that_has_become_too_long_is_told(monkeypatch, home, server, capsys):
    server.status = 400
    assert talk(monkeypatch, home, server, "你好\n") == (1, "")
    told = capsys.readouterr().err
    assert "the messages have 9000 tokens" in told
    assert "begin a new conversation" in told


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"ALL_PROXY": "socks5://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "no_proxy": "[::1]"},
        {"SSL_CERT_FILE": "/gone", "SSL_CERT_DIR": "/gone", "REQUESTS_CA_BUNDLE": "/gone", "CURL_CA_BUNDLE": "/gone"},
    ],
    ids=["", "proxies", "certificates"],
)
def test_one_question_through_the_key(monkeypatch, home, server, capsys, variables):
    """Straight, whatever the variables of the network say."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    server.seen.set()
    assert command.main(str(home), ["status", "--ask"]) == 0
    assert "answer    “你好”" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ([{"error": {"message": "the model failed; the log says why"}}], "the API has failed: the model failed"),
        ([{"error": "odd"}], "an answer of another form"),
        ([{"choices": []}], "an answer of another form"),
        ([], "the answer's stream ended without a finish_reason"),
    ],
)
def test_what_is_no_answer(server, events, found):
    server.events = events
    api = Api(f"http://127.0.0.1:{server.server_port}", 5, KEY)
    with pytest.raises(Failure) as caught:
        api.ask(api.endpoint(), "你好", [], 64)
    assert caught.value.found.startswith(found)
