"""web_demo2.py under streamlit as a person uses it: real Chromium against the installed demo."""

import http.client
import time

from conftest import ARTIFACTS
from playwright.sync_api import expect

expect.set_options(timeout=60_000)  # the first visitor waits for the model
# Notes the length of the newest answer at each change of the page, so that no step of a quick stream is missed.
WATCH = """() => {
    window.lengths = [];
    new MutationObserver(() => {
        const bubbles = document.querySelectorAll('[data-testid="stChatMessage"]');
        if (bubbles.length) window.lengths.push(bubbles[bubbles.length - 1].innerText.trim().length);
    }).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""


def send(tab, text):
    """Type a question, press the button, and return the lengths that the answer went through."""
    box = tab.get_by_label("用户命令输入")
    box.fill(text)
    box.press("Control+Enter")
    # Each act of the user runs the script again; only a settled page takes the next one.
    time.sleep(2)
    tab.evaluate(WATCH)
    tab.get_by_role("button", name="发送").click()
    return box


def test_chat(streamlit, open_tab):
    tab = open_tab(streamlit[0])
    bubbles = tab.get_by_test_id("stChatMessage")
    expect(bubbles).to_have_count(2)
    send(tab, "你好")
    expect(bubbles.nth(0)).to_contain_text("你好")
    expect(bubbles.last).to_contain_text("true weights.")
    assert len(set(tab.evaluate("window.lengths"))) >= 3, "the answer did not grow step by step"
    tab.screenshot(path=ARTIFACTS / "streamlit-first-turn.png")

    send(tab, "什么是 int4 量化？")
    expect(bubbles).to_have_count(4)
    expect(bubbles.nth(1)).to_contain_text("true weights.")
    expect(bubbles.last).to_contain_text("real model.")
    tab.screenshot(path=ARTIFACTS / "streamlit-second-turn.png")
    print(f"\nscreenshots: {ARTIFACTS}/streamlit-*.png")


def test_no_other_web_page_gets_in(streamlit):
    """A page of another origin gets no socket, and at once: no host outside is asked for this one's address."""

    here = streamlit[0].removeprefix("http://")

    def handshake(origin, host=here):
        connection = http.client.HTTPConnection(here, timeout=60)
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==", "Origin": origin, "Host": host}
        start = time.monotonic()
        connection.request("GET", "/_stcore/stream", headers={**upgrade, **key})
        status = connection.getresponse().status
        connection.close()
        return status, time.monotonic() - start

    assert handshake(streamlit[0])[0] == 101
    # The last one: a page of a host whose name was made to point here.
    for origin, host in [("http://evil.example", here), ("null", here), ("http://evil.example", "evil.example")]:
        status, seconds = handshake(origin, host)
        assert (origin, host, status) == (origin, host, 403)
        assert seconds < 3
