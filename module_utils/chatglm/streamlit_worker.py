"""Run the streamlit script in this process, through streamlit's own test client, ask it twice, report the answers.

Runs in the virtualenv's Python; the module int4_smoke_test pipes this source to it and gives the request as the one
argument: ``script`` (path), ``question``, ``max_length``, ``timeout`` (seconds for a run of the script). One marked
line (``MARK`` and a JSON object) comes back. What a browser adds, a websocket and a
page drawn by JavaScript, is not seen.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

MARK = "@@chatglm-smoke@@ "
# As the launcher runs it: the script's folder comes last.
STUB = """
import sys
if (folder := sys.argv[1].rpartition("/")[0]) not in sys.path:
    sys.path.append(folder)
exec(compile(open(sys.argv[1], "rb").read(), sys.argv[1], "exec"))
"""


def texts(app: Any, name: str) -> list[str]:
    """Return the texts in the bubbles of ``name``; a bubble without one is left out."""
    found = ("\n".join(part.value for part in bubble.markdown) for bubble in app.chat_message if bubble.name == name)
    return [text for text in found if text.strip()]


def converse(request: dict[str, Any]) -> dict[str, Any]:
    """Ask twice, with the likeliest tokens only, and return what is in the bubbles."""
    client = importlib.import_module("streamlit.testing.v1").AppTest  # in the virtualenv alone

    def check(app: Any) -> Any:
        if app.exception:
            raise RuntimeError(app.exception[0].message)
        return app

    sys.argv = ["page", request["script"]]
    app = check(client.from_string(STUB, default_timeout=request["timeout"]).run())
    for slider in app.sidebar.slider:
        if slider.label in ("max_length", "top_p"):
            slider.set_value(request["max_length"] if slider.label == "max_length" else 0.0)
    report: dict[str, Any] = {}
    for answer in ("answer", "second_answer"):
        started = time.monotonic()
        app.text_area[0].set_value(request["question"])
        app = check(app.button[0].click().run())
        replies = texts(app, "assistant")
        report[answer] = replies[-1] if replies else ""
        report.setdefault("answer_seconds", round(time.monotonic() - started, 3))
    return {**report, "bot_messages": len(replies)}


def main(argument: str) -> None:
    """Report, or end with the traceback that says why not."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    report = converse(json.loads(argument))
    answers.write(MARK + json.dumps({"report": report}) + "\n")
    answers.flush()
    os._exit(0)  # the script's thread is of no further use


if __name__ == "__main__":
    main(sys.argv[1])
