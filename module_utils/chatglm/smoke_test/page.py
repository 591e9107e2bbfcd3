"""Speak with the demo as its users do: with the page through gradio's queue, with the API as OpenAI's clients do.

The standard library is enough for that, and better than gradio_client here: it needs no import of the virtualenv
(seconds), cannot be misled by proxy settings, every wait has a limit, and the raw stream shows how the answer grows.
Source of the protocol: gradio 6.17.3 (``sse_v3``): POST ``/gradio_api/queue/join``, GET ``/gradio_api/queue/data``.
"""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import os
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..core.failure import Failure

USER = "chatglm"
"""Name that a page with a password asks for."""
READ_LOG = "read the log of the demo at the end of this message, repair its cause and run the play again"


@dataclass
class Endpoint:
    """The page's event that answers a question.

    Attributes:
        index: its ``fn_index``.
        trigger: id of the component whose click starts it, or None.
        inputs: properties of its input components, in order, each with ``type`` and ``value``.
        prefix: path before ``/queue``.

    """

    index: int
    trigger: int | None
    inputs: list[dict[str, Any]]
    prefix: str


@dataclass
class Turn:
    """What came back for one question: the distinct partial answers in order, and the conversation at the end."""

    partials: list[str] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    first_seconds: float | None = None
    seconds: float = 0.0

    @property
    def answer(self) -> str:
        """The text of the last bot message; empty if there is none."""
        replies = bot_texts(self.messages)
        return replies[-1] if replies else ""


def find_endpoint(config: dict[str, Any], api_name: str = "predict") -> Endpoint:
    """Find the event named ``api_name`` in the page's ``/config``.

    Raises:
        Failure: the page has no such event, or its inputs are unknown.

    """
    events = config.get("dependencies") or []
    names = [event.get("api_name") for event in events]
    components = {part.get("id"): part for part in config.get("components") or []}
    for position, event in enumerate(events):
        if event.get("api_name") != api_name:
            continue
        inputs = []
        for number in event.get("inputs") or []:
            part = components.get(number, {})
            inputs.append({**(part.get("props") or {}), "type": part.get("type", "state")})
        targets = event.get("targets") or []
        return Endpoint(
            index=int(event.get("id", position)),
            trigger=targets[0][0] if targets else None,
            inputs=inputs,
            prefix=str(config.get("api_prefix") or ""),
        )
    raise Failure(
        f"the page offers the events {names}, none named {api_name}",
        f"an event {api_name}, as in the source repository's web_demo.py",
        "run the play again (role web_demo patches web_demo.py; a file of your own cannot be proven this way)",
    )


def build_data(
    inputs: list[dict[str, Any]], question: str, messages: list[dict[str, Any]], max_length: int
) -> list[Any]:
    """Return the values that the page would send for its input components.

    The sliders are set as a user may set them: the length to ``max_length`` and top P to 0, which leaves only the most
    likely token, so the answer is the greedy one. States live on the server and are sent as None.
    """
    data: list[Any] = []
    for part in inputs:
        kind, label = part["type"], str(part.get("label", "")).lower()
        if kind == "textbox":
            data.append(question)
        elif kind == "chatbot":
            data.append(messages)
        elif kind == "slider" and "length" in label:
            data.append(max_length)
        elif kind == "slider" and label.startswith("top"):
            data.append(part.get("minimum", 0))
        elif kind == "state":
            data.append(None)
        else:
            data.append(part.get("value"))
    return data


def apply_diff(old: Any, edits: list[list[Any]]) -> Any:
    """Return ``old`` after gradio's edits, each ``[action, path, value]``; ``old`` itself is not changed.

    Raises:
        ValueError: an action that gradio does not define.

    """
    holder = [copy.deepcopy(old)]
    for action, path, value in edits:
        way: list[Any] = [0, *path]
        last = way.pop()
        target: Any = holder
        for step in way:
            target = target[step]
        if action == "replace":
            target[last] = value
        elif action == "append":
            target[last] += value
        elif action == "add":
            target.insert(last, value) if isinstance(target, list) else target.__setitem__(last, value)
        elif action == "delete":
            del target[last]
        else:
            raise ValueError(f"unknown edit {action}")
    return holder[0]


def bot_texts(messages: Any) -> list[str]:
    """Return the texts of the bot's messages: content is a text, or a list of parts with ``text``."""
    texts = []
    for message in messages if isinstance(messages, list) else []:
        if not isinstance(message, dict) or message.get("role") != "assistant":
            continue
        content = message.get("content")
        parts = content if isinstance(content, list) else [content]
        texts.append("".join(str(part.get("text", "") if isinstance(part, dict) else part or "") for part in parts))
    return texts


def find_messages(data: list[Any]) -> list[dict[str, Any]] | None:
    """Return the first value that is a conversation (a list of messages with roles), or None."""
    for value in data:
        if isinstance(value, list) and value and all(isinstance(item, dict) and "role" in item for item in value):
            return value
    return None


def follow(
    events: Iterator[dict[str, Any]],
    clock: Callable[[], float],
    start: float,
    tell: Callable[[str], object] | None = None,
) -> Turn:
    """Read one answer from the queue's events.

    Args:
        events: parsed events, until the stream ends.
        clock: seconds, for the times in the result.
        start: what the clock said when the question was sent.
        tell: called with the answer whenever it has grown.

    Raises:
        Failure: the event failed on the server, or the stream ended before the answer was complete.

    """
    turn = Turn()
    data: list[Any] = []
    for event in events:
        kind = event.get("msg")
        output = event.get("output") or {}
        if kind in ("process_generating", "process_completed"):
            if not event.get("success", True):
                reason = output.get("error") or "no reason shown to the page"
                raise Failure(f"the chat is dead: its event failed ({reason})", "an answer", READ_LOG)
            news = output.get("data")
            if news:
                # After the first, a generating event holds edits, one list for each output.
                edits = kind == "process_generating" and bool(data)
                pairs = zip(data, news)  # noqa: B905 - Python 3.8 has no strict
                data = [apply_diff(old, new) for old, new in pairs] if edits else list(news)
            messages = find_messages(data)
            if messages is not None:
                turn.messages = messages
                text = turn.answer
                if text and (not turn.partials or text != turn.partials[-1]):
                    turn.partials.append(text)
                    if tell is not None:
                        tell(text)
                    if turn.first_seconds is None:
                        turn.first_seconds = clock() - start
            if kind == "process_completed":
                turn.seconds = clock() - start
                return turn
        elif kind in ("unexpected_error", "queue_full"):
            raise Failure(f"the page's queue failed: {event.get('message', kind)}", "an answer", READ_LOG)
    raise Failure("the stream of events ended before the answer was complete", "a completed answer", READ_LOG)


def parse_events(lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of the ``data:`` lines of an event stream; other lines carry nothing here."""
    for line in lines:
        if line.startswith(b"data:"):
            try:
                event = json.loads(line[5:])
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


def password_path(home: str) -> str:
    """Return where role web_demo keeps the password of the page of an installation."""
    return os.path.join(home, "state", "page_password")


def stored_password(home: str) -> str:
    """Return the password of the page of an installation, empty for none."""
    try:
        with open(password_path(home), encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return ""


class Page:
    """A session with the page at ``url``. All requests go straight to its address: no proxy, no name look-up service.

    Args:
        url: ``http://HOST:PORT``.
        timeout: seconds for each request, and for a whole answer.
        password: of the user chatglm, where the page asks for it; for the API its key.

    """

    def __init__(self, url: str, timeout: float, password: str = "") -> None:
        """Remember the address; nothing is sent yet."""
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.timeout = timeout
        self.session = uuid.uuid4().hex[:12]
        self.password = password
        self.credentials: dict[str, str] = {}

    def _open(self, method: str, path: str, body: Any = None, timeout: float | None = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout or self.timeout)
        headers = {**self.credentials, **({"Content-Type": "application/json"} if body is not None else {})}
        connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
        return connection.getresponse()

    def status(self) -> int:
        """Return the status of GET /, or 0 when nothing answers yet."""
        return self.status_of("/")

    def status_of(self, path: str) -> int:
        """Return the status of GET ``path``, or 0 when nothing answers yet."""
        try:
            with self._open("GET", path, timeout=5) as response:
                response.read()
                return response.status
        except (OSError, http.client.HTTPException):
            return 0

    def open(self, seconds: float) -> None:
        """Wait, for ``seconds`` at most, for what only a first visitor sets off; here that is nothing."""

    def close(self) -> None:
        """End the session; the server keeps nothing of it here."""

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        with self._open(method, path, body) as response:
            text = response.read().decode("utf-8", "replace")
            if response.status != 200:
                raise Failure(f"{method} {path} answered {response.status}: {text[:300]}", "status 200", READ_LOG)
            try:
                return json.loads(text)
            except ValueError:
                raise Failure(f"{method} {path} answered no JSON: {text[:80]!r}", "gradio's JSON", READ_LOG) from None

    def _sign_in(self) -> None:
        """Exchange the password for a cookie, as the page's form does.

        Raises:
            Failure: it is not the right one.
            OSError: the connection broke.

        """
        form = urllib.parse.urlencode({"username": USER, "password": self.password})
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        connection.request("POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
        with connection.getresponse() as response:
            response.read()
            if response.status != 200:
                raise Failure(
                    f"POST /login answered {response.status}", f"the password of {USER}", "run the play again"
                )
            values = response.headers.get_all("Set-Cookie") or []
            self.credentials["Cookie"] = "; ".join(value.partition(";")[0] for value in values)

    def endpoint(self) -> Endpoint:
        """Read ``/config`` and find the event that answers.

        Raises:
            Failure: the page cannot be read, or has no such event.

        """
        try:
            if self.password and not self.credentials:
                self._sign_in()
            config = self._json("GET", "/config")
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"GET /config failed: {error!r}", "the page's configuration", READ_LOG) from error
        if not isinstance(config, dict):
            raise Failure("GET /config answered no object", "the page's configuration", READ_LOG)
        return find_endpoint(config)

    def ask(
        self,
        endpoint: Endpoint,
        question: str,
        messages: list[dict[str, Any]],
        max_length: int,
        tell: Callable[[str], object] | None = None,
    ) -> Turn:
        """Send ``question`` and read the answer to its end; ``tell`` is called whenever it has grown.

        Raises:
            Failure: no complete answer within the timeout, or the server says that it failed.

        """
        start = time.monotonic()
        body = {
            "data": build_data(endpoint.inputs, question, messages, max_length),
            "event_data": None,
            "fn_index": endpoint.index,
            "trigger_id": endpoint.trigger,
            "session_hash": self.session,
        }
        path = f"{endpoint.prefix}/queue/data?session_hash={self.session}"
        try:
            self._json("POST", f"{endpoint.prefix}/queue/join", body)
            with self._open("GET", path) as response:
                return follow(parse_events(self._lines(response, start + self.timeout)), time.monotonic, start, tell)
        except TimeoutError:
            raise Failure(
                f"no complete answer from the page within {self.timeout:.0f} s",
                "a completed answer",
                "look at the log below; on a slow machine raise smoke_test_answer_timeout",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"the connection to the page broke: {error!r}", "a completed answer", READ_LOG) from error

    def converse(self, question: str, prompt_tokens: int, max_new_tokens: int) -> tuple[Turn, Turn]:
        """Ask twice in one conversation, and return both turns.

        Args:
            question: asked both times.
            prompt_tokens: length of the question's prompt in tokens.
            max_new_tokens: length of an answer, at most.

        Raises:
            Failure: as :meth:`endpoint` and :meth:`ask`.

        """
        endpoint, limit = self.endpoint(), prompt_tokens + max_new_tokens
        first = self.ask(endpoint, question, [], limit)
        return first, self.ask(endpoint, question, first.messages, limit)

    def _lines(self, response: http.client.HTTPResponse, deadline: float) -> Iterator[bytes]:
        while True:
            # gradio sends a heartbeat every 15 s, so the deadline is seen even while no answer comes.
            if time.monotonic() > deadline:
                raise TimeoutError
            line = response.readline()
            if not line:
                return
            yield line


class Api(Page):
    """A client of ``openai_api.py``, which shows its key with every request."""

    PATH = "/v1/chat/completions"

    def __init__(self, url: str, timeout: float, password: str = "") -> None:
        """Remember the address; nothing is sent yet."""
        super().__init__(url, timeout, password)
        if password:
            self.credentials["Authorization"] = f"Bearer {password}"

    def endpoint(self) -> Endpoint:
        """Return where the API answers, which is known."""
        return Endpoint(0, None, [], "")

    def ask(
        self,
        endpoint: Endpoint,
        question: str,
        messages: list[dict[str, Any]],
        max_length: int,
        tell: Callable[[str], object] | None = None,
    ) -> Turn:
        """Send ``question`` and read the answer to its end; ``tell`` is called whenever it has grown.

        Raises:
            Failure: no complete answer within the timeout, or not in OpenAI's form.

        """
        asked = [*messages, {"role": "user", "content": question}]
        with self._explained():
            return self._stream(self._body(asked, max_length=max_length), tell)

    def converse(self, question: str, prompt_tokens: int, max_new_tokens: int) -> tuple[Turn, Turn]:
        """Ask for a streamed answer, and in the same conversation for one in one piece.

        Raises:
            Failure: as :meth:`ask`, or a key is not asked for.

        """
        asked = {"role": "user", "content": question}
        with self._explained():
            self._try_the_door()
            first = self._stream(self._body([asked], max_tokens=max_new_tokens), None)
            whole = self._json("POST", self.PATH, self._body([*first.messages, asked], max_tokens=max_new_tokens))
            answer = whole["choices"][0]["message"]["content"]
            messages = [*first.messages, asked, {"role": "assistant", "content": answer}]
            return first, Turn(partials=[answer], messages=messages)

    def _body(self, messages: list[dict[str, Any]], **limits: int) -> dict[str, Any]:
        return {"model": "chatglm2-6b", "messages": messages, "temperature": 0, **limits}

    def _try_the_door(self) -> None:
        """Ask without the key, where there is one.

        Raises:
            Failure: the API lets in who has none.

        """
        stranger, path = copy.copy(self), "/v1/models"
        stranger.credentials = {}
        if self.password and (status := stranger.status_of(path)) != 401:
            raise Failure(f"GET {path} without the key answered {status}", "status 401", "run the play again")

    def _stream(self, body: dict[str, Any], tell: Callable[[str], object] | None) -> Turn:
        """Ask for a streamed answer.

        Raises:
            Failure: the server says that it failed, or the stream ended before the answer was complete.

        """
        turn, answer, ended, start = Turn(), "", "", time.monotonic()
        with self._open("POST", self.PATH, {**body, "stream": True}) as response:
            if response.status != 200:
                text = response.read().decode("utf-8", "replace")[:300]
                remedies = {400: "begin a new conversation", 401: "run the play again"}
                remedy = remedies.get(response.status, READ_LOG)
                raise Failure(f"POST {self.PATH} answered {response.status}: {text}", "status 200", remedy)
            for event in parse_events(self._lines(response, start + self.timeout)):
                if "error" in event:
                    raise Failure(f"the API has failed: {event['error']['message']}", "a completed answer", READ_LOG)
                choice = event["choices"][0]
                ended = choice.get("finish_reason") or ended
                if text := choice["delta"].get("content"):
                    answer += text
                    turn.partials.append(answer)
                    turn.first_seconds = turn.first_seconds or time.monotonic() - start
                    if tell is not None:
                        tell(answer)
        if not ended:
            raise Failure("the answer's stream ended without a finish_reason", "a completed answer", READ_LOG)
        turn.seconds = time.monotonic() - start
        turn.messages = [*body["messages"], {"role": "assistant", "content": answer}]
        return turn

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what a broken connection or a strange answer means.

        Raises:
            Failure: instead of what was raised.

        """
        try:
            yield
        except TimeoutError:
            raise Failure(
                f"no complete answer from the API within {self.timeout:.0f} s",
                "a completed answer",
                "look at the log below; on a slow machine raise smoke_test_answer_timeout",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"the connection to the API broke: {error!r}", "a completed answer", READ_LOG) from error
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise Failure(f"an answer of another form ({error!r})", "OpenAI's chat completion", READ_LOG) from error
