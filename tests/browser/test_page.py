"""The chat page as a person uses it: real Chromium against the demo that site.yml has just installed."""

import time

import pytest
from conftest import ARTIFACTS
from playwright.sync_api import expect

# Notes the length of the newest answer at each change of the page, so that no step of a quick stream is missed.
WATCH = """() => {
    window.lengths = [];
    new MutationObserver(() => {
        const bots = document.querySelectorAll('[data-testid="bot"]');
        if (bots.length) window.lengths.push(bots[bots.length - 1].innerText.trim().length);
    }).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""


@pytest.fixture
def page(web_demo, open_tab):
    """Return an empty chat."""
    return open_tab(web_demo[0])


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
