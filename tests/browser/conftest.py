"""The demo, installed by the site's own play with one app after the other, and a tab of real Chromium to look at it."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from ansible.module_utils.chatglm.core.processes import listener
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".cache" / "browser" / "home"
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
# Runs a script as the launcher does; says what settings reach the model, is slow where top_p is 0.125, and fails in the
# middle where it is 0.375.
TOLD = """
import runpy, sys, time, transformers
sys.path.append(sys.argv[1].rpartition("/")[0])
mixin, processors = transformers.GenerationMixin, transformers.LogitsProcessorList
warper, process, pause, left = mixin._get_logits_warper, processors.__call__, [0], [0]
def told(self, config, *rest):
    print("asked:", config.max_length, config.do_sample, config.top_p, config.temperature, flush=True)
    pause[0], left[0] = 1.5 if config.top_p == 0.125 else 0, 8 if config.top_p == 0.375 else 0
    return warper(self, config, *rest)
def slow(self, *args, **kwargs):
    time.sleep(pause[0])
    left[0] -= 1
    if not left[0]:
        raise ValueError("planted")
    return process(self, *args, **kwargs)
mixin._get_logits_warper, processors.__call__ = told, slow
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# The text of a bubble, once the page has painted what had come until then.
PAINTED = """([chat, index]) => new Promise(done => requestAnimationFrame(() => setTimeout(() => {
    const bubble = document.querySelectorAll(`[data-testid="${chat}"]`)[index];
    done(bubble ? bubble.innerText.trim() : "");
})))"""


def growth(tab, url, chat, index, end):
    """Return the texts that the answer goes through, until one holds ``end``.

    The server computes in slices, and the page paints after each: how quick either of them is does not matter.

    Args:
        tab: where a question has just been sent.
        url: the server's address.
        chat: test id of the bubbles.
        index: place of the answer's bubble among them.
        end: words with which the answer is complete.

    """
    pid, texts, limit = listener(int(url.rpartition(":")[2]))[0], [""], time.monotonic() + 120
    try:
        while end not in texts[-1]:
            assert time.monotonic() < limit, texts
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.02)
            os.kill(pid, signal.SIGSTOP)
            text = tab.evaluate(PAINTED, [chat, index])
            if text != texts[-1]:
                texts.append(text)
    finally:
        os.kill(pid, signal.SIGCONT)
    return texts[1:]


def wait_for(url, demo, log):
    for _ in range(240):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            assert demo.poll() is None, f"the demo ended: see {log}"
            time.sleep(0.5)
    raise AssertionError(f"no answer at {url} within 120 s")


def play(app, port, **settings):
    """Run the site's play for the demo; return which roles have changed something, and all that it said."""
    given = {"home": str(HOME), "port": port, "app": app, **settings}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as stream:  # a password is no argument
        json.dump({f"chatglm_{name}": value for name, value in given.items()}, stream)
        stream.flush()
        command = ["ansible-playbook", "site.yml", "-i", "inventory/demo", "-e", f"@{stream.name}"]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    return set(re.findall(r"^  (\w+) .* changed$", done.stdout, re.MULTILINE)), done.stdout


def install(app):
    """Install the demo with ``app`` by the site's own play, which then has nothing more to do; gives its address."""
    port = free_port()
    # A port of its own at every run: it is one of the settings that the app has to follow.
    play(app, port)
    again = play(app, port)[1]
    assert "nothing: all is as it was when it was proven" in again, again
    assert "changed=0" in again, again
    return f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def launched(url, log, *command):
    """Have the demo's launcher run ``command``, the page without one, until the end."""
    with open(log, "wb") as stream:
        demo = subprocess.Popen(
            [HOME / "bin" / "chatglm-run", *command], stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            wait_for(url + "/", demo, log)
            yield
        finally:
            os.killpg(demo.pid, signal.SIGTERM)
            demo.wait(30)


@contextlib.contextmanager
def installed(app, *command):
    """Install the demo with ``app``, start its launcher (with a command) until the end; gives its address and log."""
    url, log = install(app), ARTIFACTS / f"{app}.log"
    with launched(url, log, *command):
        yield url, log


@pytest.fixture(scope="module")
def api():
    with installed("openai_api", "python", "-I", "-c", TOLD, HOME / "source" / "openai_api.py") as started:
        yield started


@pytest.fixture(scope="module")
def streamlit():
    """Run it in the background, as the service does without systemd; gives its address."""
    url = install("streamlit")
    subprocess.run([HOME / "bin" / "chatglm", "start"], check=True, timeout=120)
    yield url
    subprocess.run([HOME / "bin" / "chatglm", "stop"], check=True, timeout=60)


@pytest.fixture(scope="module")
def web_demo():
    with installed("web_demo") as started:
        yield started


@pytest.fixture
def open_tab():
    """Return a function that opens an address; what is asked from elsewhere, and any script error, fails the test."""
    outside, errors = [], []

    def record(request):
        if not re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:", request.url):
            outside.append(request.url)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)

        def opened(url):
            tab = browser.new_page(viewport={"width": 1280, "height": 1400}, locale="zh-CN")
            tab.set_default_timeout(60_000)
            tab.on("request", record)
            tab.on("websocket", record)
            tab.on("pageerror", lambda error: errors.append(str(error)))
            tab.goto(url)
            return tab

        yield opened
        browser.close()
    assert outside == []
    assert errors == []
