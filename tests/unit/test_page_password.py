"""A page that asks for a password: gradio's form and cookie, spoken by a pretended page."""

import http.server
import json
import threading
import urllib.parse

import pytest
from ansible.module_utils.chatglm.failure import Failure
from ansible.module_utils.chatglm.page import Page

CONFIG = {"dependencies": [{"id": 3, "api_name": "predict", "inputs": [], "targets": []}], "components": []}


class Guarded(http.server.BaseHTTPRequestHandler):
    """Answers as gradio 6.17.3 does: POST /login with a form, a cookie, 401 without it."""

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        good = form == {"username": ["chatglm"], "password": ["geheim +&="]}
        self.answer(200 if good else 400, {"success": good}, "access-token-x=abc; HttpOnly; Path=/" if good else "")

    def do_GET(self):
        known = "access-token-x=abc" in self.headers.get("Cookie", "")
        self.answer(200 if known else 401, CONFIG if known else {"detail": "Not authenticated"})

    def answer(self, status, value, cookie=""):
        self.send_response(status)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_password_is_exchanged_for_a_cookie(url):
    assert Page(url, 5, "geheim +&=").endpoint().index == 3


@pytest.mark.parametrize(
    ("password", "found"), [("wrong", "POST /login answered 400"), ("", "GET /config answered 401")]
)
def test_without_the_right_one_nothing_is_told(url, password, found):
    with pytest.raises(Failure) as caught:
        Page(url, 5, password).endpoint()
    assert caught.value.found.startswith(found)
