"""Imports packages one by one and builds the tokenizer; runs under the virtualenv's Python, asked by library/doctor.py.

Nothing here hides a reason: upstream's code swallows the failed import of cpm_kernels and fails at the first token.
Requests are lines of JSON on standard input, each answered by a line on standard output after :data:`MARK`:
``{"imports": [names], "cuda": bool}`` and ``{"tokenizer": folder, "text": text}``.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
from typing import Any

MARK = "@@chatglm-doctor@@ "
PACKAGES = ("torch", "transformers", "gradio", "sentencepiece", "setuptools", "cpm_kernels")


def versions() -> dict[str, str]:
    """Return the version of Python and of the packages that matter; absent ones are left out."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def told(error: BaseException) -> str:
    """Return an exception's class and first line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def import_all(names: list[str], cuda: bool) -> dict[str, Any]:
    """Import each module; return the versions, the error of each (empty for none), and what torch says of CUDA."""
    answer: dict[str, Any] = {"versions": versions(), "modules": {}, "cuda": {}}
    for name in names:
        answer["modules"][name] = ""
        try:
            importlib.import_module(name)
        except BaseException as error:  # whatever it is, it is what the chat would meet
            answer["modules"][name] = told(error)
    if cuda and not answer["modules"].get("torch"):
        try:
            torch = importlib.import_module("torch")
            answer["cuda"] = {"build": torch.version.cuda, "available": False}
            torch.cuda.init()
            answer["cuda"]["available"] = bool(torch.cuda.is_available())
        except Exception as error:
            answer["cuda"]["error"] = told(error)
    return answer


def tokenize(folder: str, text: str) -> dict[str, Any]:
    """Build the tokenizer of the model in ``folder`` and take ``text`` apart and together again."""
    try:
        transformers = importlib.import_module("transformers")
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        tokens = tokenizer.encode(text, add_special_tokens=False)
        back = tokenizer.decode(tokens).strip()
        if back != text:
            return {"error": f"{text!r} came back as {back!r}"}
    except Exception as error:
        return {"error": told(error)}
    return {"error": "", "tokens": len(tokens), "text": text}


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    for line in sys.stdin:
        request = json.loads(line)
        if "imports" in request:
            answer = import_all(request["imports"], request["cuda"])
        else:
            answer = tokenize(request["tokenizer"], request["text"])
        answers.write(MARK + json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
