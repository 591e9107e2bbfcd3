"""All checks of the doctor, from cheap to dear, in English and Simplified Chinese; and a host judged by them.

To add a check, add one :class:`Check` to the ``CHECKS`` of its stage's file and its two samples to
tests/unit/doctor_evidence.py. An entry's ``judge`` is pure: evidence in, finding out. Evidence is what the site's own
modules said in check mode (so that the doctor and site.yml never disagree) and what the probes of library/doctor.py
saw; its keys are in :class:`Evidence`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..language.messages import Text
from ..language.translations import ENOUGH, chinese
from . import cuda_libs, cuda_links, page, preflight, service, smoke_test, source, virtualenv, web_demo, weights
from .registry import OK, REPAIRABLE, UNKNOWN, YOURS, Check, Evidence, Finding

CHECKS: tuple[Check, ...] = tuple(
    sorted(
        (
            *preflight.CHECKS,
            *cuda_libs.CHECKS,
            *virtualenv.CHECKS,
            *cuda_links.CHECKS,
            *source.CHECKS,
            *weights.CHECKS,
            *web_demo.CHECKS,
            *smoke_test.CHECKS,
            *service.CHECKS,
            *page.CHECKS,
        ),
        key=lambda check: check.cost,
    )
)
"""From cheap to dear; at the same cost, in the order of the stages."""

UNREACHABLE = Check(
    "unreachable",
    Text("the host answers", "主机是否应答"),
    Text("Ansible cannot reach the host", "Ansible 连不上主机"),
    Text("ssh to it by hand, and correct the inventory", "先手动 ssh 连上，再改正 inventory"),
    lambda evidence: None,
    repairs="user",
    cost=0,
)

OUTSIDE = (UNREACHABLE,)
"""Judged on the control side, by the callback, as host_python is where no module ran on the host."""

BY_CODE = {check.code: check for check in (*OUTSIDE, *CHECKS)}

FIELDS = ("device", "home", "model", "next_port", "site", "full", "deep", "python")
"""Names of ``context``: ``device``, ``deep`` and ``python`` for judges, the rest for texts."""

PATHS = ("home", "model")

# --- judging a host ---------------------------------------------------------------------------------------------------


def fill(text: Text, language: str, context: Mapping[str, Any]) -> str:
    """Return ``text`` in one language, its ``{names}`` replaced."""
    chosen = text.zh if language == "zh" else text.en

    def value(name: str, hole: str) -> str:
        told = str(context.get(name, hole))
        plain = name not in PATHS or name not in context or re.fullmatch(r"~[\w./-]*", told)
        return told if plain else shlex.quote(told)  # in commands that are pasted

    return re.sub(r"\{(\w+)\}", lambda match: value(match.group(1), match.group(0)), chosen)


def examine(
    evidence: Evidence, probe: Callable[[str], Any], language: str = "en", checks: Iterable[Check] = CHECKS
) -> list[dict[str, Any]]:
    """Judge a host by all checks, in their order, and return a dict for each: see the module doctor's RETURN.

    Args:
        evidence: what is known; what probes say is added to it.
        probe: runs the probe of that name, when the first judge asks for it.
        language: en or zh.
        checks: the registry.

    """
    context = evidence["context"]
    results: list[dict[str, Any]] = []
    blocked: dict[str, str] = {}
    for check in checks:
        causes = [blocked[need] for need in check.needs if need in blocked]
        result = {"code": check.code, "title": fill(check.title, language, {}), "skipped_by": "", "applies": True}
        if causes:
            blocked[check.code] = causes[0]
            results.append(
                {**result, "verdict": UNKNOWN, "evidence": "", "cause": "", "remedy": "", "skipped_by": causes[0]}
            )
            continue
        finding = check.judge(evidence)
        if finding is None and check.probe and check.probe not in evidence:
            evidence[check.probe] = probe(check.probe)
            finding = check.judge(evidence)
        if finding is None:
            finding = Finding(UNKNOWN, f"the probe {check.probe} saw nothing")
        told = in_words(finding.evidence, language)
        result.update(verdict=finding.verdict, evidence=told, applies=finding.applies)
        result["cause"] = result["remedy"] = ""
        if finding.verdict != OK:
            blocked[check.code] = check.code
        if finding.verdict in (REPAIRABLE, YOURS):
            result["cause"] = fill(check.cause, language, context)
            result["remedy"] = remedy(check, finding, language, context)
        results.append(result)
    return results


def in_words(text: str | Text, language: str, context: Mapping[str, Any] | None = None) -> str:
    """Return what a judge says; a tool's own words as they are."""
    if not isinstance(text, str):
        return fill(text, language, context or {})
    return chinese(text, ENOUGH) if language == "zh" else text


def remedy(check: Check, finding: Finding, language: str, context: Mapping[str, Any]) -> str:
    """Return the one line to do: the exact one for this host where there is one."""
    general = fill(check.remedy, language, context)
    if not finding.todo:
        return general
    told = in_words(finding.todo, language, context)
    return f"{general}（{told}）" if language == "zh" and told == finding.todo else told


def outside(code: str, evidence: str, language: str) -> dict[str, Any]:
    """Return the result of a check that fails on a host where no module ran, in the shape of :func:`examine`'s."""
    check = BY_CODE[code]
    return {
        "code": code,
        "title": fill(check.title, language, {}),
        "verdict": YOURS,
        "evidence": evidence,
        "cause": fill(check.cause, language, {}),
        "remedy": fill(check.remedy, language, {}),
        "skipped_by": "",
        "applies": True,
    }


def status_of(results: Iterable[Mapping[str, Any]]) -> str:
    """Return ok, repairable or yours: the worst verdict of a host."""
    verdicts = {result["verdict"] for result in results}
    return YOURS if YOURS in verdicts else REPAIRABLE if REPAIRABLE in verdicts else OK


def explain(text: str, results: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return code and verdict of each check that knows a pasted error text, those that this host shows first."""
    verdicts = {each["code"]: each["verdict"] for each in results}
    order = {REPAIRABLE: 0, YOURS: 0, UNKNOWN: 1, OK: 2}
    found = [{"code": check.code, "verdict": verdicts.get(check.code, UNKNOWN)} for check in causes_of(text)]
    return sorted(found, key=lambda each: order[each["verdict"]])


def causes_of(text: str) -> list[Check]:
    """Return the checks of whose symptoms one stands in ``text``; case and white space do not count."""
    plain = _flat(text)
    return [check for check in CHECKS if any(_flat(symptom) in plain for symptom in check.symptoms)]


def _flat(text: str) -> str:
    return " ".join(text.replace("\u2019", "'").replace("`", "'").lower().split())
