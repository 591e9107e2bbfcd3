"""Speak with streamlit's page as a browser does: by its websocket, from what its script draws.

The virtualenv's own tornado and streamlit carry the messages (``streamlit_worker``); here they are what protobuf makes
of them in JSON, by the names in ``streamlit/proto/*.proto``. What is not found here makes a failure, never a proof.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..core.failure import Failure
from ..core.processes import Child, isolated, source_of
from . import streamlit_worker
from .page import READ_LOG, Api, Endpoint, Page, Turn, stored_password

EARLY_FOR_RERUN = "FINISHED_EARLY_FOR_RERUN"


class Screen:
    """What the page shows: each part, an element or a block, by its place in the page's tree."""

    def __init__(self) -> None:
        """Nothing is shown yet."""
        self.parts: dict[tuple[int, ...], dict[str, Any]] = {}

    def apply(self, message: dict[str, Any]) -> None:
        """Change what is shown as ``message`` of the server says.

        Raises:
            LookupError: it lacks its place.

        """
        if "new_session" in message:  # the script runs anew, and draws all that shall be seen
            self.parts.clear()
        for kind, part in message.get("delta", {}).items():
            if kind in ("new_element", "add_block"):
                self.parts[tuple(message["metadata"]["delta_path"])] = part

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Return all parts of a kind, in the order of the page."""
        return [part[kind] for _, part in sorted(self.parts.items()) if kind in part]

    def messages(self) -> list[dict[str, Any]]:
        """Return the conversation: role and content of each bubble, in order."""
        found: list[tuple[tuple[int, ...], dict[str, Any]]] = []
        for path, part in sorted(self.parts.items()):
            if "chat_message" in part:
                found.append((path, {"role": part["chat_message"].get("name", ""), "content": ""}))
            elif "markdown" in part and found and path[: len(found[-1][0])] == found[-1][0]:
                found[-1][1]["content"] += part["markdown"].get("body", "")
        return [bubble for _, bubble in found]

    def fill_in(self, question: str, max_length: int) -> list[dict[str, Any]]:
        """Return the state of the widgets that asks ``question``, with the likeliest tokens only (see page.py).

        Raises:
            Failure: there is no field for it, or no button.

        """
        areas, buttons = self.of_kind("text_area"), self.of_kind("button")
        if not areas or not buttons:
            raise Failure(
                f"the page shows {len(areas)} text areas and {len(buttons)} buttons",
                "one to ask in and one to send it, as in the source repository's web_demo2.py",
                "run the play again (role web_demo patches web_demo2.py; a file of your own cannot be proven this way)",
            )
        state = [{"id": areas[0]["id"], "string_value": question}, {"id": buttons[0]["id"], "trigger_value": True}]
        for slider in self.of_kind("slider"):
            label = slider.get("label", "").lower()
            if "length" in label or label.startswith("top"):
                value = max_length if "length" in label else slider.get("min", 0)
                state.append({"id": slider["id"], "double_array_value": {"data": [value]}})
        return state


class Streamlit(Page):
    """A session with the page of streamlit. The server keeps the conversation, from :meth:`open` to :meth:`close`.

    Args:
        url: see Page.
        timeout: see Page.
        home: the installation, whose virtualenv has streamlit.

    """

    def __init__(self, url: str, timeout: float, home: str) -> None:
        """Remember the address and the installation; nothing is started yet."""
        super().__init__(url, timeout)
        self._address = f"ws{url[4:].rstrip('/')}/_stcore/stream"
        self._home = home
        self._worker: Child | None = None
        self._said: Iterator[str] = iter(())
        self._deadline = [0.0]
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
        if self._worker is None:
            late = Failure(
                f"the page's script is not done within {seconds:.0f} s",
                "a page that is drawn",
                "look at the log below; on a slow machine raise smoke_test_load_timeout",
            )
            self._run([], seconds, late)

    def close(self) -> None:
        """End the session; a script that still runs for it is stopped by the server."""
        if self._worker is not None:
            self._worker.stop()
            self._log.close()
        self._worker, self._screen, self._turns = None, Screen(), 0

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

    def _run(
        self, widgets: list[dict[str, Any]], seconds: float, late: Failure, look: Callable[[], object] = lambda: None
    ) -> None:
        """Have the script run to its end with these ``widgets``; ``look`` is called whenever something was drawn.

        Raises:
            Failure: ``late``, when it is not done within ``seconds``; the page shows an error, or is not there.

        """
        self._deadline[0], done = time.monotonic() + seconds, False
        try:
            worker = self._worker = self._worker or self._start()
            worker.write(json.dumps({"rerun_script": {"widget_states": {"widgets": widgets}}}))
            while not done:
                message = self._receive(worker)
                self._screen.apply(message)
                look()
                for shown in self._screen.of_kind("exception"):
                    told = f"{shown.get('type')}: {shown.get('message')}"
                    raise Failure(f"the page shows an error: {told[:300]}", "an answer", READ_LOG)
                done = message.get("script_finished", EARLY_FOR_RERUN) != EARLY_FOR_RERUN
        except TimeoutError:
            raise late from None
        except OSError as error:
            raise Failure(f"the connection to the page broke: {error!r}", "a completed answer", READ_LOG) from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Failure(f"an answer of another form ({error!r})", "a message of streamlit's", READ_LOG) from error
        finally:
            if not done:
                self.close()

    def _start(self) -> Child:
        """Start what carries the messages as the page itself is started: by the launcher, with the proof's bytecode."""
        worker_of_streamlit = isolated(
            "python", "-c", source_of(streamlit_worker), self._address, bytecode=f"{self._home}/cache/pycache"
        )
        command = [f"{self._home}/bin/chatglm-run", *worker_of_streamlit]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - until close(); it has no name to be left behind
        worker = Child(command, Path(f"/proc/self/fd/{self._log.fileno()}"), read=True, write=True)
        self._said = worker.lines(self._deadline)
        return worker

    def _receive(self, worker: Child) -> dict[str, Any]:
        """Return the next message.

        Raises:
            Failure: there is none any more.
            TimeoutError: none came before the deadline.
            ValueError: a line of another form.

        """
        message: dict[str, Any] = json.loads(next(self._said, "{}"))
        if "refused" in message:
            told = f"the page refuses its websocket with status {message['refused']}"
            raise Failure(told, "status 101", READ_LOG)
        if "broken" in message:
            told = f"the connection to the page broke: {message['broken']}"
            raise Failure(told, "a completed answer", READ_LOG)
        if not message:
            told = f"the client in the virtualenv ended with status {worker.wait(5)}: {worker.tail()[-300:]}"
            raise Failure(told, "a message of streamlit's", "run the play again")
        return message


def client(app: str, url: str, timeout: float, home: str) -> Page:
    """Return a session with what the installation ``home`` has started, signed in where it asks for that."""
    if app == "streamlit":
        return Streamlit(url, timeout, home)
    return (Api if app == "openai_api" else Page)(url, timeout, stored_password(home))
