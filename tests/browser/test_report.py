"""The report in real Chromium: laptop and phone, light and dark, both languages; it asks for and runs nothing."""

import sys
from pathlib import Path

import pytest
from ansible.module_utils.chatglm.report import report_page
from conftest import ARTIFACTS, FLAGS, ROOT
from playwright.sync_api import sync_playwright

sys.path.append(str(ROOT / "tests" / "unit"))
import report_sample

LONG = "w" * 300
HOSTILE = "<script>alert(1)</script><img src=http://127.0.0.1:9/ onerror=alert(2)>"


def pages(folder):
    """Write the sample in both languages, one of hostile and endless words, and the demo's own if there is one."""
    hostile = report_sample.host(lines=[f"done      {HOSTILE}{LONG}"], failure=LONG, digests={"source": LONG})
    hostile["proof"]["model"]["answer"] = HOSTILE + LONG
    hostile["steps"].append(report_sample.step(LONG, HOSTILE, 900.0, "failed"))
    data = {
        "en": (report_sample.data(), "en"),
        "zh": (report_sample.data(), "zh"),
        "hostile": (report_sample.data(**{LONG: hostile, HOSTILE: report_page.blank()}), "en"),
    }
    for name, (told, language) in data.items():
        path = Path(folder) / f"{name}.html"
        path.write_text(report_page.page(told, language), encoding="utf-8")
        yield name, path
    if (ROOT / "report.html").exists():
        yield "demo", ROOT / "report.html"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_report(browser, tmp_path, width, scheme):
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    for name, path in pages(tmp_path):
        requests, told = [], []
        tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        tab.on("request", lambda request, into=requests: into.append(request.url))
        tab.on("console", lambda message, into=told: into.append(message.text))
        tab.on("pageerror", lambda error, into=told: into.append(str(error)))
        tab.on("dialog", lambda dialog, into=told: (into.append(dialog.message), dialog.dismiss()))
        tab.goto(path.as_uri())
        assert requests == [path.as_uri()], name
        assert told == [], name
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, name
        # The style sheet's digest is the one that the page's own policy allows.
        background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(245, 246, 248)", "dark": "rgb(17, 20, 24)"}[scheme], name
        drawn = tab.locator("figure svg polyline").first
        if name in ("en", "zh"):
            assert drawn.bounding_box()["width"] > width / 3
            assert drawn.bounding_box()["height"] > 10
            assert tab.get_by_role("img").count() == 2
            assert tab.get_by_role("heading", level=3).count() == 8
        tab.screenshot(path=ARTIFACTS / f"report-{name}-{width}-{scheme}.png", full_page=True)
        tab.close()
