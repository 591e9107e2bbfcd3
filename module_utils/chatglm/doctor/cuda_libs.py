"""Checks of the CUDA libraries of the system."""

from __future__ import annotations

from ..language.messages import Text
from .preflight import NO_GPU
from .registry import (
    INT4,
    OK,
    ON_CPU,
    REPAIRABLE,
    UNKNOWN,
    YOURS,
    Check,
    Evidence,
    Finding,
    listed,
    listed_faults,
    plain,
    split_failure,
)

LEFT = "left to you (cuda_libs_install)"


def _cuda_libs(evidence: Evidence) -> Finding | None:
    result = evidence.get("cuda_libs") or {}
    if result.get("skipped") or (not result and evidence["context"]["device"] == "cpu"):
        return ON_CPU if evidence["context"]["device"] == "cpu" else Finding(OK, LEFT, applies=False)
    if result.get("failed") or "missing" not in result:
        return Finding(UNKNOWN, plain(str(result.get("msg", "not looked at"))))
    errors = [f"{library['name']}: {library['error']}" for library in result["libraries"] if library.get("error")]
    if result.get("origin") == "virtualenv":
        return Finding(OK, Text("those of the virtualenv", "用虚拟环境里的"), applies=False)
    if result["refusal"]:
        found, todo = split_failure(result["refusal"])
        return Finding(YOURS, found, todo)
    if result["missing"]:
        return Finding(REPAIRABLE, listed_faults(errors or [f"{name} does not load" for name in result["missing"]]))
    return Finding(OK, listed(f"{each['name']} {each.get('version', '')}".strip() for each in result["libraries"]))


CHECKS: tuple[Check, ...] = (
    Check(
        "cuda_libs",
        Text("CUDA libraries load", "CUDA 库能否加载"),
        Text(
            "cpm_kernels looks for cudart and cublasLt in the system only, not among pip's packages",
            "cpm_kernels 只在系统里找 cudart 和 cublasLt，不找 pip 装的",
        ),
        Text("{site} --ask-become-pass", "{site} --ask-become-pass"),
        _cuda_libs,
        needs=NO_GPU,
        symptoms=(
            "Library cudart is not initialized",
            "Library cublasLt is not initialized",
            "Unable to locate package libcudart",
            "libcudart.so",
            "libcublasLt.so",
            INT4,
        ),
    ),
)
