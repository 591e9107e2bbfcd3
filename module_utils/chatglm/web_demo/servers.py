"""Edits of what serves an API: api.py and openai_api.py.

pydantic 2 refuses ``.json(ensure_ascii=False)``; ``.model_dump_json()`` never escapes.
"""

from __future__ import annotations

import ast

from . import signatures
from .edit import Settings, Source, is_method, last_name
from .script_calls import settle, table


def edit_servers(source: Source, settings: Settings) -> None:
    """Note the edits at ``uvicorn.run`` and at pydantic's old ``.json``.

    Raises:
        Refused: an argument of ``uvicorn.run`` that the pinned version does not take.

    """
    for call in source.calls:
        if is_method(call, "run") and last_name(call.func.value) == "uvicorn":
            _edit_run(source, settings, call)
        elif is_method(call, "json") and not call.args:
            names = {keyword.arg for keyword in call.keywords}
            if not names & {"ensure_ascii", "exclude_unset"}:
                continue
            source.edit(*source.method_name(call), "model_dump_json", "pydantic")
            for keyword in call.keywords:
                if keyword.arg == "ensure_ascii":
                    source.remove_argument(call, keyword, "pydantic")


def _edit_run(source: Source, settings: Settings, call: ast.Call) -> None:
    values: dict[str, str | int | bool] = {"host": settings.listen, "port": settings.port}
    if any(isinstance(node, ast.ClassDef) and node.name == "ChatCompletionRequest" for node in source.tree.body):
        values["timeout_graceful_shutdown"] = 3  # to stop it does not wait for the end of an answer
    # Each worker would load the model once more, and of an app that is given as an object there is one only.
    alone = {"workers": 1, "reload": False}
    values |= {keyword.arg: alone[keyword.arg] for keyword in call.keywords if keyword.arg in alone}
    source.set_keywords(call, values, "listen")
    pinned = table(signatures.UVICORN)["run"]
    assert pinned is not None
    settle(source, call, "uvicorn.run", pinned=pinned, classic=None, package=f"uvicorn {signatures.UVICORN_VERSION}")
