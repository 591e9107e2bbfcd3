"""A pretended streamlit_worker, and behind it no streamlit but a page like web_demo2.py that a test has planned.

Invented for these tests after streamlit 1.56; the true worker and the true server answer in tests/browser.
"""

import json
import sys
import time
import urllib.request


def say(**message):
    print(json.dumps(message), flush=True)


def draw(path, kind, block=False, **content):
    """A part of the page at its place; real parts have sizes beside."""
    part = {kind: content, "width_config": {"use_stretch": True}}
    say(metadata={"delta_path": path}, delta={"add_block" if block else "new_element": part})


class Session:
    """One visitor."""

    def __init__(self, url, kind, answer):
        self.url, self.kind, self.answer, self.history = url, kind, answer, []

    def serve(self):
        if self.kind == "refused":
            say(refused=403)
        if self.kind == "no client":
            sys.exit("ModuleNotFoundError: No module named 'tornado'")
        for line in sys.stdin:
            widgets = json.loads(line)["rerun_script"]["widget_states"]["widgets"]
            self.script({widget.pop("id"): widget for widget in widgets})
            say(script_finished="FINISHED_SUCCESSFULLY")

    def bubbles(self):
        for turn, texts in enumerate([*self.history, None]):
            for side, name in enumerate(("user", "assistant")):
                path = [0, 2 * turn + side]
                draw(path, "chat_message", block=True, name=name)
                draw([*path, 0], **{"kind": "markdown", "body": texts[side]} if texts else {"kind": "empty"})

    def script(self, states):
        say(new_session={})
        if self.kind == "raises":
            draw([0, 0], "exception", type="OSError", message="no file named pytorch_model.bin")
        if self.kind == "loads for ever":
            time.sleep(300)
        if self.kind == "odd":
            say(delta={"new_element": {}})
        if self.kind == "noise":
            print("no JSON", flush=True)
        for at, label in enumerate(("max_length", "top_p", "temperature")):
            draw([1, at], "slider", id=label, label=label)
        self.bubbles()
        draw([0, 100], "text_area", id="area")
        if self.kind != "no button":
            draw([0, 101], "button", id="button")
        if "button" in states:
            self.reply(states)

    def reply(self, states):
        question = states["area"]["string_value"]
        assert states == {
            "area": {"string_value": question},
            "button": {"trigger_value": True},
            "max_length": {"double_array_value": {"data": [14 + 48]}},
            "top_p": {"double_array_value": {"data": [0]}},
        }
        if self.kind == "silent":
            time.sleep(300)
        if self.kind == "crash":
            try:
                urllib.request.urlopen(f"{self.url}/crash")
            except OSError:
                say(broken="ConnectionError('the server closed it: no reason')")
        place, answer = 2 * len(self.history), self.answer
        if self.kind == "dead in the second turn" and self.history:
            answer = ""
        draw([0, place, 0], "markdown", body=question)
        time.sleep(0.01)  # the first token takes a while, which the proof rounds to milliseconds
        for cut in [len(answer)] if self.kind == "no growth" else range(1, len(answer) + 1):
            if self.kind == "dead":
                draw([0, 102], "exception", type="RuntimeError", message="CUDA error")
            if self.kind == "cut" and cut > 3:
                say(broken="ConnectionError('the server closed it: enough')")
            draw([0, place + 1, 0], "markdown", body=answer[:cut])
        self.history.append((question, answer))
