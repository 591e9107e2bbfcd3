"""Speak with streamlit's page as a browser does: by its websocket, from what its script draws.

The standard library is enough for that too (see page.py): no import of the virtualenv, no process in between. Of
streamlit 1.56's messages (``streamlit/proto/*.proto``) only the fields named here are read and written. protobuf gives
a number no second meaning; and what is not found here makes a failure, never a proof.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .failure import Failure
from .page import READ_LOG, Endpoint, Page, Turn
from .websocket import Refused, WebSocket

# ForwardMsg, its metadata, and Delta
METADATA, NEW_SESSION, DELTA, FINISHED = 2, 4, 5, 6
DELTA_PATH = 2
ELEMENT, BLOCK = 3, 6
# Block and Element by kind, and their own fields; a widget begins with its id
CHAT_MESSAGE = 9
EXCEPTION, BUTTON, SLIDER, TEXT_AREA, MARKDOWN = 8, 19, 21, 22, 29
NAME = ID = BODY = EXCEPTION_TYPE = 1
EXCEPTION_TEXT = 2
SLIDER_LABEL, SLIDER_MINIMUM = 3, 7
# BackMsg, ClientState, WidgetStates and WidgetState
RERUN_SCRIPT, WIDGET_STATES, WIDGET = 11, 2, 1
TRIGGER_VALUE, STRING_VALUE, DOUBLE_ARRAY_VALUE = 2, 6, 7
EARLY_FOR_RERUN = 2

if TYPE_CHECKING:
    Fields = dict[int, list[Any]]  # a message: the values of each field, numbers or bytes


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at ``at``, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at


def read_numbers(data: bytes) -> Iterator[int]:
    """Yield the varints of a packed field."""
    at = 0
    while at < len(data):
        value, at = read_number(data, at)
        yield value


def parse(data: bytes) -> Fields:
    """Return the fields of a message.

    Raises:
        ValueError: it is none.
        IndexError: it was cut.

    """
    found: Fields = {}
    at = 0
    while at < len(data):
        key, at = read_number(data, at)
        size = {1: 8, 5: 4}.get(key & 7, 0)
        if key & 7 == 0:
            value: Any
            value, at = read_number(data, at)
        elif key & 7 == 2 or size:
            if not size:
                size, at = read_number(data, at)
            value = data[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {key & 7}")
        found.setdefault(key >> 3, []).append(value)
    if at > len(data):
        raise IndexError("a field that was cut")
    return found


def number(value: int) -> bytes:
    """Return a varint."""
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


def field(name: int, value: int | str | bytes) -> bytes:
    """Return a field of a message: a number or a truth, a text, or a message."""
    if isinstance(value, int):
        return number(name << 3) + number(value)
    data = value.encode() if isinstance(value, str) else value
    return number(name << 3 | 2) + number(len(data)) + data


def text_of(fields: Fields, name: int) -> str:
    """Return a text of a message; empty when it has none."""
    return b"".join(fields.get(name, [])[-1:]).decode("utf-8", "replace")


class Screen:
    """What the page shows: the kind and the fields of each part, by its place in the page's tree."""

    def __init__(self) -> None:
        """Nothing is shown yet."""
        self.parts: dict[tuple[int, ...], tuple[int, Fields]] = {}

    def apply(self, message: Fields) -> None:
        """Change what is shown as ``message`` of the server says.

        Raises:
            ValueError: a part of it is no message.
            LookupError: it lacks its place, or was cut.

        """
        if NEW_SESSION in message:  # the script runs anew, and draws all that shall be seen
            self.parts.clear()
        for delta in map(parse, message.get(DELTA, [])):
            path = tuple(read_numbers(parse(message[METADATA][0])[DELTA_PATH][0]))
            for kinds in map(parse, delta.get(ELEMENT, []) + delta.get(BLOCK, [])):
                # Beside the one that says what it is stand height, width and the like, with larger numbers.
                known = (CHAT_MESSAGE,) if BLOCK in delta else (EXCEPTION, BUTTON, SLIDER, TEXT_AREA, MARKDOWN)
                kind = next((kind for kind in known if kind in kinds), 0)
                self.parts[path] = (kind, parse(kinds[kind][0]) if kind else {})

    def of_kind(self, kind: int) -> list[Fields]:
        """Return all parts of a kind, in the order of the page."""
        return [fields for _, (found, fields) in sorted(self.parts.items(), key=lambda part: part[0]) if found == kind]

    def messages(self) -> list[dict[str, Any]]:
        """Return the conversation: role and content of each bubble, in order."""
        found: list[tuple[tuple[int, ...], dict[str, Any]]] = []
        for path, (kind, fields) in sorted(self.parts.items(), key=lambda part: part[0]):
            if kind == CHAT_MESSAGE:
                found.append((path, {"role": text_of(fields, NAME), "content": ""}))
            elif kind == MARKDOWN and found and path[: len(found[-1][0])] == found[-1][0]:
                found[-1][1]["content"] += text_of(fields, BODY)
        return [bubble for _, bubble in found]

    def fill_in(self, question: str, max_length: int) -> bytes:
        """Return the state of the widgets that asks ``question``, with the likeliest tokens only (see page.py).

        Raises:
            Failure: there is no field for it, or no button.

        """
        areas, buttons = self.of_kind(TEXT_AREA), self.of_kind(BUTTON)
        if not areas or not buttons:
            raise Failure(
                f"the page shows {len(areas)} text areas and {len(buttons)} buttons",
                "one to ask in and one to send it, as in the source repository's web_demo2.py",
                "run the play again (role web_demo patches web_demo2.py; a file of your own cannot be proven this way)",
            )
        state = [(areas[0], field(STRING_VALUE, question)), (buttons[0], field(TRIGGER_VALUE, True))]
        for slider in self.of_kind(SLIDER):
            label = text_of(slider, SLIDER_LABEL).lower()
            if "length" in label:
                state.append((slider, field(DOUBLE_ARRAY_VALUE, field(1, struct.pack("<d", max_length)))))
            elif label.startswith("top"):
                lowest = slider.get(SLIDER_MINIMUM, [bytes(8)])[0]
                state.append((slider, field(DOUBLE_ARRAY_VALUE, field(1, lowest))))
        return b"".join(field(WIDGET, field(ID, text_of(widget, ID)) + value) for widget, value in state)


class Streamlit(Page):
    """A session with the page of streamlit. The server keeps the conversation, from :meth:`open` to :meth:`close`."""

    def __init__(self, url: str, timeout: float, password: str = "") -> None:
        """Remember the address; nothing is sent yet."""
        super().__init__(url, timeout, password)
        self._socket: WebSocket | None = None
        self._screen = Screen()
        self._turns = 0

    def status(self) -> int:
        """Return the status of GET / once the server calls itself healthy; 0 when nothing answers yet."""
        health = self.status_of("/_stcore/health")
        return self.status_of("/") if health == 200 else health

    def open(self, seconds: float) -> None:
        """Open the page and wait until it is drawn; for a first visitor its script loads the model.

        Raises:
            Failure: the script fails, or is not done within ``seconds``.

        """
        if self._socket is None:
            late = Failure(
                f"the page's script is not done within {seconds:.0f} s",
                "a page that is drawn",
                "look at the log below; on a slow machine raise smoke_test_load_timeout",
            )
            self._run(b"", seconds, late)

    def close(self) -> None:
        """End the session; a script that still runs for it is stopped by the server."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._screen, self._turns = None, Screen(), 0

    def endpoint(self) -> Endpoint:
        """Open the page; what is filled in there is found at each question.

        Raises:
            Failure: as :meth:`open`.

        """
        self.open(self.timeout)
        return Endpoint(0, None, [], "")

    def ask(
        self,
        endpoint: Endpoint,
        question: str,
        messages: list[dict[str, Any]],
        max_length: int,
        tell: Callable[[str], object] | None = None,
    ) -> Turn:
        """Type ``question``, press the button and follow the answer to its end; ``tell`` is called when it has grown.

        Raises:
            Failure: no complete answer within the timeout, or the page shows an error.

        """
        self.open(self.timeout)
        start, turn = time.monotonic(), Turn()

        def look() -> None:
            bubbles = [message for message in self._screen.messages() if message["role"] == "assistant"]
            # Those of earlier turns are drawn anew first.
            text = bubbles[self._turns]["content"] if len(bubbles) > self._turns else ""
            if text and (not turn.partials or text != turn.partials[-1]):
                turn.partials.append(text)
                turn.first_seconds = turn.first_seconds or time.monotonic() - start
                if tell is not None:
                    tell(text)

        late = Failure(
            f"no complete answer from the page within {self.timeout:.0f} s",
            "a completed answer",
            "look at the log below; on a slow machine raise smoke_test_answer_timeout",
        )
        self._run(self._screen.fill_in(question, max_length), self.timeout, late, look)
        turn.messages, turn.seconds = self._screen.messages(), time.monotonic() - start
        self._turns += 1
        return turn

    def _run(self, widgets: bytes, seconds: float, late: Failure, look: Callable[[], object] = lambda: None) -> None:
        """Have the script run to its end with these ``widgets``; ``look`` is called whenever something was drawn.

        Raises:
            Failure: ``late``, when it is not done within ``seconds``; the page shows an error, or is not there.

        """
        deadline, done = time.monotonic() + seconds, False
        try:
            if self._socket is None:
                self._socket = WebSocket(self.host, self.port, "/_stcore/stream", min(seconds, 30))
            self._socket.send(field(RERUN_SCRIPT, field(WIDGET_STATES, widgets)))
            while not done:
                message = parse(self._socket.receive(deadline - time.monotonic()))
                self._screen.apply(message)
                look()
                for shown in self._screen.of_kind(EXCEPTION):
                    told = f"{text_of(shown, EXCEPTION_TYPE)}: {text_of(shown, EXCEPTION_TEXT)}"
                    raise Failure(f"the page shows an error: {told[:300]}", "an answer", READ_LOG)
                done = message.get(FINISHED, [EARLY_FOR_RERUN]) != [EARLY_FOR_RERUN]
        except Refused as refused:
            raise Failure(
                f"the page refuses its websocket with status {refused.status}", "status 101", READ_LOG
            ) from None
        except TimeoutError:
            raise late from None
        except OSError as error:
            raise Failure(f"the connection to the page broke: {error!r}", "a completed answer", READ_LOG) from error
        except (ValueError, LookupError, TypeError) as error:
            raise Failure(f"an answer of another form ({error!r})", "a message of streamlit's", READ_LOG) from error
        finally:
            if not done:
                self.close()
