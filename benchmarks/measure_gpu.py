"""Measure GPU memory and speed of an int4 ChatGLM2, beside what capacity.py computes, as JSON.

Usage, in the virtualenv (``~/chatglm/venv/bin/python``): ``python benchmarks/measure_gpu.py FOLDER``, the model's.
Without the true weights: copy the model's other files into a folder, and write weights of the same sizes with
``benchmarks/random_checkpoint.py FOLDER``; memory and speed do not depend on their values.

For each case, encode a prompt at once and generate tokens after it, with the calls that a chat makes. ``measured`` is
the most that torch reserved and the rest that the driver says is used (the CUDA context); ``computed`` is what
module_utils/chatglm/preflight/capacity.py says. On a CPU (--device cpu) only ``weights``, ``cache`` and the speed are
measured: that proves the terms that are counted in numbers, and nothing of what a GPU needs besides.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CASES = ((1, 64), (512, 64), (2048, 1), (1, 2047), (4096, 1), (1, 8191))


def project() -> tuple[Any, Any]:
    """Return module_utils/chatglm/'s capacity.py and nvidia.py; there is no Ansible in the virtualenv."""
    for name, folder in (("ansible", ROOT), ("ansible.module_utils", ROOT / "module_utils")):
        package = sys.modules.setdefault(name, types.ModuleType(name))
        package.__path__ = [*getattr(package, "__path__", []), str(folder)]
    from ansible.module_utils.chatglm.core import nvidia
    from ansible.module_utils.chatglm.preflight import capacity

    return capacity, nvidia


def free_before(nvidia: Any) -> int | None:
    """Return what the driver says is free on the first GPU; torch cannot tell without a context of its own."""
    for path in filter(os.path.exists, nvidia.SMI_PATHS):
        answer = subprocess.run(nvidia.smi_command(path), capture_output=True, text=True, timeout=60)
        for gpu in nvidia.parse_smi(answer.stdout):
            return int(gpu["memory_free"])
    return None


def shape_of(config: Any, capacity: Any) -> Any:
    """Return the model's shape, by its config."""
    return capacity.Shape(
        layers=config.num_layers,
        hidden=config.hidden_size,
        heads=config.num_attention_heads,
        head=config.kv_channels,
        groups=config.multi_query_group_num,
        ffn=config.ffn_hidden_size,
        vocabulary=config.padded_vocab_size,
        bits=config.quantization_bit or 16,
    )


def size(tensors: Any) -> int:
    """Return the bytes of the tensors as on a GPU: a CPU has floats of 4 bytes where a GPU has 2."""
    return sum(tensor.numel() * (2 if tensor.is_floating_point() else tensor.element_size()) for tensor in tensors)


def flat(value: Any) -> list[Any]:
    """Return all tensors of nested tuples."""
    return [value] if hasattr(value, "numel") else [tensor for part in value for tensor in flat(part)]


def run(torch: Any, model: Any, prompt: int, generated: int) -> dict[str, Any]:
    """Encode ``prompt`` tokens, generate the rest one by one, and return what was seen."""
    cuda = model.device.type == "cuda"
    gc.collect()
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def now() -> float:
        if cuda:
            torch.cuda.synchronize()
        return time.monotonic()

    def step(tokens: Any, place: int, past: Any) -> Any:
        positions = torch.arange(place, place + tokens.shape[1], device=model.device)[None]
        return model(
            input_ids=tokens, position_ids=positions, past_key_values=past, use_cache=True, return_last_logit=True
        )

    with torch.inference_mode():
        start = now()
        output = step(torch.randint(5, 100, (1, prompt), device=model.device), 0, None)
        first = now()
        for number in range(1, generated):
            # As generate() does it: the old cache is held until the new one is complete.
            token = output.logits[:, -1].argmax(-1, keepdim=True)
            output = step(token, prompt + number - 1, output.past_key_values)
        end = now()
    seen: dict[str, Any] = {
        "first_token_seconds": round(first - start, 3),
        "tokens_per_second": round((generated - 1) / (end - first), 2) if generated > 1 else None,
        "cache": size(flat(output.past_key_values)),
    }
    if cuda:
        free, total = torch.cuda.mem_get_info()
        reserved = torch.cuda.memory_reserved()
        seen["allocated"] = torch.cuda.max_memory_allocated()
        seen["reserved"] = torch.cuda.max_memory_reserved()
        # The context and its kernels, with what other programs hold; main() takes the latter off.
        seen["runtime"] = total - free - reserved
    return seen


def main() -> None:
    """Load, measure, print."""
    import torch
    import transformers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--case", metavar="PROMPT,GENERATED", action="append", help="several; default: six")
    options = parser.parse_args()
    cuda = options.device == "cuda"
    if cuda and not torch.cuda.is_available():
        parser.error("no CUDA device. Expected: a GPU. To do: --device cpu for what can be measured without one")
    cases = [tuple(map(int, case.split(","))) for case in options.case or ()] or CASES
    capacity, nvidia = project()
    before = free_before(nvidia) if cuda else None

    start = time.monotonic()
    model = transformers.AutoModel.from_pretrained(options.folder, trust_remote_code=True)
    model = (model.cuda() if cuda else model.float()).eval()
    shape = shape_of(model.config, capacity)
    result: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "torch": torch.__version__,
        "shape": shape._asdict(),
        "load_seconds": round(time.monotonic() - start, 1),
        "free_before": before,
        "weights": {"measured": size(model.state_dict().values()), "computed": capacity.weights(shape)},
        "cases": [],
    }
    for prompt, generated in cases:
        computed = capacity.memory(prompt, generated, shape=shape)
        case: dict[str, Any] = {"prompt": prompt, "generated": generated}
        try:
            seen = run(torch, model, prompt, generated)
        except torch.cuda.OutOfMemoryError as error:  # a finding; nothing is tried again with less
            result["cases"].append({**case, "error": str(error)[:300], "computed": computed.total})
            break
        case["seconds"] = {name: seen.pop(name) for name in ("first_token_seconds", "tokens_per_second")}
        case["measured"] = seen
        if cuda:
            if before is not None:
                seen["runtime"] -= torch.cuda.mem_get_info()[1] - before
            seen["total"] = seen["reserved"] + seen["runtime"]
            case["difference"] = seen["total"] - computed.total
        case["computed"] = {**computed._asdict(), "total": computed.total}
        result["cases"].append(case)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
