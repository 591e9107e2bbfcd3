"""What a check is, and what the judges of several stages share.

Runs on the host's own Python, which may be as old as 3.8: preflight says itself that this is too old.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Optional  # noqa: UP035

from ..language.messages import Text
from ..language.translations import item

OK, REPAIRABLE, YOURS, UNKNOWN = "ok", "repairable", "yours", "unknown"

Evidence = Dict[str, Any]  # noqa: UP006
"""What is known of a host.

``context``: device, home, port and the like (see :data:`checks.FIELDS`); ``settings``: problems; ``host``: what
host_facts returned; ``cuda_libs``, ``cuda_links``, ``virtualenv``, ``source``, ``weights``, ``web_demo``, ``proof``,
``service``: what the site's modules returned in check mode (``failed`` and ``msg`` when they failed). Then the
doctor's own probes, each only when a judge asked for it by returning None: ``lock``, ``proxies``, ``page``,
``windows_page``, ``sums``, ``module_cache``, ``imports``, ``tokenizer``, ``proof_record``, ``answer``.
"""


@dataclass(frozen=True)
class Finding:
    """What a judge says.

    Attributes:
        verdict: ok, repairable (by site.yml), yours (only the user can) or unknown.
        evidence: the value found: as the tools say it, or in words of our own in both languages.
        todo: the exact line for this host where the entry's remedy is only the general one; in both languages where it
            takes the place of that in both.
        applies: False where the check has nothing to look for on this host (a GPU's on ``chatglm_device=cpu``).

    """

    verdict: str
    evidence: str | Text
    todo: str | Text = ""
    applies: bool = True


Judge = Callable[[Evidence], Optional[Finding]]  # noqa: UP045


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong.

    Attributes:
        code: stable name.
        title: what is looked at, a few words.
        cause: why it is wrong, when it is.
        remedy: what to do, with the command.
        judge: evidence to finding; None asks for the evidence of ``probe``.
        repairs: ``site`` or ``user``: who can repair it.
        cost: 0 facts of the host, 1 status of files, 2 content of files and sockets, 3 programs of the virtualenv.
        needs: codes of checks which, when failed, make this one pointless.
        probe: the doctor's own probe that the judge may ask for.
        symptoms: pieces of the error texts that users paste and that this can be the cause of.

    """

    code: str
    title: Text
    cause: Text
    remedy: Text
    judge: Judge
    repairs: str = "site"
    cost: int = 1
    needs: tuple[str, ...] = ()
    probe: str = ""
    symptoms: tuple[str, ...] = field(default=())


NO_EDITS = Text("no edits of yours", "没有你的修改")
FREE = Text("free", "空闲")
AGAIN = Text("{site}", "{site}")
FULL = Text("{full}", "{full}")
ON_CPU = Finding(OK, "the model runs on the CPU", applies=False)

# --- symptoms that several stages can have ----------------------------------------------------------------------------

OOM = ("CUDA out of memory", "OutOfMemoryError", "CUDA error: out of memory")
NO_CUDA = (
    "CUDA is not available",
    "cuda.is_available",
    "No CUDA GPUs are available",
    "Found no NVIDIA driver",
    "libcuda.so",
    "addmm_impl_cpu_",
    "not implemented for 'Half'",
)
INT4 = "int4WeightExtractionHalf"
LOCALHOST = ("localhost is not accessible", "a shareable link must be created")
NO_MODEL = ("not a valid model identifier", "is not a local folder", "not the path to a directory containing")

# --- helpers of the judges --------------------------------------------------------------------------------------------


def split_failure(text: str) -> tuple[str, str]:
    """Return what was found and what is to be done, from the text of a failure.Failure (or of a Refusal)."""
    found, _, todo = text.partition(" To do: ")
    return plain(found), todo.strip()


def plain(found: str) -> str:
    """Return what was found alone, without what was expected."""
    found = found.partition(" Expected: ")[0].strip()
    return (found[len("Found: ") :] if found.startswith("Found: ") else found).rstrip(".")


def listed(items: Iterable[str], limit: int = 4) -> str:
    """Return the first items in one line, and how many more there are."""
    items = list(items)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def listed_faults(items: Iterable[str], limit: int = 4) -> Text:
    """Return a list of what modules say (``WHAT: FAULT``) in both languages."""
    items = list(items)
    more = f" 等 {len(items)} 个" if len(items) > limit else ""
    return Text(listed(items, limit), "；".join(map(item, items[:limit])) + more)


def known(evidence: Evidence, name: str) -> dict[str, Any]:
    """Return what a module of the site said; empty when it said nothing or failed."""
    result = evidence.get(name) or {}
    return {} if result.get("failed") else result


def stopped(name: str) -> Judge:
    """Return the judge of whether a module of the site could look at all."""

    def judge(evidence: Evidence) -> Finding | None:
        result = evidence.get(name)
        if result is None:
            return Finding(UNKNOWN, "not looked at")
        if result.get("failed"):
            text = str(result.get("msg", "no message"))
            found, todo = split_failure(text)
            if result.get("unforeseen"):
                return Finding(UNKNOWN, found, todo)
            return Finding(YOURS, found, todo) if " Expected: " in text else Finding(UNKNOWN, text)
        return Finding(OK, "can be looked at", applies=False)

    return judge
