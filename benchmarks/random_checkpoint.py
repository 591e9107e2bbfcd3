"""Write a random int4 checkpoint in the shape of a folder's config.json, to measure memory and speed without weights.

Usage, in the virtualenv: ``python benchmarks/random_checkpoint.py FOLDER`` where FOLDER holds the model repository's
other files (config.json, the *.py files, tokenizer.model). With the config of chatglm2-6b-int4 the file has 3.9 GB,
as the true one. The answers are nonsense, but every size, type and step of the computation is the true model's.
Each tensor is a mapped file until it is saved, so little memory is needed; the disk needs twice the file's size.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

# The tokenizer of chatglm2-6b knows the ids 1 to 64789; the output layer has rows for more.
KNOWN_IDS = 64790
EOS_ID = 2
INT4_SPREAD = 4.6  # standard deviation of the integers -8 to 7


class Mapped:
    """Makes tensors that live in files of a temporary folder."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``."""
        self.folder, self.count = folder, 0

    def tensor(self, dtype: Any, *shape: int) -> Any:
        """Return a tensor of zeros."""
        import torch

        self.count += 1
        return torch.from_file(
            str(self.folder / str(self.count)), shared=True, size=math.prod(shape), dtype=dtype
        ).reshape(shape)


def build(config: dict[str, Any], mapped: Mapped) -> OrderedDict[str, Any]:
    """Return the tensors by upstream's parameter names; scales keep the activations near one."""
    import torch

    hidden, ffn, vocab = config["hidden_size"], config["ffn_hidden_size"], config["padded_vocab_size"]
    head, heads, groups = config["kv_channels"], config["num_attention_heads"], config["multi_query_group_num"]
    qkv = head * (heads + 2 * groups)
    state: OrderedDict[str, Any] = OrderedDict()

    def normal(name: str, spread: float, *shape: int) -> Any:
        state[name] = mapped.tensor(torch.float16, *shape)
        return state[name].normal_(0, spread)

    def linear(name: str, rows: int, columns: int) -> None:
        weight = mapped.tensor(torch.int8, rows, columns // 2)
        state[f"{name}.weight"] = weight.random_(-128, 128)
        state[f"{name}.weight_scale"] = torch.full((rows,), 1 / (INT4_SPREAD * math.sqrt(columns))).half()

    normal("transformer.embedding.word_embeddings.weight", 1.0, vocab, hidden)
    half = head // 2
    state["transformer.rotary_pos_emb.inv_freq"] = (1.0 / 10000 ** (torch.arange(0, half, 2).float() / half)).half()
    for number in range(config["num_layers"]):
        layer = f"transformer.encoder.layers.{number}"
        state[f"{layer}.input_layernorm.weight"] = torch.ones(hidden).half()
        linear(f"{layer}.self_attention.query_key_value", qkv, hidden)
        normal(f"{layer}.self_attention.query_key_value.bias", 0.1, qkv)
        linear(f"{layer}.self_attention.dense", hidden, head * heads)
        state[f"{layer}.post_attention_layernorm.weight"] = torch.ones(hidden).half()
        linear(f"{layer}.mlp.dense_h_to_4h", 2 * ffn, hidden)
        linear(f"{layer}.mlp.dense_4h_to_h", hidden, ffn)
    state["transformer.encoder.final_layernorm.weight"] = torch.ones(hidden).half()
    output = normal("transformer.output_layer.weight", 2.0 / math.sqrt(hidden), vocab, hidden)
    # Ids that the tokenizer cannot decode, and the end of the answer, are never the most likely ones.
    output[0] = output[EOS_ID] = 0
    output[KNOWN_IDS:] = 0
    return state


def main() -> None:
    """Write FOLDER/pytorch_model.bin."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    config = json.loads((options.folder / "config.json").read_text(encoding="utf-8"))
    torch.manual_seed(options.seed)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        torch.save(build(config, Mapped(Path(folder))), options.folder / "pytorch_model.bin")
    print(f"{(options.folder / 'pytorch_model.bin').stat().st_size} bytes")


if __name__ == "__main__":
    main()
