"""web_demo2.py under streamlit as a person uses it, in real Chromium, and as the proof and ``chatglm`` ask it."""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.processes import isolated
from ansible.module_utils.chatglm.smoke_test.streamlit_page import Streamlit
from conftest import ARTIFACTS, HOME, ROOT, free_port, growth, launched
from playwright.sync_api import expect

expect.set_options(timeout=60_000)  # the first visitor waits for the model
KNOWN = "我是演示用的微型 int4 模型"


def send(tab, text):
    """Type a question and press the button."""
    box = tab.get_by_label("用户命令输入")
    box.fill(text)
    box.press("Control+Enter")
    # Each act of the user runs the script again; only a settled page takes the next one.
    time.sleep(2)
    expect(tab.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    tab.get_by_role("button", name="发送").click()


def chatglm(*words, typed=None):
    command = [HOME / "bin" / "chatglm", *words]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=120)


def test_its_proof_is_two_turns_through_its_server(streamlit):
    proof = json.loads((HOME / "state" / "proof.json").read_text())
    page = proof["report"]["page"]
    assert proof["settings"]["app"] == "streamlit"
    assert page["answer"] == proof["report"]["model"]["answer"]
    assert min(page["partials"], page["second_partials"]) >= 3
    assert page["bot_messages"] == 2
    assert page["ready_seconds"] > page["first_token_seconds"] > 0


def test_chat(streamlit, open_tab):
    tab = open_tab(streamlit)
    bubbles = tab.get_by_test_id("stChatMessage")
    expect(bubbles).to_have_count(2)
    send(tab, "你好")
    grown = growth(tab, streamlit, "stChatMessage", 1, "true weights.")
    assert len(grown) >= 3, f"the answer did not grow step by step: {grown}"
    expect(bubbles.nth(0)).to_contain_text("你好")
    expect(bubbles.last).to_contain_text("true weights.")
    tab.screenshot(path=ARTIFACTS / "streamlit-first-turn.png")

    # Whoever asks beside has a session of his own.
    beside = chatglm("status", "--ask")
    assert beside.returncode == 0, beside.stdout + beside.stderr

    send(tab, "什么是 int4 量化？")
    expect(bubbles).to_have_count(4)
    expect(bubbles.nth(1)).to_contain_text("true weights.")
    expect(bubbles.last).to_contain_text("real model.")
    tab.screenshot(path=ARTIFACTS / "streamlit-second-turn.png")
    print(f"\nscreenshots: {ARTIFACTS}/streamlit-*.png")


def test_the_service_and_its_command_ask_it(streamlit):
    seen = chatglm("status", "--ask")
    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert KNOWN in seen.stdout
    settings = f"home={HOME} state=answering timeout=60 url={streamlit} app=streamlit"
    play = ["ansible", "localhost", "-c", "local", "-m", "chat_service", "-a", settings]
    health = subprocess.run(play, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert health.returncode == 0, health.stdout + health.stderr
    assert KNOWN in health.stdout


def test_it_chats_in_the_terminal(streamlit):
    first, second, fresh = chatglm("chat", typed="你好\n什么是 int4 量化？\nclear\n你好\n").stdout.splitlines()
    assert KNOWN in first
    assert "int4 就是把每个权重压成四位整数" in second
    assert first == fresh


# streamlit ends a script at its next word to the page.
ENDLESS = "import time, streamlit\nwhile True: time.sleep(0.1); streamlit.empty()\n"
DEAD = {
    "raises": ("raise RuntimeError('odd')", "the page shows an error: RuntimeError: odd"),
    "is broken": ("exec('def f(:')", "the page shows an error: SyntaxError"),
    "loads for ever": (ENDLESS, "the page's script is not done within 3 s"),
    "is empty": ("", "the page shows 0 text areas and 0 buttons"),
    "lacks the model": ("", "the page shows an error: OSError: "),
    "answers for ever": ("", "no complete answer from the page within 3 s"),
    "says nothing": ("", "''"),
}


@pytest.mark.parametrize("case", DEAD)
@pytest.mark.usefixtures("streamlit")
def test_a_dead_page_is_told(tmp_path, case):
    """Scripts that fail, each under the installed streamlit: its server is well, its port open."""
    text, told = DEAD[case]
    script = (HOME / "source" / "web_demo2.py").read_text()
    loop = "    for response, history, past_key_values in model.stream_chat("
    assert loop in script
    if case == "lacks the model":
        (tmp_path / "model").mkdir()
        text = script.replace(str(HOME / "models" / "chatglm2-tiny-int4"), str(tmp_path / "model"))
    if case == "answers for ever":
        text = script.replace(loop, f"    exec({ENDLESS!r})\n{loop}")
    if case == "says nothing":
        text = script.replace(loop, "    for response, history, past_key_values in () and model.stream_chat(")
    (tmp_path / "page.py").write_text(text)
    url = f"http://127.0.0.1:{free_port()}"
    server = ["--server.address", "127.0.0.1", "--server.port", url.rpartition(":")[2], "--server.headless", "true"]
    command = ["python", "-m", "streamlit", "run", "--browser.gatherUsageStats", "false", *server, tmp_path / "page.py"]
    with launched(url, tmp_path / "log", *command):
        page = Streamlit(url, 3 if "within 3 s" in told else 60, HOME)
        assert page.status() == 200
        try:
            page.open(3 if case == "loads for ever" else 60)
            seen = repr(page.ask(page.endpoint(), "你好", [], 64).answer)
        except Failure as failure:
            seen = failure.found
    assert seen.startswith(told), seen


UPGRADED = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
FINISHED = b"\x30\x00"  # a ForwardMsg


@pytest.fixture
def serve():
    """Return a function that answers one visitor with ``reply`` and gives the address; what he sent is in ``seen``."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def start(reply, seen):
            def run():
                visitor, _ = server.accept()
                with visitor, contextlib.suppress(OSError):
                    seen.append(visitor.recv(4096))
                    key = seen[0].partition(b"Sec-Websocket-Key: ")[2].partition(b"\r")[0]
                    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
                    visitor.sendall(reply.replace(b"%s", base64.b64encode(digest)))
                    while data := visitor.recv(4096):
                        seen.append(data)

            threading.Thread(target=run, daemon=True).start()
            return f"http://127.0.0.1:{server.getsockname()[1]}"

        yield start


@pytest.mark.usefixtures("streamlit")
def test_a_visitor_names_no_origin_and_answers_a_ping_while_he_waits(serve):
    seen = []
    in_parts = b"\x02\x01" + FINISHED[:1] + b"\x80\x01" + FINISHED[1:]
    page = Streamlit(serve(UPGRADED + in_parts + b"\x89\x04ping", seen), 10, HOME)
    page.open(10)
    assert b"Host: 127.0.0.1:" in seen[0]
    assert b"origin" not in seen[0].lower()
    deadline = time.monotonic() + 10
    while b"\x8a\x84" not in b"".join(seen[1:]):
        assert time.monotonic() < deadline, "no pong"
        time.sleep(0.02)
    page.close()


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "the page refuses its websocket with status 403"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "the connection to the page broke: WebSocketError("),
        (b"garbage\r\n\r\n", "the connection to the page broke: "),
        (UPGRADED.replace(b"%s", b"wrong"), "the connection to the page broke: "),
        (b"", "the page's script is not done within 3 s"),
        (UPGRADED, "the page's script is not done within 3 s"),
        (UPGRADED + b"\x88\x06\x03\xe8over", "broke: ConnectionError('the server closed it: over')"),
        (UPGRADED + b"\x82\x02\xff\x7f", "the connection to the page broke: DecodeError("),
        (UPGRADED + b"\xff\xff\xff\xff", "broke: ConnectionError('the server closed it: no reason')"),
        (UPGRADED + b"\x82\x04\x2a\x02\x1a\x00", "an answer of another form ("),
    ],
)
@pytest.mark.usefixtures("streamlit")
def test_a_server_that_does_not_speak_is_told(serve, reply, told):
    limit = 3 if "within 3 s" in told else 60
    with pytest.raises(Failure) as failure:
        Streamlit(serve(reply, []), limit, HOME).open(limit)
    assert told in failure.value.found


@pytest.mark.usefixtures("streamlit")
def test_no_server_is_told():
    with pytest.raises(Failure, match="the connection to the page broke: ConnectionRefusedError"):
        Streamlit(f"http://127.0.0.1:{free_port()}", 10, HOME).endpoint()


def carriers():
    """The process ids of all streamlit_workers."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cmdline").read_bytes().endswith(b"/_stcore/stream\0"):
                found.append(int(folder.name))
    return found


def test_what_carries_the_messages_ends_with_either_side(streamlit):
    page = Streamlit(streamlit, 60, HOME)
    page.open(60)
    os.kill(*carriers(), signal.SIGKILL)
    with pytest.raises(Failure, match="the client in the virtualenv ended with status -9"):
        page.ask(page.endpoint(), "你好", [], 64)
    assert len(page.ask(page.endpoint(), "你好", [], 64).messages) == 2  # in a new session
    page.close()
    assert carriers() == []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([HOME / "bin" / "chatglm", "chat"], **pipes) as chat:
        chat.stdin.write("你好\n".encode())
        chat.stdin.flush()
        assert KNOWN in chat.stdout.readline().decode()
        assert len(carriers()) == 1
        chat.kill()
    deadline = time.monotonic() + 10
    while carriers():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.usefixtures("streamlit")
def test_what_carries_the_messages_ends_with_who_asked_before_the_page_has_answered(serve):
    script = (
        f"import sys; sys.path.insert(0, {str(HOME / 'lib')!r})\n"
        "from chatglm.smoke_test.streamlit_page import Streamlit\n"
        f"Streamlit({serve(b'', asked := [])!r}, 60, {str(HOME)!r}).open(60)"
    )
    with subprocess.Popen(isolated(sys.executable, "-c", script)) as program:
        deadline = time.monotonic() + 30
        while not asked:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert len(carriers()) == 1
        program.kill()
    while carriers():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_no_other_web_page_gets_in(streamlit):
    """A page of another origin gets no socket, and at once: no host outside is asked for this one's address."""

    here = streamlit.removeprefix("http://")

    def handshake(origin, host=here):
        connection = http.client.HTTPConnection(here, timeout=60)
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==", "Origin": origin, "Host": host}
        start = time.monotonic()
        connection.request("GET", "/_stcore/stream", headers={**upgrade, **key})
        status = connection.getresponse().status
        connection.close()
        return status, time.monotonic() - start

    assert handshake(streamlit)[0] == 101
    # The last one: a page of a host whose name was made to point here.
    for origin, host in [("http://evil.example", here), ("null", here), ("http://evil.example", "evil.example")]:
        status, seconds = handshake(origin, host)
        assert (origin, host, status) == (origin, host, 403)
        assert seconds < 3
