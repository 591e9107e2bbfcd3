"""Checks of the links to the CUDA libraries of the virtualenv."""

from __future__ import annotations

from ..language.messages import Text
from .preflight import NO_GPU
from .registry import (
    AGAIN,
    INT4,
    OK,
    REPAIRABLE,
    UNKNOWN,
    YOURS,
    Check,
    Evidence,
    Finding,
    listed,
    listed_faults,
    split_failure,
)
from .virtualenv import PACKAGES


def _cuda_links(evidence: Evidence) -> Finding | None:
    result = evidence.get("cuda_links") or {}
    if not result or result.get("skipped"):
        return Finding(OK, Text("none are needed", "不需要"), applies=False)
    if result.get("failed"):
        found, todo = split_failure(str(result.get("msg", "")))
        return Finding(YOURS, found, todo) if todo else Finding(UNKNOWN, found)
    lines = str((result.get("diff") or {}).get("prepared", "")).splitlines()
    if result.get("would_change", result.get("changed")):
        names = listed(line.partition(" -> ")[0][2:] for line in lines)
        return Finding(REPAIRABLE, Text(f"broken or missing: {names}", f"坏了或缺失：{names}"))
    library = (evidence.get("cuda_libs") or {}).get("missing")
    if library:  # the links are right, what they lead to is not
        return Finding(REPAIRABLE, listed_faults(f"{name} does not load" for name in library))
    return Finding(OK, listed(sorted(result.get("links") or {})))


CHECKS: tuple[Check, ...] = (
    Check(
        "cuda_links",
        Text("links to the virtualenv's CUDA libraries", "指向虚拟环境 CUDA 库的链接"),
        Text(
            "cpm_kernels finds the virtualenv's own libraries by links in chatglm_home/cuda only, which are broken",
            "cpm_kernels 只能通过 chatglm_home/cuda 里的链接找到虚拟环境自带的库，而链接坏了",
        ),
        AGAIN,
        _cuda_links,
        needs=(*PACKAGES, *NO_GPU),
        symptoms=("Library cudart is not initialized", "Library cublasLt is not initialized", INT4),
    ),
)
