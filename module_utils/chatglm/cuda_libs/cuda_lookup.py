"""Judge what cuda_lookup_worker saw. Pure."""

from __future__ import annotations

import json
import shlex
from typing import Any

from ..core.failure import Failure

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
    started, path = "", ""
    for line in out.splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            continue  # what a library printed on its own
        if isinstance(answer, dict) and answer.get("name") in names:
            if answer.get("started"):
                started, path = answer["name"], answer["path"]
            else:
                answers[answer["name"]] = answer
    how = f"crashed with signal {-status}" if status < -1 else err.strip()[-200:] or f"exit status {status}"
    result = []
    for name in names:
        error = f"loading it {how}" if name == started else f"not tried, as loading {started} {how}"
        where = path if name == started else ""
        empty = {"name": name, "path": where, "file": "", "version": "", "version_error": "", "error": error}
        result.append(answers.get(name, empty))
    return result


def missing(answers: list[dict[str, Any]]) -> list[str]:
    """Return the required libraries that do not load."""
    return [answer["name"] for answer in answers if answer["name"] in REQUIRED and answer["error"]]


def in_front(answers: list[dict[str, Any]]) -> str:
    """Return the file that is looked up before the loader's cache and does not load; empty for none."""
    broken = [answer for answer in answers if answer["name"] in missing(answers)]
    return next((answer["path"] for answer in broken if answer["path"].startswith("/")), "")


def decide(
    answers: list[dict[str, Any]],
    *,
    origin: str,
    standing: bool,
    linkable: bool,
    packages: list[str],
    packages_missing: list[str],
) -> str:
    """Return where the libraries are to come from: ``system`` as they are, ``apt``, ``virtualenv``; empty for nowhere.

    Args:
        answers: what parse_answers returned.
        origin: what is asked for: auto, apt or virtualenv.
        standing: whether there are links to the virtualenv's libraries by now. They stay in use.
        linkable: whether the virtualenv has, or will have, the libraries.
        packages: those that hold the libraries, as far as apt has them.
        packages_missing: those of them that are not installed.

    """
    if origin == "virtualenv" or (origin == "auto" and standing and linkable):
        return "virtualenv" if linkable else ""
    if not missing(answers) and not _unfit(answers):
        return "system"
    if missing(answers) and packages and packages_missing and not in_front(answers):
        return "apt"
    return "virtualenv" if origin == "auto" and linkable else ""


def refusal(
    answers: list[dict[str, Any]],
    packages: list[str],
    packages_missing: list[str],
    asked: str = "",
) -> Failure | None:
    """Return why installing packages cannot help, None when all is well or when it can.

    Args:
        answers: what parse_answers returned.
        packages: those that hold the required libraries, as far as apt has them.
        packages_missing: those of them that are not installed.
        asked: what apt said to the question which packages it has.

    """
    broken = [answer for answer in answers if answer["name"] in missing(answers)]
    if not broken:
        return _unfit(answers)
    found = "; ".join(f"{answer['name']} cannot be loaded: {answer['error']}" for answer in broken)
    if first := in_front(answers):
        return Failure(
            found,
            "a library that loads, as cpm_kernels tries no other",
            f"move it away, it comes before the system's: sudo mv {shlex.quote(first)} {shlex.quote(first)}.broken",
        )
    if not packages:
        return Failure(
            f"{found}; apt has no packages of it that fit" + (f" ({asked})" if asked else ""),
            "libraries that load",
            'install the CUDA runtime, then name its packages: -e \'{"cuda_libs_packages": ["NAME", "NAME"]}\'',
        )
    if not packages_missing:
        names = " ".join(packages)
        return Failure(
            f"{found}, though {names} are installed",
            "libraries that load",
            f"sudo apt-get install --reinstall {names} && sudo ldconfig",
        )
    return None


def nothing_to_link() -> Failure:
    """Return why links to the virtualenv's libraries cannot be had."""
    return Failure(
        "cuda_libs_origin is virtualenv, and the torch build of this plan brings no CUDA libraries",
        "a CUDA build of torch, or the libraries from elsewhere",
        "leave cuda_libs_origin out",
    )


def _unfit(answers: list[dict[str, Any]]) -> Failure | None:
    """Return why cudart cannot work with the driver that is there, None when it can, or when there is no driver.

    A runtime runs on drivers of its own major CUDA version and of later ones (NVIDIA's compatibility guide).
    """
    known = {answer["name"]: answer for answer in answers}
    cudart, cuda = known["cudart"], known["cuda"]
    if cuda["error"] or not cuda["version"] or not cudart["version"]:
        return None
    if int(cudart["version"].partition(".")[0]) <= int(cuda["version"].partition(".")[0]):
        return None
    return Failure(
        f"{cudart['file'] or cudart['path']} of CUDA {cudart['version']}, with a driver that supports CUDA "
        f"{cuda['version']}",
        "a runtime of no newer major version than the driver's",
        "update the NVIDIA driver, or move that toolkit away ($CUDA_PATH and /usr/local/cuda come before the system's)",
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
