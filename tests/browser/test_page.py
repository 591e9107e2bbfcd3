"""The chat page as a person uses it: real Chromium against the demo that site.yml has just installed."""

import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "browser"
ARTIFACTS = ROOT / ".cache" / "artifacts"
# Chromium must not look for updates or names by itself; what the page asks for is recorded below.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
# Notes the length of the newest answer at each change of the page, so that no step of a quick stream is missed.
WATCH = """() => {
    window.lengths = [];
    new MutationObserver(() => {
        const bots = document.querySelectorAll('[data-testid="bot"]');
        if (bots.length) window.lengths.push(bots[bots.length - 1].innerText.trim().length);
    }).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def page_url():
    """Install the demo with the site's own play, start its launcher, and stop it at the end."""
    port = free_port()
    home = CACHE / "home"
    # A port of its own at every run: it is one of the settings that the page has to follow.
    settings = [f"-echatglm_home={home}", f"-echatglm_port={port}"]
    play = ["ansible-playbook", "site.yml", "-i", "inventory/demo", *settings]
    subprocess.run(play, cwd=ROOT, check=True)
    again = subprocess.run(play, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "nothing: all is as it was when it was proven" in again, again
    assert "changed=0" in again, again
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}/"
    with open(ARTIFACTS / "web_demo.log", "wb") as log:
        demo = subprocess.Popen([home / "bin" / "chatglm-run"], stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(url, demo)
            yield url
        finally:
            os.killpg(demo.pid, signal.SIGTERM)
            demo.wait(30)


def wait_for(url, demo):
    for _ in range(240):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            assert demo.poll() is None, f"the demo ended: see {ARTIFACTS}/web_demo.log"
            time.sleep(0.5)
    raise AssertionError(f"no answer at {url} within 120 s")


@pytest.fixture
def page(page_url):
    """Return an empty chat; whatever it asks from elsewhere than this machine, and any script error, fails the test."""
    outside, errors = [], []

    def record(request):
        if not re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:", request.url):
            outside.append(request.url)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        tab = browser.new_page(viewport={"width": 1280, "height": 1400}, locale="zh-CN")
        tab.set_default_timeout(60_000)
        tab.on("request", record)
        tab.on("websocket", record)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page_url)
        yield tab
        browser.close()
    assert outside == []
    assert errors == []


def send(page, text, turn):
    """Type a question, press Submit, and return the lengths that the answer went through."""
    page.get_by_placeholder("Input...").fill(text)
    page.evaluate(WATCH)
    page.get_by_role("button", name="Submit", exact=True).click()
    bots = page.locator('[data-testid="bot"]')
    expect(bots).to_have_count(turn)
    expect(page.locator('[data-testid="user"]').nth(turn - 1)).to_contain_text(text)
    settled, still = -1, 0
    for _ in range(600):  # at most two minutes: the answer is complete when it stays the same for three seconds
        length = len(bots.nth(turn - 1).inner_text().strip())
        still = still + 1 if length == settled and length else 0
        settled = length
        if still == 15:
            break
        time.sleep(0.2)
    return sorted(set(page.evaluate("window.lengths")))


def test_chat(page):
    first = send(page, "你好", 1)
    page.screenshot(path=ARTIFACTS / "page-first-turn.png")
    assert len(first) >= 3, f"the answer did not grow step by step: lengths {first}"
    assert page.get_by_placeholder("Input...").input_value() == ""

    before = page.locator('[data-testid="bot"]').first.inner_text()
    second = send(page, "再说一遍", 2)
    page.screenshot(path=ARTIFACTS / "page-second-turn.png")
    assert second[-1] > 0
    assert page.locator('[data-testid="bot"]').first.inner_text() == before

    page.get_by_role("button", name="Clear History").click()
    expect(page.locator('[data-testid="bot"]')).to_have_count(0)
    expect(page.locator('[data-testid="user"]')).to_have_count(0)
    page.screenshot(path=ARTIFACTS / "page-cleared.png")

    # A chat after Clear starts from nothing.
    send(page, "你好", 1)
    print(f"\nscreenshots: {ARTIFACTS}/page-*.png")
