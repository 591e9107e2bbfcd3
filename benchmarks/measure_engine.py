"""Measure the int4 engines ``fused`` and ``torch`` (engine/) beside the model's own int4 code, on the CPU, as JSON.

Usage, in the virtualenv: ``python benchmarks/measure_engine.py FOLDER``, which holds the model repository's code and
config.json. A random checkpoint of the true shape, but of few layers, is written to a temporary folder (1.4 GB) and
loaded once; all engines run on it in turn: a prompt, then tokens one by one, each time the best of all rounds. The
time of the true number of layers is computed from that with few layers and with one. The model's own code needs gcc.

``fused_unavailable``: why ``fused`` was plain torch; ``read_bandwidth``: bytes a second, by summing 512 MB with torch
in the same run; ``same_tokens``: all engines chose the same tokens, greedily; ``check``: of fused, see engine.check.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]


def generate(torch: Any, model: Any, prompt: Any, count: int) -> tuple[list[int], float, float]:
    """Return ``count`` greedy tokens, the seconds to the first, and the seconds of the quickest one after it."""

    def step(tokens: Any, place: int, past: Any) -> Any:
        positions = torch.arange(place, place + tokens.shape[1])[None]
        return model(
            input_ids=tokens, position_ids=positions, past_key_values=past, use_cache=True, return_last_logit=True
        )

    with torch.inference_mode():
        start = time.perf_counter()
        output = step(prompt, 0, None)
        first, tokens, best = time.perf_counter() - start, [], float("inf")
        for number in range(count):
            tokens.append(int(output.logits[0, -1].argmax()))
            start = time.perf_counter()
            output = step(torch.tensor([tokens[-1:]]), prompt.shape[1] + number, output.past_key_values)
            best = min(best, time.perf_counter() - start)
    return tokens, first, best


def read_bandwidth(torch: Any) -> float:
    """Return the bytes a second at which torch's threads sum what is in memory: the best of five times."""
    numbers, best = torch.ones(128 << 20), float("inf")
    for _ in range(5):
        start = time.perf_counter()
        numbers.sum()
        best = min(best, time.perf_counter() - start)
    return float(numbers.nbytes) / best


def main() -> None:
    """Build, load, measure, print."""
    import random_checkpoint
    import torch
    import transformers

    import engine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "model")
        folder.mkdir()
        for path in options.folder.glob("*.py"):
            shutil.copy(path, folder)
        config = json.loads((options.folder / "config.json").read_text(encoding="utf-8"))
        true_layers = config["num_layers"]
        (folder / "config.json").write_text(json.dumps({**config, "num_layers": options.layers}), encoding="utf-8")
        state = random_checkpoint.build({**config, "num_layers": options.layers}, random_checkpoint.Mapped(folder))
        torch.save(state, folder / "pytorch_model.bin")
        model = transformers.AutoModel.from_pretrained(folder, trust_remote_code=True).float().eval()
        encoder = model.transformer.encoder
        prompt = torch.randint(5, min(60000, config["padded_vocab_size"]), (1, options.prompt))
        loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        found: dict[str, Any] = {kind: {"peak_rss": 0} for kind in engine.ENGINES}
        chosen: dict[str, list[int]] = {}
        for _ in range(options.rounds):
            for kind, seen in found.items():
                engine.attach(model, kind)
                for layers in (1, options.layers):
                    encoder.num_layers = layers
                    tokens, first, each = generate(torch, model, prompt, options.tokens)
                    for what, seconds in ((f"first_{layers}", first), (f"token_{layers}", each)):
                        seen[what] = min(seen.get(what, seconds), seconds)
                chosen[kind] = tokens
                seen["peak_rss"] = seen["peak_rss"] or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        engine.attach(model, "fused")
        checked = engine.check(model)
    for seen in found.values():
        for what in ("first", "token"):
            one, few = seen[f"{what}_1"], seen[f"{what}_{options.layers}"]
            seen[f"{what}_{true_layers}_computed"] = one + (few - one) / (options.layers - 1) * (true_layers - 1)
    ratios = {
        f"{kind}_{what}_times_as_fast": round(found["upstream"][key] / found[kind][key], 2)
        for kind in ("fused", "torch")
        for what, key in (("first", f"first_{true_layers}_computed"), ("token", f"token_{true_layers}_computed"))
    }
    result = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "prompt": options.prompt,
        "loaded_rss": loaded,
        "engines": found,
        **ratios,
        "fused_unavailable": engine.unavailable("fused", "cpu"),
        "read_bandwidth": round(read_bandwidth(torch)),
        "same_tokens": chosen["fused"] == chosen["torch"] == chosen["upstream"],
        "check": checked,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
