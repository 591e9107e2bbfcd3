"""openai_api.py as the launcher starts it, asked by the openai client from PyPI and by what a web page could send."""

import json
import re
import threading
import time
import urllib.error
import urllib.request

import openai
import pytest

QUESTION = [{"role": "user", "content": "你好"}]
KNOWN = "我是演示用的微型 int4 模型"
# The likeliest tokens only, so that the answer is known.
GREEDY = {"model": "tiny", "messages": QUESTION, "temperature": 0}
# What the fixture makes of these: half a second for each of some forty tokens, and an error at the eighth.
SLOW = {**GREEDY, "top_p": 0.125}
BROKEN = {**GREEDY, "top_p": 0.375}


@pytest.fixture(scope="module")
def url(api):
    return api[0]


@pytest.fixture
def api_log(api):
    return api[1]


@pytest.fixture
def client(url):
    # Without retries, which would hide what goes wrong at the first try.
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=120, max_retries=0) as client:
        yield client


def http(url, path, headers=None, data=None, method=None):
    request = urllib.request.Request(url + path, data, headers or {}, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


def test_answer(client):
    assert len(client.models.list().data) == 1
    answer = client.chat.completions.create(**GREEDY)
    assert KNOWN in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"


def test_answer_in_parts(client):
    parts = list(client.chat.completions.create(**GREEDY, stream=True))
    assert parts[0].choices[0].delta.role == "assistant"
    texts = [part.choices[0].delta.content for part in parts if part.choices[0].delta.content]
    assert len(texts) >= 3, texts
    assert "".join(texts) == client.chat.completions.create(**GREEDY).choices[0].message.content
    assert parts[-1].choices[0].finish_reason == "stop"


def test_what_the_system_says_counts(client):
    turns = [{"role": "system", "content": "量化："}, {"role": "user", "content": "那是什么？"}]
    told, alone = (
        client.chat.completions.create(**{**GREEDY, "messages": messages}).choices[0].message.content
        for messages in (turns, turns[1:])
    )
    assert told.startswith("int4 就是")
    assert not alone.startswith("int4 就是")


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_length(client, name):
    whole = client.chat.completions.create(**GREEDY).choices[0].message.content
    choice = client.chat.completions.create(**GREEDY, **{name: 4}).choices[0]
    assert choice.finish_reason == "length"
    assert 0 < len(choice.message.content) < len(whole)
    assert whole.startswith(choice.message.content)
    parts = list(client.chat.completions.create(**GREEDY, **{name: 4}, stream=True))
    assert "".join(part.choices[0].delta.content or "" for part in parts) == choice.message.content
    assert parts[-1].choices[0].finish_reason == "length"


def test_length_with_the_question(client):
    with pytest.raises(openai.BadRequestError, match=r"the messages have .* tokens, and max_length is 3"):
        client.chat.completions.create(**GREEDY, extra_body={"max_length": 3})
    choice = client.chat.completions.create(**GREEDY, extra_body={"max_length": 24}).choices[0]
    assert choice.finish_reason == "length"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "parts"])
@pytest.mark.parametrize(
    ("settings", "used"),
    [
        ({}, "8192 True 0.8 0.8"),
        ({"temperature": 1.5, "top_p": 0.25}, "8192 True 0.25 1.5"),
        ({"temperature": 0, "top_p": 0}, "8192 False 0.0 0.8"),
        ({"temperature": 2, "top_p": 1, "extra_body": {"max_length": 30}}, "30 True 1.0 2.0"),
        ({"max_tokens": 9000}, "8192 True 0.8 0.8"),
        ({"max_tokens": 9000, "extra_body": {"max_length": 20000}}, "9014 True 0.8 0.8"),
    ],
)
def test_settings_reach_the_model(client, api_log, settings, used, stream):
    answer = client.chat.completions.create(model="tiny", messages=QUESTION, **settings, stream=stream)
    assert [part.choices[0] for part in answer] if stream else answer.choices[0]
    assert re.findall(r"asked: (.*)", api_log.read_text())[-1] == used


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 1.01}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 10**9}, "max_tokens"),
        ({"max_completion_tokens": 2.5}, "max_completion_tokens"),
        ({"extra_body": {"max_length": 40000}}, "max_length"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "pirate", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user"}]}, "content"),
        ({"messages": [*QUESTION, {"role": "assistant", "content": "x"}]}, "(?i)invalid|the last message"),
        ({"messages": [{"role": "user", "content": "好" * 9000}]}, "the messages have .* tokens"),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "parts"])
def test_wrong_requests_are_refused(client, wrong, named, stream):
    with pytest.raises(openai.BadRequestError, match=named):
        client.chat.completions.create(**{**GREEDY, **wrong}, stream=stream)


HALF = json.dumps({**GREEDY, "messages": [{"role": "user", "content": "\ud800"}]}).encode()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 50000, b'{"temperature": NaN}', b"\xff", HALF])
def test_garbage_is_refused(url, body):
    status, _, text = http(url, "/v1/chat/completions", {"Content-Type": "application/json"}, body)
    assert (status, json.loads(text)["error"]["type"]) == (400, "invalid_request_error"), text


def test_an_error_of_the_model_is_told(client, api_log):
    with pytest.raises(openai.InternalServerError, match="the model failed; the log says why"):
        client.chat.completions.create(**BROKEN)
    parts, shown = client.chat.completions.create(**BROKEN, stream=True), []
    with pytest.raises(openai.APIError, match="the model failed; the log says why"):
        shown.extend(part.choices[0].delta.content for part in parts)
    assert any(shown)
    assert client.chat.completions.create(**GREEDY, max_tokens=2).choices
    assert api_log.read_text().count("ValueError: planted") >= 2


def test_one_after_the_other_and_none_for_who_has_left(client):
    """While one answer is made, the list of models is there, a second answer waits, and begins when the first ends."""
    first = client.chat.completions.create(**SLOW, stream=True)
    parts = iter(first)
    next(parts), next(parts)
    second: list[float] = []

    def ask():
        client.chat.completions.create(**GREEDY, max_tokens=4)
        second.append(time.monotonic())

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(5):
        start = time.monotonic()
        client.models.list()
        assert time.monotonic() - start < 20
        next(parts)
    assert second == []
    first.close()
    # The first answer would have taken a minute more.
    asking.join(30)
    assert second, "the answer to a client that has left still holds the model"


def test_the_whole_answer_ends_with_its_client(client):
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=1).chat.completions.create(**SLOW)
    start = time.monotonic()
    client.chat.completions.create(**GREEDY, max_tokens=4)
    assert time.monotonic() - start < 30


def test_many_at_once(client):
    """More than there are threads: none waits for a thread that a waiting one holds."""
    found: list[str] = []

    def ask():
        found.append(client.chat.completions.create(**GREEDY, max_tokens=6).choices[0].message.content)

    threads = [threading.Thread(target=ask) for _ in range(48)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(found) == 48
    assert len(set(found)) == 1


def test_no_web_page_gets_in(url):
    post, body = "/v1/chat/completions", json.dumps({**GREEDY, "max_tokens": 2}).encode()
    foreign = {"Origin": "http://evil.example", "Content-Type": "application/json"}
    status, headers, _ = http(url, post, foreign, body)
    assert (status, headers.get("access-control-allow-origin")) == (200, None)
    status, headers, _ = http(url, "/v1/models", {"Origin": "null"})
    assert (status, headers.get("access-control-allow-origin")) == (200, None)
    asked = {**foreign, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    assert http(url, post, asked, method="OPTIONS")[0] == 400
    # What a page may send without being allowed to: it must not start an answer.
    assert http(url, post, {"Origin": "http://evil.example", "Content-Type": "text/plain"}, body)[0] == 400
    # A page of a host whose name was made to point here.
    assert http(url, post, {"Host": "evil.example", "Content-Type": "application/json"}, body)[0] == 400
    assert http(url, "/v1/models", {"Host": f"localhost:{url.rpartition(':')[2]}"})[0] == 200
    assert http(url, "/docs")[0] == 404
