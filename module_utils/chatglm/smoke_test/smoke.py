"""Judge a smoke test: is it due, what do its measurements mean, what is wrong and what helps. Pure functions."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from shlex import quote
from typing import Any

from ..core.files import digest_of
from ..core.nvidia import INT4_CAPABILITIES

GIB = 1 << 30
PLAY_AGAIN = "run the play again"
# The revision of the model that the project pins (roles/chatglm/defaults), for who has chosen one that cannot work.
PINNED_REVISION = "d93643f303743236b43cd79335e8a093e68d8524"
# What a role of this project installs: where a script misses one of these, it is not the script that is wrong.
INSTALLED = (
    "torch", "transformers", "gradio", "mdtex2html", "sentencepiece", "fastapi", "uvicorn", "pydantic", "starlette",
    "sse_starlette", "numpy", "huggingface_hub", "cpm_kernels", "streamlit",
)  # fmt: skip
FRAME = re.compile(r'File "([^"\n]+)", line (\d+)')
READ_LOG = "read the log at the end of this message"
# What errors say when transformers and the model's own code do not fit: by tokenizer, by configuration, and (4.42 and
# newer, seen here) by upstream's stream_generate, which calls private methods of transformers.
MISFITS = (
    "has no attribute 'tokenizer'",
    "padding_side",
    "num_hidden_layers",
    "'ChatGLMConfig' object has no attribute",
    "_get_logits_warper",
    "_eos_token_tensor",
    "_extract_past_from_model_output",
)


@dataclass(frozen=True)
class Verdict:
    """One judgement.

    ``remedy`` is empty when ``ok``; ``files`` says whether a damaged file can be the cause, ``yours`` that only the
    user can mend it: the same run would fail in the same way.
    """

    name: str
    ok: bool
    found: str
    expected: str
    remedy: str = ""
    files: bool = True
    yours: bool = False

    def __str__(self) -> str:
        """Return the line that a user reads."""
        if self.ok:
            return f"{self.name}: {self.found}"
        return f"{self.name}: found {self.found}; expected {self.expected}. To do: {self.remedy}"


@dataclass(frozen=True)
class Demands:
    """What the measurements must show.

    Attributes:
        device: cuda or cpu, as planned.
        expected: a text, or a regular expression, that both answers must contain; empty for no demand.
        min_tokens_per_second: lowest speed while decoding; 0 for no demand.

    """

    device: str
    expected: str = ""
    min_tokens_per_second: float = 0.0


def due_reason(
    record: Any,
    subject: dict[str, Any],
    settings: dict[str, Any],
    test: str,
    *,
    mode: str = "auto",
    repaired: Sequence[str] = (),
) -> str:
    """Return why a proof is due, or an empty text when the recorded one still holds.

    Args:
        record: the parsed proof file, or None.
        subject: digests of what is proven, by name.
        settings: the test's own settings.
        test: digest of the test's own code.
        mode: auto or always.
        repaired: what this run has changed before, in words: whoever has something repaired wants to see that it works.

    """
    if mode == "always":
        return "asked for"
    if not isinstance(record, dict) or not isinstance(record.get("subject"), dict):
        return "never proven"
    if record.get("verdict") != "ok":
        return "the last proof failed"
    if repaired:
        return f"changed in this run: {', '.join(repaired)}"
    if record.get("key") == proof_key(subject, settings, test):
        return ""
    old = record["subject"]
    names = sorted(name for name in {*old, *subject} if old.get(name) != subject.get(name))
    old = record.get("settings") or {}
    names += sorted(f"setting {name}" for name in {*old, *settings} if old.get(name) != settings.get(name))
    if record.get("test") != test:
        names.append("the test itself")
    return f"{', '.join(names) or 'the record'} changed"


def proof_key(subject: dict[str, Any], settings: dict[str, Any], test: str) -> str:
    """Return the one digest that a proof holds for."""
    return digest_of({"subject": subject, "settings": settings, "test": test})


def gib(size: Any) -> str:
    """Return a size in bytes as ``1.2 GiB``."""
    return f"{size / GIB:.1f} GiB" if isinstance(size, (int, float)) else "an unknown amount"


def contains(answer: str, expected: str) -> bool:
    """Tell whether ``answer`` contains ``expected`` as a text, or matches it as a regular expression."""
    if expected in answer:
        return True
    try:
        return re.search(expected, answer) is not None
    except re.error:
        return False


def shorten(text: str, limit: int = 120) -> str:
    """Return ``text`` in quotes, cut after ``limit`` characters."""
    return repr(text if len(text) <= limit else text[:limit] + "…")


def diagnose_cuda(cuda: dict[str, Any]) -> Verdict:
    """Say why torch sees no GPU: the build, then the driver, then what torch itself says (order of facts.md)."""
    name, expected = "device", "a CUDA device"
    driver = str(cuda.get("driver", "none"))
    if not cuda.get("build"):
        return Verdict(
            name,
            False,
            "torch in the virtualenv is a CPU build (torch.version.cuda is None)",
            "a CUDA build of torch",
            f"{PLAY_AGAIN} with -e chatglm_device=cuda: role virtualenv installs that build",
            files=False,
        )
    if driver.startswith("none"):
        return Verdict(
            name,
            False,
            f"no NVIDIA driver: libcuda.so.1 does not load ({driver})",
            "libcuda.so.1",
            "on WSL install the NVIDIA driver on Windows (never inside WSL), then run wsl --shutdown there; "
            "without a GPU: -e chatglm_device=cpu",
            files=False,
        )
    # Within one major version of CUDA a build runs on older drivers too (NVIDIA's minor-version compatibility).
    if int(number(driver)) < int(number(str(cuda["build"]))):
        return Verdict(
            name,
            False,
            f"the driver supports CUDA {driver}, torch was built for {cuda['build']}",
            f"a driver for CUDA {cuda['build']}",
            f"update the NVIDIA driver (on WSL: the one on Windows), or {PLAY_AGAIN} to get a torch for this driver",
            files=False,
        )
    return Verdict(
        name,
        False,
        str(cuda.get("error", "torch.cuda.is_available() is False")),
        expected,
        "close other programs that use the GPU, on WSL run wsl --shutdown on Windows, then run the play again",
        files=False,
    )


def number(version: str) -> float:
    """Return the first two parts of a version as a number (``12.4`` gives 12.4), 0 when there is none."""
    found = re.match(r"\d+(\.\d+)?", version)
    return float(found.group()) if found else 0.0


def diagnose(text: str, report: dict[str, Any], where: str, device: str) -> Verdict:
    """Name the cause of a failure. The probes in ``report`` decide first, the error's text only where none can.

    Args:
        text: the exception, or the end of a log.
        report: what the worker measured before it failed.
        where: the phase that failed, for the verdict's name.
        device: cuda or cpu, as planned.

    """
    cuda = report.get("cuda") or {}
    kernels = report.get("cpm_kernels") or {}
    versions = report.get("versions") or {}
    engine = (report.get("engine") or {}).get("name")
    lower = text.lower()
    if device == "cuda" and cuda and not cuda.get("available"):
        return diagnose_cuda(cuda)
    if "out of memory" in lower or "outofmemory" in lower:
        return Verdict(
            where,
            False,
            f"GPU memory ran out; {gib(cuda.get('free'))} of {gib(cuda.get('total'))} were free before the load",
            "5.1 GiB or more free",
            "close what uses the GPU (nvidia-smi lists it; on Windows the browser, games), or a demo that still runs; "
            "then run the play again",
            files=False,
        )
    if "no kernel image" in lower or (
        "int4weight" in lower and cuda.get("capability") and cuda["capability"] not in INT4_CAPABILITIES
    ):
        return Verdict(
            where,
            False,
            f"GPU {cuda.get('name', '')} with compute capability {cuda.get('capability', 'unknown')}",
            f"one that the int4 kernels hold code for: {', '.join(INT4_CAPABILITIES)}",
            "run on another GPU, or with -e chatglm_device=cpu"
            if engine == "torch"
            else "run the play again with -e chatglm_engine=torch, which needs no such kernels",
            files=False,
        )
    if kernels.get("import", "ok") != "ok":
        return Verdict(
            where,
            False,
            f"cpm_kernels cannot be imported: {kernels['import']}",
            "cpm_kernels with setuptools below 81 (it needs pkg_resources)",
            f"{PLAY_AGAIN}: role virtualenv mends the environment",
        )
    missing = [name for name, path in (kernels.get("libraries") or {}).items() if not path and name != "nvrtc"]
    if missing:
        return Verdict(
            where,
            False,
            f"the loader finds no CUDA library for cpm_kernels: {', '.join(missing)}",
            "cuda, cudart and cublasLt where cpm_kernels looks",
            f"{PLAY_AGAIN}: role cuda_libs installs them",
            files=False,
        )
    absent = re.search(r"No module named '(\w+)", text)
    if absent and absent[1] not in INSTALLED and (own := blame(text, where)) and own.yours:
        return own
    if "modulenotfounderror" in lower or "importerror" in lower or "no module named" in lower:
        return Verdict(
            where,
            False,
            f"a package of the virtualenv is missing or broken: {last_line(text)}",
            "an import that works",
            f"{PLAY_AGAIN}: role virtualenv mends the environment",
        )
    # sentencepiece's own words changed: up to 0.1 they named ParseFromArray, 0.2.3 says this.
    if is_no_data(report, "tokenizer.model") or "parsefromarray" in lower or "could not parse modelproto" in lower:
        return damaged(
            report,
            where,
            "tokenizer.model",
            "the true file (1,018,370 bytes for chatglm2-6b-int4)",
            "role weights fetches it anew (installing CUDA libraries does not help here)",
        )
    if re.search(r"'ChatGLM\w*Tokenizer' object has no attribute", text):
        return Verdict(
            where,
            False,
            f"the model's code is from before transformers 4.34: {last_line(text)}",
            f"the pinned revision {PINNED_REVISION}, or one whose code is as new",
            f"leave chatglm_model_revision out, or give -e chatglm_model_revision={PINNED_REVISION}",
            files=False,
            yours=True,
        )
    if any(mark in text for mark in MISFITS):
        return Verdict(
            where,
            False,
            f"transformers {versions.get('transformers', 'unknown')} and the model's code do not fit: "
            f"{last_line(text)}",
            "the locked transformers with the pinned revision of the model",
            f"{PLAY_AGAIN}: roles virtualenv and weights install that pair",
        )
    if is_no_data(report, "pytorch_model.bin") or re.search(
        r"invalid load key|PytorchStreamReader|central directory|UnpicklingError|size mismatch|Unable to load weights",
        text,
    ):
        return damaged(report, where, "pytorch_model.bin", "the true file", "role weights fetches it anew")
    if device == "cpu" and report and not report.get("gcc") and ("nonetype" in lower or "int4weight" in lower):
        return Verdict(
            where,
            False,
            "no gcc, which the model's code needs to build its CPU kernel",
            "gcc",
            "install it (sudo apt-get update; sudo apt-get install -y gcc) and run the play again",
            files=False,
        )
    if "cannot find empty port" in lower:
        return Verdict(
            where,
            False,
            "the port was taken while the demo started",
            "a free port",
            "stop what listens there, or choose another with -e chatglm_port=",
            files=False,
        )
    if "localhost is not accessible" in lower:
        return Verdict(
            where,
            False,
            "gradio cannot reach its own page",
            "a direct connection to this machine",
            "check the variables http_proxy and no_proxy (127.0.0.1 belongs in no_proxy); then run the play again",
            files=False,
        )
    return blame(text, where) or Verdict(where, False, last_line(text), "no error", READ_LOG)


def blame(text: str, where: str) -> Verdict | None:
    """Name the line of the demo's script (or of a file beside it) that an error came through, None if there is none."""
    text = text[text.rfind("Traceback (most recent call last)") :]
    frames: list[tuple[str, str]] = FRAME.findall(text)
    own = [(path, line) for path, line in frames if os.path.basename(os.path.dirname(path)) == "source"]
    if not own:
        return None
    path, line = own[-1]
    folder, name = os.path.split(path)
    at_fault = frames[-1] == own[-1]
    return Verdict(
        where,
        False,
        f"{path}, line {line}: {last_line(text)}",
        "a script that works with the installed packages",
        f"correct that line, or get upstream's script back: git -C {quote(folder)} checkout -- {quote(name)}; "
        "then run the play again",
        files=not at_fault,
        yours=at_fault,
    )


def again(old: Any, key: str, reasons: list[str], launcher: str) -> Verdict | None:
    """Say that a proof has failed as the one before it did, with everything as it was then; None if it has not.

    Args:
        old: the record of the proof before.
        key: what this one would have held for.
        reasons: why it failed.
        launcher: what starts the chat by hand.

    """
    if not isinstance(old, dict) or old.get("verdict") != "failed" or old.get("key") != key:
        return None
    if alike(old.get("reasons") or []) != alike(reasons):
        return None
    return Verdict(
        "once more",
        False,
        f"the failure of {old.get('time')}, with everything as it was then",
        "another outcome, which the same run does not bring",
        "do what stands above, if it is for you to do; else start the chat by hand to see all that it says "
        f"({launcher}), have every file read (-e virtualenv_verify=full -e weights_verify=deep), and report it with "
        "that log",
        files=False,
        yours=True,
    )


def alike(reasons: Sequence[Any]) -> list[str]:
    """Return reasons without their numbers, which differ from run to run, and without the word that they came again."""
    return [re.sub(r"\d[\d.]*", "#", str(reason)) for reason in reasons if not str(reason).startswith("once more: ")]


def is_no_data(report: dict[str, Any], name: str) -> bool:
    """Tell whether the model's file ``name`` is missing, a Git LFS pointer or a page, by what the worker saw of it."""
    seen = (report.get("files") or {}).get(name) or {}
    return bool(seen) and (seen.get("size") is None or str(seen.get("head"))[2:].startswith(("version https://", "<")))


def damaged(report: dict[str, Any], where: str, name: str, expected: str, remedy: str) -> Verdict:
    """Return the verdict on a file of the model, with its size and first bytes."""
    seen = (report.get("files") or {}).get(name) or {}
    found = (
        f"{name} is missing ({seen.get('head')})"
        if seen.get("size") is None
        else f"{name} is damaged: {seen['size']} bytes, it begins {seen.get('head')}"
    )
    return Verdict(where, False, found, expected, f"{PLAY_AGAIN}: {remedy}")


def last_line(text: str) -> str:
    """Return the last line of ``text`` that is not empty, at most 300 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no text at all"


def last_lines(text: str, count: int = 12) -> str:
    """Return the last ``count`` lines of ``text``."""
    return "\n".join(text.splitlines()[-count:]) or "(empty)"


def diagnose_exit(status: int | None, tail: str, report: dict[str, Any], where: str, device: str) -> Verdict:
    """Name why a process ended.

    Args:
        status: exit status, negative for a signal; a shell in between gives 128 + signal.
        tail: end of its log.
        report: what was measured before.
        where: the phase.
        device: as planned.

    """
    code = status or 0
    killed = -code if code < 0 else code - 128 if 128 < code < 160 else 0
    if not killed:
        if not tail:
            return Verdict(
                where,
                False,
                f"it ended with status {status} and said nothing",
                "a report",
                "run the launcher by hand to see more",
            )
        return diagnose(tail, report, where, device)
    try:
        name = f"{killed} ({signal.Signals(killed).name})"
    except ValueError:
        name = str(killed)
    remedies = {
        signal.SIGKILL: "out of memory, most likely: give it more RAM (on WSL: memory= and swap= under [wsl2] in "
        ".wslconfig on Windows, then wsl --shutdown), or close other programs",
        signal.SIGILL: "this CPU lacks an instruction that the installed torch needs: use another machine, or an "
        "older torch",
    }
    return Verdict(
        where,
        False,
        f"the process was killed by signal {name}",
        "an end of its own",
        remedies.get(signal.Signals(killed), READ_LOG) if killed in set(signal.Signals) else READ_LOG,
        files=killed not in (signal.SIGKILL, signal.SIGILL),
    )


def timed_out(where: str, seconds: float, option: str) -> Verdict:
    """Return the verdict for a phase that took too long; ``option`` is the role's variable with the limit."""
    return Verdict(
        where,
        False,
        f"no end within {seconds:.0f} s",
        f"an end within {seconds:.0f} s",
        f"look at the log; if the machine is just slow, raise {option}",
        files=False,
    )


def judge_model(model: dict[str, Any], demands: Demands) -> list[Verdict]:
    """Judge what the worker measured; one verdict for a failure, else one for each demand."""
    if model.get("error"):
        error = model["error"]
        return [diagnose(f"{error['type']}: {error['message']}", model, f"model, {error['phase']}", demands.device)]
    verdicts = []
    devices = model.get("devices") or {}
    right = sum(count for name, count in devices.items() if name.split(":")[0] == demands.device)
    verdicts.append(
        Verdict(
            "device",
            bool(devices) and right == sum(devices.values()),
            ", ".join(f"{count} tensors on {name}" for name, count in sorted(devices.items())) or "no tensors",
            f"all on {demands.device}",
            f"{PLAY_AGAIN}; if it stays so, the model's own code moves them: is it the pinned revision?",
        )
    )
    int4 = model.get("int4") or {}
    verdicts.append(
        Verdict(
            "int4",
            bool(int4.get("expected")) and int4.get("packed") == int4.get("expected"),
            f"{int4.get('packed', 0)} layers with two weights in a byte",
            f"{int4.get('expected', 0)} such layers",
            "point chatglm_model_repo at an int4 model",
        )
    )
    verdicts.append(judge_engine(model.get("engine") or {}, demands.device))
    broken = model.get("nonfinite_logits", 0)
    verdicts.append(
        Verdict(
            "finite",
            broken == 0 and model.get("tokens", 0) > 0,
            f"{broken} nan or inf among the logits of {model.get('tokens', 0)} tokens",
            "none, in at least one token",
            f"{PLAY_AGAIN}: role weights verifies every file; if they are good, the GPU's memory or driver is not",
        )
    )
    if not all(verdict.ok for verdict in verdicts[-2:]):  # what else is wrong then follows from it
        return [cleared(verdict) for verdict in verdicts]
    verdicts += judge_answer("answer", str(model.get("answer", "")), demands.expected, READ_LOG)
    tokens, distinct = model.get("tokens", 0), model.get("distinct_tokens", 0)
    verdicts.append(
        Verdict(
            "variety",
            tokens < 4 or distinct > 1,
            f"{distinct} different ones among {tokens} tokens",
            "more than one token repeated",
            f"{PLAY_AGAIN}: role weights verifies every file",
        )
    )
    speed = model.get("tokens_per_second")
    floor = demands.min_tokens_per_second
    verdicts.append(
        Verdict(
            "speed",
            floor <= 0 or speed is None or speed >= floor,
            f"{speed} tokens/s" if speed is not None else "too few tokens to measure",
            f"{floor} tokens/s or more",
            "close other programs that use the GPU (Windows moves GPU memory to RAM when it is short: about a token a "
            "minute), or lower smoke_test_min_tokens_per_second",
            files=False,
        )
    )
    return [cleared(verdict) for verdict in verdicts]


def judge_engine(engine: dict[str, Any], device: str) -> Verdict:
    """Judge how the engine's layers compare with float64 on the same weights; upstream's are judged by answers."""
    name, wrong, layers = engine.get("name"), engine.get("wrong"), engine.get("layers")
    if name == "upstream":
        return Verdict("engine", True, "upstream: the model's own code, not compared", "")
    if wrong:
        found = f"{name}: {len(wrong)} of {layers} layers compute wrongly, the first {wrong[0]}"
    else:
        found = f"{name}: {layers or 0} layers compared, the largest error {engine.get('worst')} of what is allowed"
    return Verdict(
        "engine",
        bool(name and layers) and wrong == [],
        found,
        "every layer within the bounds of rounding (engine/int4.py)",
        "run the play again with -e chatglm_engine=upstream (it needs gcc)"
        if device == "cpu"
        else "run the play again with -e chatglm_engine=upstream on a GTX 10 to RTX 40, on another card with "
        "-e chatglm_device=cpu",
        files=False,
        yours=True,
    )


def judge_answer(name: str, answer: str, expected: str, remedy: str) -> list[Verdict]:
    """Judge one answer: not empty (else ``remedy`` helps), and with the expected text when one is demanded."""
    verdict = Verdict(name, bool(answer.strip()), shorten(answer), "a text", remedy)
    if not verdict.ok or not expected:
        return [verdict]
    return [
        Verdict(
            name,
            contains(answer, expected),
            shorten(answer),
            f"{expected} in it",
            "is it the right model? chatglm_model_repo and smoke_test_expected belong together",
        )
    ]


def judge_page(page: dict[str, Any], model: dict[str, Any], demands: Demands) -> list[Verdict]:
    """Judge what came back through the page.

    Args:
        page: ``partials`` (number of distinct partial answers of the first turn), ``answer``, ``second_answer``,
            ``bot_messages`` (after the second turn), ``port_free`` (after the end).
        model: the first stage's measurements, which say whether the answer can have grown.
        demands: as for the first stage.

    """
    dead = (
        "the page is there, but its chat is dead: is its script the patched one? Run the play again, and read the log"
    )
    verdicts = judge_answer("page answer", str(page.get("answer", "")), demands.expected, dead)
    if not str(page.get("answer", "")).strip():
        return verdicts
    several = model.get("partials", 0) >= 2
    grows = Verdict(
        "page grows",
        page.get("partials", 0) >= (2 if several else 1),
        f"{page.get('partials', 0)} distinct partial answers",
        "2 or more" if several else "1 or more",
        "the page does not stream: is its script the patched one? Run the play again",
    )
    verdicts.append(grows)
    second = str(page.get("second_answer", ""))
    verdicts.append(
        Verdict(
            "second turn",
            bool(second.strip()) and page.get("bot_messages") == 2,
            f"{page.get('bot_messages', 0)} bot messages, the last {shorten(second)}",
            "2, both with a text",
            READ_LOG,
        )
    )
    verdicts.append(
        Verdict(
            "port freed",
            bool(page.get("port_free")),
            "free" if page.get("port_free") else "still taken",
            "a free port after the demo's end",
            "stop the process that still listens there",
            files=False,
        )
    )
    return [cleared(verdict) for verdict in verdicts]


def cleared(verdict: Verdict) -> Verdict:
    """Return the verdict without its remedy when nothing is wrong."""
    return Verdict(verdict.name, True, verdict.found, verdict.expected) if verdict.ok else verdict


def as_dicts(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """Return the verdicts as they are recorded."""
    return [
        {name: value for name, value in asdict(verdict).items() if name not in ("files", "yours")}
        for verdict in verdicts
    ]


def summary(report: dict[str, Any]) -> str:
    """Return the one line that says what was seen."""
    model, page = report.get("model") or {}, report.get("page") or {}
    gpu = model.get("gpu")
    memory = f"GPU memory {gib(gpu['reserved_peak'])}" if gpu else f"RAM {gib(model.get('rss_peak'))}"
    answers = [shorten(str(stage.get("answer", "")), 60) for stage in (model, page)]
    return (
        f"answer {answers[0]}, through the page {answers[1]}; engine {(model.get('engine') or {}).get('name', '?')}, "
        f"{model.get('tokens_per_second', '?')} tokens/s, "
        f"first token {model.get('first_token_seconds', '?')} s, load {model.get('load_seconds', '?')} s, {memory}"
    )
