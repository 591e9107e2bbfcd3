"""The chat page as a person uses it: real Chromium against the demo that site.yml has just installed."""

import pytest
from conftest import ARTIFACTS, growth
from playwright.sync_api import expect


@pytest.fixture
def page(web_demo, open_tab):
    """Return an empty chat."""
    return open_tab(web_demo[0])


def send(page, url, text, turn, end):
    """Type a question, press Submit, and return the texts that the answer went through until ``end``."""
    page.get_by_placeholder("Input...").fill(text)
    page.get_by_role("button", name="Submit", exact=True).click()
    grown = growth(page, url, "bot", turn - 1, end)
    expect(page.locator('[data-testid="bot"]')).to_have_count(turn)
    expect(page.locator('[data-testid="user"]').nth(turn - 1)).to_contain_text(text)
    return grown


def test_chat(web_demo, page):
    url = web_demo[0]
    first = send(page, url, "你好", 1, "true weights.")
    page.screenshot(path=ARTIFACTS / "page-first-turn.png")
    assert len(first) >= 3, f"the answer did not grow step by step: {first}"
    assert page.get_by_placeholder("Input...").input_value() == ""

    before = page.locator('[data-testid="bot"]').first.inner_text()
    send(page, url, "再说一遍", 2, "I do not have.")
    page.screenshot(path=ARTIFACTS / "page-second-turn.png")
    assert page.locator('[data-testid="bot"]').first.inner_text() == before

    page.get_by_role("button", name="Clear History").click()
    expect(page.locator('[data-testid="bot"]')).to_have_count(0)
    expect(page.locator('[data-testid="user"]')).to_have_count(0)
    page.screenshot(path=ARTIFACTS / "page-cleared.png")

    # A chat after Clear starts from nothing.
    send(page, url, "你好", 1, "true weights.")
    print(f"\nscreenshots: {ARTIFACTS}/page-*.png")
