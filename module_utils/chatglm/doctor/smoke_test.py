"""Check of the proof by a real answer."""

from __future__ import annotations

from ..language.messages import Text
from .preflight import CUDA
from .registry import (
    AGAIN,
    INT4,
    OK,
    OOM,
    REPAIRABLE,
    UNKNOWN,
    YOURS,
    Check,
    Evidence,
    Finding,
    listed_faults,
    plain,
    split_failure,
)
from .source import SOURCE
from .virtualenv import IMPORTS
from .weights import WEIGHTS


def _proof(evidence: Evidence) -> Finding | None:
    proof = evidence.get("proof") or {}
    if proof.get("failed") or "due" not in proof:
        return Finding(UNKNOWN, plain(str(proof.get("msg", "not looked at"))))
    if not proof["due"]:
        when = proof.get("time", "an unknown date")
        return Finding(OK, Text(f"answered on {when}", f"{when} 答过"))
    record = evidence.get("proof_record")
    if record is None:
        return None
    if record["verdict"] == "failed" and record["reasons"] and record.get("yours") and proof.get("same"):
        # Nothing has changed since: the same run would fail in the same way.
        reasons, todo = zip(*(split_failure(reason) for reason in record["reasons"]))  # noqa: B905
        return Finding(YOURS, listed_faults(reasons), "; ".join(dict.fromkeys(text for text in todo if text)))
    if record["verdict"] == "failed" and record["reasons"]:
        return Finding(REPAIRABLE, listed_faults([f"{proof['due_reason']}: {'; '.join(record['reasons'])}"]))
    return Finding(REPAIRABLE, proof["due_reason"])


CHECKS: tuple[Check, ...] = (
    Check(
        "proof",
        Text("proof by a real answer", "以真实回答证明"),
        Text(
            "the chat has not answered since something changed, or failed at the last try",
            "有变动之后对话还没有答过，或者上次没有答出来",
        ),
        AGAIN,
        _proof,
        cost=3,
        needs=(
            *IMPORTS,
            "cpm_kernels",
            *SOURCE,
            *WEIGHTS,
            *CUDA,
            "libcuda_not_in_loader",
            "proxy_variables",
            "cuda_libs",
            "cuda_links",
            "cuda_available",
            "web_demo_unpatched",
            "launcher",
            "page_port",
            "tokenizer",
        ),
        probe="proof_record",
        symptoms=("Connection errored out", *OOM, INT4),
    ),
)
