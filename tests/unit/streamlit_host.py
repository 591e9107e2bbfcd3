"""A pretended server of streamlit with a page like web_demo2.py, as far as its websocket goes.

Invented for these tests after streamlit 1.56; messages of a true server are in test_streamlit_page.py, and a true
server answers in tests/browser.
"""

import os
import signal
import struct
import time

from module_utils.chatglm import streamlit_page as page
from module_utils.chatglm import websocket

field = page.field


def message(kind, value):
    return field(1, "some hash") + field(kind, value)


def drawn(path, kind, content, block=False):
    """A part of the page at its place; real parts have sizes beside."""
    part = field(page.BLOCK if block else page.ELEMENT, field(kind, content) + (b"" if block else field(58, b"")))
    place = field(page.DELTA_PATH, b"".join(page.number(step) for step in path))
    return field(page.METADATA, place) + message(page.DELTA, part)


class Session:
    """One visitor."""

    def __init__(self, handler, kind, answer):
        self.handler, self.kind, self.answer = handler, kind, answer
        self.history, self.alive = [], False

    def send(self, data, kind=websocket.BINARY):
        self.handler.wfile.write(websocket.frame(kind, data))
        self.handler.wfile.flush()

    def receive(self):
        """The next message of the client, who masks what he sends."""
        stream = self.handler.rfile
        first, size = websocket.exactly(stream, 2)
        assert size & 0x80, "a client has to mask"
        size &= 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", websocket.exactly(stream, 2))
        mask = websocket.exactly(stream, 4)
        data = websocket.exactly(stream, size)
        return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))

    def serve(self):
        if self.kind == "refused":
            return self.handler.send(403, b"", "text/plain")
        assert "Origin" not in self.handler.headers
        self.handler.send_response(101)
        self.handler.end_headers()
        self.send(b"are you there?", websocket.PING)
        while True:
            kind, data = self.receive()
            if (kind, data) == (websocket.PONG, b"are you there?"):
                self.alive = True
                continue
            assert kind == websocket.BINARY
            state = page.parse(page.parse(data)[page.RERUN_SCRIPT][0])
            widgets = page.parse(state[page.WIDGET_STATES][0]).get(page.WIDGET, [])
            states = {page.text_of(one, page.ID): one for one in map(page.parse, widgets)}
            self.script({name: next(v for k, v in one.items() if k != page.ID)[0] for name, one in states.items()})
            self.send(message(page.FINISHED, 0))

    def bubbles(self):
        for turn, texts in enumerate([*self.history, None]):
            for side, name in enumerate(("user", "assistant")):
                path = (0, 2 * turn + side)
                self.send(drawn(path, page.CHAT_MESSAGE, field(page.NAME, name), block=True))
                part = (page.MARKDOWN, field(page.BODY, texts[side])) if texts else (2, b"")
                self.send(drawn((*path, 0), *part))

    def script(self, states):
        self.send(message(page.NEW_SESSION, b""))
        if self.kind == "raises":
            told = field(1, "OSError") + field(2, "no file named pytorch_model.bin")
            self.send(drawn((0, 0), page.EXCEPTION, told))
        if self.kind == "loads for ever":
            time.sleep(300)
        if self.kind == "odd":
            self.send(b"\xff\x7f")
        for at, label in enumerate(("max_length", "top_p", "temperature")):
            slider = field(page.ID, label) + field(page.SLIDER_LABEL, label)
            self.send(drawn((1, at), page.SLIDER, slider))
        self.bubbles()
        self.send(drawn((0, 100), page.TEXT_AREA, field(page.ID, "area")))
        if self.kind != "no button":
            self.send(drawn((0, 101), page.BUTTON, field(page.ID, "button")))
        if states.get("button"):
            self.reply(states)

    def reply(self, states):
        lengths = [struct.unpack("<d", page.parse(states[name])[1][0])[0] for name in ("max_length", "top_p")]
        assert lengths == [14 + 48, 0.0]
        assert "temperature" not in states
        assert self.alive
        if self.kind == "silent":
            time.sleep(300)
        if self.kind == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        place, answer = (0, 2 * len(self.history)), self.answer
        if self.kind == "dead in the second turn" and self.history:
            answer = ""
        self.send(drawn((*place, 0), page.MARKDOWN, field(page.BODY, states["area"])))
        for cut in [len(answer)] if self.kind == "no growth" else range(1, len(answer) + 1):
            if self.kind == "dead":
                told = field(1, "RuntimeError") + field(2, "CUDA error")
                self.send(drawn((0, 102), page.EXCEPTION, told))
            if self.kind == "cut" and cut > 3:
                self.send(struct.pack(">H", 1000) + b"enough", websocket.CLOSE)
            self.send(drawn((0, place[1] + 1, 0), page.MARKDOWN, field(page.BODY, answer[:cut])))
        self.history.append((states["area"], answer))
