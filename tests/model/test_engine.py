"""The int4 engine: its arithmetic against float64, what it leaves alone, the tiny model's tokens with and without it.

As test_tiny_model.py, this needs a target's virtualenv. Upstream's own code is not part of this repository: name a
folder with it (config.json and the *.py files of the model repository) in CHATGLM_REMOTE_CODE to have that run too.
"""

import copy
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")
transformers = pytest.importorskip("transformers", reason="transformers is not installed here")

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "standins"), str(ROOT / "benchmarks")]
import random_checkpoint
import tiny_model
from int4_layer import Layer, weights

import engine
from engine import int4

# The four layers of a block, out and in: those of chatglm2-6b-int4 divided by 16.
SHAPES = {"query_key_value": (288, 256), "dense": (256, 256), "dense_h_to_4h": (1712, 256), "dense_4h_to_h": (256, 856)}
BOUND = {torch.float32: 8, torch.float16: 2, torch.bfloat16: 2}


def whole(packed):
    """The weights by the packing's definition, number by number."""

    def signed(nibble):
        return nibble - 16 if nibble > 7 else nibble

    rows = [[n for byte in row for n in (signed((byte & 255) >> 4), signed(byte & 15))] for row in packed.tolist()]
    return torch.tensor(rows, dtype=torch.float64)


def layer(kind="dense", values="random", dtype=torch.float32):
    torch.manual_seed(1)
    out, columns = SHAPES[kind]
    packed, scale = weights(out, columns, values)
    bias = torch.randn(out).to(dtype) if kind == "query_key_value" else None
    return Layer(packed, scale.to(dtype), bias)


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("values", ["random", "extreme"])
@pytest.mark.parametrize("kind", SHAPES)
def test_the_product_is_that_of_float64(kind, values, dtype, monkeypatch):
    module = layer(kind, values, dtype)
    exact = whole(module.weight) * module.weight_scale.double()[:, None]
    assert torch.equal(exact, int4.reference(module.weight, module.weight_scale))
    engine.attach(module, "torch")
    for rows in (*range(1, 9), 64):
        for size in (1, 10_000, 1 << 21):  # slices of a row; of several, and a shorter last one; a whole matrix
            monkeypatch.setitem(int4.SLICE, "cpu", size)
            inputs = torch.randn(1, rows, exact.shape[1]).to(dtype)
            bias = 0.0 if module.bias is None else module.bias.double()
            seen, right = module(inputs), inputs.double() @ exact.T + bias
            allowed = BOUND[dtype] * torch.finfo(dtype).eps * (inputs.double().abs() @ exact.abs().T + abs(bias))
            assert (seen.dtype, seen.shape) == (dtype, right.shape)
            assert bool(((seen.double() - right).abs() <= allowed).all())


def test_large_sums_do_not_overflow_in_fp16():
    module = engine.attach(layer("dense_4h_to_h", "extreme", torch.float16), "torch")
    inputs = torch.full((1, 856), 200.0, dtype=torch.float16) * torch.sign(whole(module.weight)[0]).half()
    assert float((inputs.double() @ whole(module.weight)[0]).abs()) > 65504
    assert bool(torch.isfinite(module(inputs)).all())


def test_a_slice_is_all_that_is_unpacked(monkeypatch):
    module, sizes = engine.attach(layer("dense_h_to_4h"), "torch"), []
    original = torch.Tensor.new_empty
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda self, *size: sizes.append(size) or original(self, *size))
    monkeypatch.setitem(int4.SLICE, "cpu", 32 << 10)
    module(torch.randn(1, 256))
    assert sizes == [(32, 256), (1, 1712)]  # 32 rows of 256 floats are 32 KiB


def test_attaching_changes_nothing_but_forward():
    model = torch.nn.Sequential(layer("dense"), torch.nn.Linear(256, 4))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert engine.attach(model, "torch") is model
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    inputs = torch.randn(2, 256)
    answer = model(inputs)
    assert torch.allclose(copy.deepcopy(model).double()(inputs.double()).float(), answer, atol=1e-4)
    engine.attach(model, "upstream")
    with pytest.raises(RuntimeError, match="upstream's kernels"):
        model(inputs)


def test_a_call_outside_of_inference_mode_works_and_no_gradient_is_made_up(monkeypatch):
    monkeypatch.setitem(int4.SLICE, "cpu", 64 << 10)  # a buffer for several slices
    module, inputs = engine.attach(layer(), "torch"), torch.randn(3, 256)
    answer = module(inputs.clone().requires_grad_())
    assert torch.equal(answer.detach(), module(inputs))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        answer.sum().backward()


@pytest.mark.parametrize("unlike", ["bits", "rows", "scales"])
def test_other_layers_are_refused(unlike):
    module = layer()
    if unlike == "bits":
        module.weight_bit_width = 8
    elif unlike == "rows":
        module.weight.data = module.weight.data[0]
    else:
        module.weight_scale.data = module.weight_scale.data[1:]
    with pytest.raises(ValueError, match="expected int4"):
        engine.attach(torch.nn.Sequential(module), "torch")
    with pytest.raises(ValueError, match=r"quick.*expected one of fused, torch, upstream"):
        engine.attach(module, "quick")


def swapped(inputs, packed, scale):
    return PRODUCT(inputs, ((packed & 15) << 4) | ((packed >> 4) & 15), scale)


def unscaled(inputs, packed, scale):
    return PRODUCT(inputs, packed, torch.ones_like(scale))


def unsigned(inputs, packed, scale):
    low = (packed & 15).to(inputs.dtype)
    columns = torch.stack(((packed >> 4).to(inputs.dtype), low), -1).flatten(1) * scale[:, None]
    return inputs @ columns.T


def next_rows_scale(inputs, packed, scale):
    return PRODUCT(inputs, packed, scale.roll(1))


def no_number(inputs, packed, scale):
    return PRODUCT(inputs, packed, scale) * float("nan")


def wrong_prompt(inputs, packed, scale):
    """Right for a single token only."""
    return PRODUCT(inputs.roll(int(inputs.shape[0] > 1), 1), packed, scale)


PRODUCT = int4.product


@pytest.mark.parametrize("mutation", [swapped, unscaled, unsigned, next_rows_scale, no_number, wrong_prompt])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_a_wrong_result_is_seen_and_named(mutation, dtype, monkeypatch):
    model = torch.nn.ModuleDict({kind: layer(kind, dtype=dtype) for kind in SHAPES})
    engine.attach(model, "torch")
    good = engine.check(model)
    assert (good["layers"], good["wrong"]) == (4, [])
    assert 0 < good["worst"] < 0.6
    monkeypatch.setattr(int4, "product", mutation)
    bad = engine.check(model)
    assert bad["wrong"] == list(SHAPES)
    assert bad["worst"] > 3


def tokens_of(model, turns, steps):
    """Greedy tokens of several turns with the cache kept, as a chat goes."""
    chosen, past, place = [], None, 0
    with torch.inference_mode():
        for turn in range(turns):
            given = torch.arange(5 + turn, 16 + turn)[None]
            for _ in range(steps):
                positions = torch.arange(place, place + given.shape[1])[None]
                output = model(input_ids=given, position_ids=positions, past_key_values=past, use_cache=True)
                place, past = place + given.shape[1], output.past_key_values
                given = output.logits[:, -1].argmax(-1, keepdim=True)
                chosen.append(int(given))
    return chosen


def compare(model):
    """Both engines choose the same tokens; returns how many different ones."""
    engine.attach(model, "upstream")
    right = tokens_of(model, 3, 200)
    engine.attach(model, "torch")
    assert tokens_of(model, 3, 200) == right
    return len(set(right))


def test_the_tiny_models_tokens_are_the_same(tmp_path, monkeypatch):
    tiny_model.write(tmp_path / "tiny")
    base = transformers.PreTrainedModel
    monkeypatch.setattr(base, "from_pretrained", base.__dict__["from_pretrained"])  # to be set back
    monkeypatch.setenv(engine.VARIABLE, "torch")
    engine.hook()
    model, told = transformers.AutoModel.from_pretrained(
        tmp_path / "tiny", trust_remote_code=True, output_loading_info=True
    )
    assert told["missing_keys"] == []
    bound = [name for name, module in engine.layers(model) if "forward" in module.__dict__]
    assert len(bound) == 8
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "tiny", trust_remote_code=True)
    for dtype in ("float", "half"):
        answer = getattr(model, dtype)().chat(tokenizer, "你好", history=[], max_length=128, do_sample=False)[0]
        assert answer == tiny_model.answer("你好")
    model = model.float().eval()
    assert engine.check(model)["wrong"] == []
    compare(model)


@pytest.mark.skipif(
    "CHATGLM_REMOTE_CODE" not in os.environ,
    reason="upstream's own code is not here: CHATGLM_REMOTE_CODE=FOLDER names it",
)
def test_upstreams_own_code_gives_the_same_tokens(tmp_path):
    given = Path(os.environ["CHATGLM_REMOTE_CODE"])
    folder = tmp_path / "upstream"
    folder.mkdir()
    for path in given.glob("*.py"):
        shutil.copy(path, folder)
    config = json.loads((given / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_size": 256, "ffn_hidden_size": 856, "num_layers": 3, "num_attention_heads": 8, "kv_channels": 32}
    config |= {"padded_vocab_size": random_checkpoint.KNOWN_IDS}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.manual_seed(1)
    state = random_checkpoint.build(config, random_checkpoint.Mapped(tmp_path))
    torch.save(state, folder / "pytorch_model.bin")
    model = transformers.AutoModel.from_pretrained(folder, trust_remote_code=True).float().eval()
    assert len(list(engine.layers(model))) == 12
    assert compare(model) > 10
