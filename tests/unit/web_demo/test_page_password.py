"""A chat that asks for a password: what is refused; gradio's form and cookie, spoken by a pretended page."""

import http.server
import json
import threading
import urllib.parse

import pytest
import wrong_settings
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.smoke_test.page import Page

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


@pytest.mark.parametrize("app", ["web_demo", "openai_api", "streamlit"])
@pytest.mark.parametrize("listen", ["127.0.0.1", "::1", "localhost", "0.0.0.0", "192.168.1.2", "::", "1270.example"])
@pytest.mark.parametrize("password", ["", "geheim-12345"])
def test_beyond_loopback_with_a_password_only_and_never_where_none_is_asked_for(app, listen, password):
    told = wrong_settings.problems(chatglm_app=app, chatglm_listen=listen, chatglm_page_password=password)
    here = listen in ("127.0.0.1", "::1", "localhost")
    good = here and not password if app == "streamlit" else here or bool(password)
    assert (told == []) is good
    assert "geheim" not in "".join(told)
    if not good:
        assert len(told) == 1
        assert (" chatglm_page_password is set." if password else listen) in told[0]


@pytest.mark.parametrize("password", ["short", "with spaces in it", "\u5bc6\u7801\u5bc6\u7801\u5bc6\u7801\u5bc6\u7801"])
def test_a_password_that_is_none(password):
    (told,) = wrong_settings.problems(chatglm_page_password=password)
    assert told.startswith(f"chatglm_page_password has {len(password)} characters.")
