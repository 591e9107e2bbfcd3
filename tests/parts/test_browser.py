"""The part browser: the chat page in Chromium; then the installed demo, its model tested, tampered with and mended."""

import sys
import sysconfig

from conftest import ROOT, cannot_run, show

PROGRAMS = {
    "/usr/bin/chromium": "chromium",
    "git": "git",
    # Builds the engine's kernels for the tests, and brings gcc.
    "g++": "g++",
    # 1.6 MB; without a Chinese font the screenshots show boxes.
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc": "fonts-wqy-microhei",
}


def test_browser(need):
    need(PROGRAMS, "browser")
    show(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-s", ROOT / "tests" / "browser")


def test_tiny_model():
    python = ROOT / ".cache" / "browser" / "home" / "venv" / "bin" / "python"
    if not python.exists():
        cannot_run("browser", "the demo was not installed")
    # pytest comes from this environment, everything else from the demo's, which stands first on the path.
    borrow = f"import sys; sys.path.append({sysconfig.get_path('purelib')!r}); import pytest; sys.exit(pytest.main())"
    show(python, "-c", borrow, "-p", "no:cacheprovider", "--confcutdir", "tests/model", "tests/model")


def test_trust():
    if not (ROOT / ".cache" / "browser" / "home" / "venv" / "bin" / "python").exists():
        cannot_run("browser", "the demo was not installed")
    show(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--durations=0", ROOT / "tests" / "trust")
