"""streamlit's page: messages that a true server sent, the tree that they draw, and what is sent back."""

import base64
import io
import socket
import struct
import threading

import pytest
from ansible.module_utils.chatglm import streamlit_page, websocket
from ansible.module_utils.chatglm.failure import Failure
from ansible.module_utils.chatglm.streamlit_page import Screen, Streamlit, field, parse

# Captured here: the demo's web_demo2.py under streamlit 1.56 (some of its messages, in their order), base64.
SENT = {
    "slider max_length": (
        "CiBmNDE2YzAxNDhkYzlmN2NhN2ZkNjZjMWNlNzE5MTNlOBImEgIBACIgNGZiZjU1YWY4NTA0NzhlZjk2ZGZlMGE5MzhlZTM4ZWUqaBpmqgFe"
        "CiokJElELTY0YTViMzMxYjU5ZTkwOTc3NGRmNTJhYWEyYzRhNzFlLU5vbmUaCm1heF9sZW5ndGgiAiVkMggAAAAAAADAQEEAAAAAAADgQEkA"
        "AAAAAADwP4IBAIgBAdIDAggB"
    ),
    "slider top_p": (
        "CiA1OTNjN2E4OTlmODkzODYyMzRhOWUxODViNDYzMjU4NRImEgIBASIgNGZiZjU1YWY4NTA0NzhlZjk2ZGZlMGE5MzhlZTM4ZWUqaBpmqgFe"
        "CiokJElELTk2ZDRkYmVjNjI2MTRlNTcyMjVkMTZiMzY2NjZkZTlkLU5vbmUaBXRvcF9wIgUlMC4yZigBMgiamZmZmZnpP0EAAAAAAADwP0l7"
        "FK5H4XqEP4IBAIgBAdIDAggB"
    ),
    "bubble": (
        "CiAxM2Y3NmIxM2VmNTdkOGM5MWRlMWRmYTUyN2FlNDhhZRImEgIAAiIgNGZiZjU1YWY4NTA0NzhlZjk2ZGZlMGE5MzhlZTM4ZWUqIjIgQAFK"
        "GAoJYXNzaXN0YW50Eglhc3Npc3RhbnQYAnoCCAE="
    ),
    "text area": (
        "CiBiMGM4MmFiYWEyZGU5OTgyZmRiYWQwMDg2ZDgwY2NlYhImEgIAAyIgNGZiZjU1YWY4NTA0NzhlZjk2ZGZlMGE5MzhlZTM4ZWUqcxpxsgFk"
        "CiokJElELWZmY2ExOGZmZjk2NzUwYWZiZjBkYjY2OTQ5N2IyZGQ0LU5vbmUSEueUqOaIt+WRveS7pOi+k+WFpRoAUh7or7flnKjov5nlhL/o"
        "vpPlhaXmgqjnmoTlkb3ku6RiAMoDAhhk0gMCCAE="
    ),
    "button": (
        "CiAzMGQyMGZhYmUxNTUwZjE1MzJhN2Y2YjQ3NTFkMmVkMxImEgIABCIgNGZiZjU1YWY4NTA0NzhlZjk2ZGZlMGE5MzhlZTM4ZWUqTBpKmgFC"
        "Ci0kJElELWM3ZmI5MWZhMTgwYmYxOGYxNjgxYTMyZTQ2MDdiMmY3LXByZWRpY3QSBuWPkemAgToJc2Vjb25kYXJ50gMCEAE="
    ),
    "answer begins": (
        "CiA3OTI5YTExYTJhYzZlZTNjYmMzYzNkNDU0Y2NkMTAxMBInEgMAAgAiIDRmYmY1NWFmODUwNDc4ZWY5NmRmZTBhOTM4ZWUzOGVlKhsaGeoB"
        "EQoN5L2g5aW98J+Ri++8gSAB6gMCCAE="
    ),
    "answer grows": (
        "CiA5NjkxNGFmNmZmZGQ5ZDQ4N2JjNGYwOWJiYTA2ODZiMBInEgMAAgAiIDRmYmY1NWFmODUwNDc4ZWY5NmRmZTBhOTM4ZWUzOGVlKiEaH+oB"
        "FwoT5L2g5aW98J+Ri++8geaIkeaYryAB6gMCCAE="
    ),
}


def screen(*names):
    made = Screen()
    for name in names:
        made.apply(parse(base64.b64decode(SENT[name])))
    return made


def test_a_bubble_is_read_as_it_grows():
    made = screen("bubble")
    assert made.messages() == [{"role": "assistant", "content": ""}]
    for name, text in (("answer begins", "你好👋！"), ("answer grows", "你好👋！我是")):
        made.apply(parse(base64.b64decode(SENT[name])))
        assert made.messages() == [{"role": "assistant", "content": text}]


def test_a_text_outside_of_every_bubble_is_no_answer():
    assert screen("answer begins").messages() == []


def test_a_new_run_begins_with_an_empty_page():
    made = screen("bubble", "answer begins", "text area")
    made.apply(parse(field(streamlit_page.NEW_SESSION, b"")))
    assert made.parts == {}


def test_a_question_is_the_state_of_the_widgets():
    made = screen("slider max_length", "slider top_p", "bubble", "text area", "button")
    sent = {}
    for widget in map(parse, parse(made.fill_in("你好", 62))[streamlit_page.WIDGET]):
        (name,) = widget.pop(streamlit_page.ID)
        sent[name[:9].decode()] = widget
    assert sent == {
        "$$ID-64a5": {streamlit_page.DOUBLE_ARRAY_VALUE: [field(1, struct.pack("<d", 62))]},
        "$$ID-96d4": {streamlit_page.DOUBLE_ARRAY_VALUE: [field(1, struct.pack("<d", 0))]},
        "$$ID-ffca": {streamlit_page.STRING_VALUE: ["你好".encode()]},
        "$$ID-c7fb": {streamlit_page.TRIGGER_VALUE: [1]},
    }


def test_a_page_that_cannot_be_asked_is_told():
    with pytest.raises(Failure, match="1 text areas and 0 buttons"):
        screen("text area").fill_in("你好", 62)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300, 70_000])
def test_what_is_written_is_read(size):
    data = field(5, size) + field(6, b"x" * size) + field(300, "你")
    assert parse(data) == {5: [size], 6: [b"x" * size], 300: ["你".encode()]}
    stream = io.BytesIO(websocket.frame(websocket.BINARY, data))
    assert websocket.read_frame(stream) == (True, websocket.BINARY, data)


@pytest.mark.parametrize("data", [b"\x80", b"\x2a\x05abc", b"\xff\x7f"])
def test_what_is_no_message_is_refused(data):
    with pytest.raises((IndexError, ValueError)):
        parse(data)


def test_a_mask_hides_and_shows():
    masked = websocket.frame(websocket.BINARY, b"question", b"key!")
    assert masked[:6] == b"\x82\x88key!"
    assert bytes(byte ^ b"key!"[at % 4] for at, byte in enumerate(masked[6:])) == b"question"


@pytest.fixture
def serve():
    """Return a function that answers one visitor with ``reply`` and gives the address; what he sent is in ``seen``."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def start(reply, seen):
            def run():
                client, _ = server.accept()
                with client:
                    seen.append(client.recv(4096))
                    client.sendall(reply)
                    while data := client.recv(4096):
                        seen.append(data)

            threading.Thread(target=run, daemon=True).start()
            return f"http://127.0.0.1:{server.getsockname()[1]}"

        yield start


UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def test_a_visitor_names_no_origin_and_reads_a_message_in_parts(serve):
    seen = []
    message = field(streamlit_page.FINISHED, 0)
    parts = b"\x02\x01" + message[:1] + b"\x80\x01" + message[1:]
    page = Streamlit(serve(UPGRADED + parts, seen), 10)
    page.open(10)
    assert b"Host: 127.0.0.1:" in seen[0]
    assert b"origin" not in seen[0].lower()
    page.close()


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refuses its websocket with status 403"),
        (b"", "is not done within 1 s"),
        (UPGRADED, "is not done within 1 s"),
        (UPGRADED + websocket.frame(websocket.CLOSE, b"\x03\xe8over"), "the server closed it: over"),
        (UPGRADED + websocket.frame(websocket.BINARY, b"\xff\x7f"), "an answer of another form"),
        (UPGRADED + websocket.frame(websocket.BINARY, field(streamlit_page.DELTA, b"")), "an answer of another form"),
    ],
)
def test_a_dead_page_is_told(serve, reply, text):
    with pytest.raises(Failure, match=text):
        Streamlit(serve(reply, []), 1).open(1)


def test_no_server_is_told():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(Failure, match="connection to the page broke: ConnectionRefusedError"):
        Streamlit(f"http://127.0.0.1:{port}", 1).endpoint()
