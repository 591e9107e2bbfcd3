"""The part browser: the chat page in Chromium."""

import sys

from conftest import ROOT, show

PROGRAMS = {
    "/usr/bin/chromium": "chromium",
    "git": "git",
    # 1.6 MB; without a Chinese font the screenshots show boxes.
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc": "fonts-wqy-microhei",
}


def test_browser(need):
    need(PROGRAMS, "browser")
    show(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-s", ROOT / "tests" / "browser")
