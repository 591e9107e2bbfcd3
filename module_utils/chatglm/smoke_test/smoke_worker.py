"""Load the model as the web demo does, answer one question, and report measurements.

Runs in the virtualenv's Python; the module int4_smoke_test pipes this source to it and gives the request as the
one argument. It judges nothing: smoke.py beside it does. Standard output carries marked lines only
(``MARK`` and a JSON object); everything that a library prints goes to standard error.

Request: ``model_path`` (folder), ``device`` (cuda or cpu), ``question``, ``max_new_tokens``.
Events: ``{"phase": NAME}`` at each step, then ``{"report": {...}}``; sizes are bytes, times are seconds.
"""

from __future__ import annotations

import concurrent.futures
import ctypes
import importlib
import importlib.metadata
import importlib.util
import json
import os
import resource
import shutil
import sys
import time
import traceback
from typing import Any

MARK = "@@chatglm-smoke@@ "
PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "sentencepiece",
    "gradio",
    "huggingface_hub",
    "cpm_kernels",
    "setuptools",
    "numpy",
)


class EnoughError(Exception):
    """The answer is as long as was asked for."""


def versions() -> dict[str, str]:
    """Return the installed version of Python and of each package that matters; absent ones are left out."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def probe_driver() -> str:
    """Return the CUDA version that the driver supports (``12.0``), or why it cannot be asked."""
    try:
        number = ctypes.c_int()
        ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(number))
    except (OSError, AttributeError) as error:
        return f"none ({error})"
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def probe_cuda(torch: Any) -> dict[str, Any]:
    """Return what torch and the driver say about the GPU; memory in bytes."""
    found: dict[str, Any] = {"build": torch.version.cuda, "driver": probe_driver(), "available": False}
    try:
        torch.cuda.init()
        found["available"] = bool(torch.cuda.is_available())
        found["name"] = torch.cuda.get_device_name()
        found["capability"] = ".".join(str(part) for part in torch.cuda.get_device_capability())
        found["archs"] = list(torch.cuda.get_arch_list())
        found["free"], found["total"] = torch.cuda.mem_get_info()
    except Exception as error:  # any failure here is a finding about the host
        found["error"] = f"{type(error).__name__}: {error}"
    return found


def probe_cpm_kernels() -> dict[str, Any]:
    """Import cpm_kernels outside upstream's try, which hides the reason of a failure (faults B3, B4)."""
    found: dict[str, Any] = {"import": "ok", "libraries": {}}
    try:
        importlib.import_module("cpm_kernels.kernels.base")
    except Exception as error:
        found["import"] = f"{type(error).__name__}: {error}"
    for name in ("cuda", "cudart", "cublaslt", "nvrtc"):
        try:
            module = importlib.import_module(f"cpm_kernels.library.{name}")
        except Exception as error:
            found["libraries"][name] = f"{type(error).__name__}: {error}"
            continue
        for value in vars(module).values():
            if type(value).__name__ == "Lib":
                found["libraries"][name] = getattr(value, "_Lib__lib_path", None)
    return found


def probe_files(folder: str) -> dict[str, Any]:
    """Return size and first bytes of the two files whose damage has many faces (faults D1 to D4)."""
    found: dict[str, Any] = {}
    for name in ("tokenizer.model", "pytorch_model.bin"):
        try:
            with open(os.path.join(folder, name), "rb") as stream:
                found[name] = {"size": os.fstat(stream.fileno()).st_size, "head": repr(stream.read(24))}
        except OSError as error:
            found[name] = {"size": None, "head": str(error)}
    return found


def wants_cpm_kernels(folder: str) -> bool:
    """Tell whether the model's own code dequantises with cpm_kernels (upstream's does on a GPU)."""
    try:
        with open(os.path.join(folder, "quantization.py"), encoding="utf-8", errors="replace") as stream:
            return "cpm_kernels" in stream.read()
    except OSError:
        return False


def load_engine() -> Any:
    """Attach the engine to what is loaded from now on, as the launcher does for the demo; return its package."""
    path = os.path.join(os.path.dirname(os.environ["VIRTUAL_ENV"]), "lib", "engine", "__init__.py")
    spec: Any = importlib.util.spec_from_file_location("engine", path)
    package: Any = importlib.util.module_from_spec(spec)
    sys.modules["engine"] = package
    spec.loader.exec_module(package)
    package.hook()
    return package


def count_devices(model: Any) -> dict[str, int]:
    """Return how many parameters and buffers lie on each device."""
    found: dict[str, int] = {}
    for tensor in [*model.parameters(), *model.buffers()]:
        name = str(tensor.device)
        found[name] = found.get(name, 0) + 1
    return found


def input_width(config: Any, layer: str) -> int:
    """Return how many inputs a linear layer of a block has, by upstream's modeling code."""
    if layer == "dense_4h_to_h":
        return int(config.ffn_hidden_size)
    if layer == "dense":
        return int(config.kv_channels) * int(config.num_attention_heads)
    return int(config.hidden_size)


def count_int4(torch: Any, model: Any) -> dict[str, int]:
    """Return the linear layers of the blocks: how many there should be, and how many hold two weights per byte."""
    config = model.config
    packed = 0
    for name, module in model.named_modules():
        weight: Any = getattr(module, "weight", None)
        scale: Any = getattr(module, "weight_scale", None)
        if scale is None or getattr(weight, "dtype", None) is not torch.int8:
            continue
        width = input_width(config, name.rpartition(".")[2])
        if len(weight.shape) == 2 and weight.shape[1] * 2 == width and scale.shape[0] == weight.shape[0]:
            packed += 1
    return {"packed": packed, "expected": 4 * int(config.num_layers)}


def peak_rss() -> int:
    """Return the most memory (bytes) that this process has held; Linux counts ``ru_maxrss`` in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Watch:
    """A forward hook that looks at the raw logits of every step.

    Upstream's InvalidScoreLogitsProcessor turns nan and inf into token 5, so the answer alone would not show them.
    Nothing is copied from the device until the end: a copy at each step would slow what is measured.
    """

    def __init__(self, torch: Any, limit: int) -> None:
        """Watch at most ``limit`` steps; the next one raises EnoughError."""
        self.torch, self.limit = torch, limit
        self.steps = 0
        self.broken: Any = None
        self.largest: Any = None
        self.picked: list[Any] = []

    def __call__(self, _module: Any, _inputs: Any, output: Any) -> None:
        """Take note of one step."""
        if self.steps >= self.limit:
            raise EnoughError
        self.steps += 1
        logits = (output.logits if hasattr(output, "logits") else output[0])[:, -1]
        broken = (~self.torch.isfinite(logits)).sum()
        largest = self.torch.nan_to_num(logits.float(), 0.0, 0.0, 0.0).abs().max()
        self.broken = broken if self.broken is None else self.broken + broken
        self.largest = largest if self.largest is None else self.torch.maximum(self.largest, largest)
        self.picked.append(logits.argmax(-1))

    def result(self) -> dict[str, Any]:
        """Return the counts; the tokens are the greedy choice of each step."""
        tokens = [int(step[0]) for step in self.picked]
        return {
            "tokens": len(tokens),
            "distinct_tokens": len(set(tokens)),
            "nonfinite_logits": int(self.broken) if self.broken is not None else 0,
            "largest_logit": round(float(self.largest), 3) if self.largest is not None else None,
        }


def ask(model: Any, tokenizer: Any, question: str, watch: Watch, report: dict[str, Any]) -> None:
    """Answer ``question`` greedily within ``watch``'s limit; the measurements go into ``report``."""
    build = getattr(tokenizer, "build_prompt", None)
    prompt = build(question) if build else question
    report["prompt_tokens"] = len(tokenizer(prompt)["input_ids"])
    hook = model.register_forward_hook(watch)
    answer, partials, marks = "", 0, []
    start = time.monotonic()
    try:
        # As the demo calls it, but greedy. max_length counts the prompt too; the hook is the surer limit.
        for step in model.stream_chat(
            tokenizer,
            question,
            [],
            past_key_values=None,
            return_past_key_values=True,
            do_sample=False,
            max_length=report["prompt_tokens"] + watch.limit,
        ):
            marks.append((time.monotonic(), watch.steps))
            partials += step[0] != answer
            answer = step[0]
    except EnoughError:
        pass
    finally:
        hook.remove()
    report.update(watch.result())
    report.update(answer=answer, partials=partials, answer_seconds=round(time.monotonic() - start, 3))
    if marks:
        report["first_token_seconds"] = round(marks[0][0] - start, 3)
        steps, seconds = marks[-1][1] - marks[0][1], marks[-1][0] - marks[0][0]
        report["tokens_per_second"] = round(steps / seconds, 3) if steps and seconds > 0 else None


def run(request: dict[str, Any], report: dict[str, Any], phase: Any) -> None:
    """Fill ``report`` step by step, so that a failure leaves what was measured before it."""
    phase("imports")
    started = time.monotonic()
    report["versions"] = versions()
    report["files"] = probe_files(request["model_path"])
    report["gcc"] = shutil.which("gcc")
    torch = importlib.import_module("torch")
    transformers = importlib.import_module("transformers")
    name = os.environ.get("CHATGLM_ENGINE", "upstream")
    report["engine"] = {"name": name}
    engine = None if name == "upstream" else load_engine()
    report["import_seconds"] = round(time.monotonic() - started, 3)

    cuda = request["device"] == "cuda"
    if cuda:
        phase("probe")
        report["cuda"] = probe_cuda(torch)
        if engine is None and wants_cpm_kernels(request["model_path"]):
            report["cpm_kernels"] = probe_cpm_kernels()
        if not report["cuda"]["available"]:
            raise RuntimeError(f"CUDA is not available: {report['cuda'].get('error', 'no reason given')}")

    phase("tokenizer")
    started = time.monotonic()
    tokenizer = transformers.AutoTokenizer.from_pretrained(request["model_path"], trust_remote_code=True)
    phase("load")
    model = transformers.AutoModel.from_pretrained(request["model_path"], trust_remote_code=True)
    phase("place")
    model = (model.cuda() if cuda else model.float()).eval()
    report["load_seconds"] = round(time.monotonic() - started, 3)
    report["devices"] = count_devices(model)
    report["int4"] = count_int4(torch, model)
    report["rss_after_load"] = peak_rss()
    if engine is not None:
        phase("engine")
        report["engine"].update(engine.check(model))

    phase("answer")
    try:
        # In a thread, as gradio does it. In the main one, a tiny model on a busy CPU was seen to be ten times slower.
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            watch = Watch(torch, request["max_new_tokens"])
            pool.submit(ask, model, tokenizer, request["question"], watch, report).result()
    finally:
        report["rss_peak"] = peak_rss()
        if cuda:
            report["gpu"] = {
                "allocated_peak": torch.cuda.max_memory_allocated(),
                "reserved_peak": torch.cuda.max_memory_reserved(),
                "free_before": report["cuda"].get("free"),
                "free_after": torch.cuda.mem_get_info()[0],
                "total": report["cuda"].get("total"),
            }


def main(argument: str) -> None:
    """Run the request given as JSON; the report always comes, with ``error`` in it when something failed."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def emit(event: dict[str, Any]) -> None:
        answers.write(MARK + json.dumps(event) + "\n")
        answers.flush()

    report: dict[str, Any] = {}
    current = "start"

    def phase(name: str) -> None:
        nonlocal current
        current = name
        emit({"phase": name})

    try:
        run(json.loads(argument), report, phase)
    except Exception as error:
        traceback.print_exc()
        report["error"] = {"phase": current, "type": type(error).__name__, "message": str(error)[:2000]}
    emit({"report": report})


if __name__ == "__main__":
    main(sys.argv[1])
