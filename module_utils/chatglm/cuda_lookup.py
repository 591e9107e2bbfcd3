"""Judge what cuda_lookup_worker saw. Pure."""

from __future__ import annotations

import json
from typing import Any

REQUIRED = ("cudart", "cublasLt")
"""What the packages bring and cpm_kernels cannot do without. cuda is the driver's, nvrtc is not used by the model."""
REPORTED = (*REQUIRED, "cuda", "nvrtc")


def parse_answers(out: str, status: int, err: str = "", names: tuple[str, ...] = REPORTED) -> list[dict[str, Any]]:
    """Return one answer per library from the worker's output.

    Args:
        out: its stdout.
        status: its exit status; negative: the signal that killed it.
        err: its stderr, or why it was given up.
        names: the libraries asked for, in that order.

    """
    answers: dict[str, dict[str, Any]] = {}
    started = ""
    for line in out.splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            continue  # what a library printed on its own
        if isinstance(answer, dict) and answer.get("name") in names:
            if answer.get("started"):
                started = answer["name"]
            else:
                answers[answer["name"]] = answer
    how = f"crashed with signal {-status}" if status < -1 else err.strip()[-200:] or f"exit status {status}"
    result = []
    for name in names:
        error = f"loading it {how}" if name == started else f"not tried, as loading {started} {how}"
        empty = {"name": name, "path": "", "file": "", "version": "", "version_error": "", "error": error}
        result.append(answers.get(name, empty))
    return result


def missing(answers: list[dict[str, Any]]) -> list[str]:
    """Return the required libraries that do not load."""
    return [answer["name"] for answer in answers if answer["name"] in REQUIRED and answer["error"]]


def unfit(answers: list[dict[str, Any]]) -> str:
    """Return why cudart cannot work with the driver that is there, empty when it can, or when there is no driver.

    A runtime runs on drivers of its own major CUDA version and of later ones (NVIDIA's compatibility guide).
    """
    known = {answer["name"]: answer for answer in answers}
    cudart, cuda = known["cudart"], known["cuda"]
    if cudart["error"] or cuda["error"] or not cuda["version"] or not cudart["version"]:
        return ""
    if int(cudart["version"].partition(".")[0]) <= int(cuda["version"].partition(".")[0]):
        return ""
    return (
        f"Found: {cudart['file'] or cudart['path']} of CUDA {cudart['version']} with a driver that supports CUDA "
        f"{cuda['version']}. Expected: a runtime no newer than the driver's major version. To do: update the NVIDIA "
        "driver, or move that CUDA toolkit away ($CUDA_PATH and /usr/local/cuda come before the system's libraries)"
    )


def describe(answers: list[dict[str, Any]]) -> list[str]:
    """Return a line for each library to read."""
    return [
        f"{answer['name']:<9} "
        + (
            f"does not load: {answer['error']}"
            if answer["error"]
            else f"{answer['file'] or answer['path']} {answer['version']}".rstrip()
            + (f" ({answer['version_error']})" if answer["version_error"] else "")
        )
        for answer in answers
    ]
