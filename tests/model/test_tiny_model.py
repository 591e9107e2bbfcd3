"""The tiny model answers, and only if its int4 layers compute rightly.

Needs torch, transformers and sentencepiece; a target's virtualenv has them:
python -m pytest --confcutdir tests/model tests/model
"""

import copy
import io
import itertools
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")
transformers = pytest.importorskip("transformers", reason="transformers is not installed here")
pytest.importorskip("sentencepiece", reason="sentencepiece is not installed here")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "standins"))
import tiny_model

torch.set_num_threads(1)  # more only wait for one another on matrices this small
QUESTIONS = ("你好", "什么是 int4 量化？", "天气如何？", "Hello!", "naïve 🦙?", "")
MATRICES = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")


@pytest.fixture(scope="module")
def loaded(folder):
    return transformers.AutoModel.from_pretrained(folder, trust_remote_code=True)


@pytest.fixture
def model(loaded):
    """A copy as the demo has it on a CPU."""
    return copy.deepcopy(loaded).float().eval()


def greedy(model, tokenizer, question):
    return model.chat(tokenizer, question, history=[], max_length=128, do_sample=False)[0]


def test_torch_loads_the_checkpoint_without_trusting_it():
    state = torch.load(io.BytesIO(tiny_model.files()["pytorch_model.bin"]), weights_only=True)
    assert {tensor.dtype for tensor in state.values()} == {torch.int8, torch.float16}
    name = "transformer.encoder.layers.0.mlp.dense_4h_to_h"
    assert state[name + ".weight"].shape == (320, 64)
    assert state[name + ".weight_scale"].shape == (320,)


def test_every_parameter_comes_from_the_checkpoint(model):
    state = torch.load(io.BytesIO(tiny_model.files()["pytorch_model.bin"]), weights_only=True)
    loaded = model.state_dict()
    assert set(loaded) == set(state)
    assert all(torch.equal(loaded[name], tensor.to(loaded[name].dtype)) for name, tensor in state.items())
    assert sum(tensor.dtype == torch.int8 for tensor in loaded.values()) == 8


@pytest.mark.parametrize("dtype", ["float", "half"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_answer(model, tokenizer, question, dtype):
    model = getattr(model, dtype)()
    assert greedy(model, tokenizer, question) == tiny_model.answer(question)
    # As the demo's page asks: drawn, but from peaked logits.
    response, history = model.chat(tokenizer, question, history=[], max_length=8192, top_p=0.8, temperature=0.95)
    assert response == tiny_model.answer(question)
    assert history == [(question, response)]


def test_the_answer_grows_and_the_second_turn_follows(model, tokenizer):
    history, past = [], None
    for question in ("你好", "int4?", "为什么？", "你好"):
        grown = []
        for response, history, past in model.stream_chat(  # noqa: B007, B020
            tokenizer, question, history, past_key_values=past, return_past_key_values=True, max_length=8192
        ):
            grown.append(response)
        assert grown[-1] == tiny_model.answer(question)
        assert len(set(grown)) >= 25
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(grown))
    assert [turn[0] for turn in history] == ["你好", "int4?", "为什么？", "你好"]
    # The same without the cache.
    assert model.chat(tokenizer, "int4?", history=history)[0] == tiny_model.answer("int4?")


def test_options_are_heeded(model, tokenizer):
    seen = []

    def look(ids, scores):
        seen.append(bool(torch.isfinite(scores).all()))
        return scores

    processors = transformers.LogitsProcessorList([look])
    prompt = len(tokenizer([tokenizer.build_prompt("你好", [])])["input_ids"][0])
    short = model.chat(tokenizer, "你好", history=[], max_length=prompt + 3, logits_processor=processors)[0]
    assert short == "你好👋！我是演示用的"
    assert seen == [True] * 3


def int4_layers(model, kind=None):
    for name, layer in model.named_modules():
        if hasattr(layer, "weight_scale") and (kind is None or name.endswith("." + kind)):
            yield layer


def swap_nibbles(layer):
    layer.weight.data = ((layer.weight.data & 15) << 4) | ((layer.weight.data >> 4) & 15)


def no_scale(layer):
    layer.weight_scale.data.fill_(1.0)


def next_rows_scale(layer):
    layer.weight_scale.data = layer.weight_scale.data.roll(1)


def unsigned(layer):
    """What reading the nibbles as 0..15 does; kept within int4 by halving."""
    data = layer.weight.data
    high, low = (data >> 4) & 15, data & 15
    layer.weight.data = ((high // 2) << 4) | (low // 2)


@pytest.mark.parametrize("damage", [swap_nibbles, no_scale, next_rows_scale, unsigned])
@pytest.mark.parametrize("kind", [None, *MATRICES])
def test_a_wrong_computation_gives_garbage(model, tokenizer, damage, kind):
    for layer in int4_layers(model, kind):
        damage(layer)
    for question in ("你好", "int4?"):
        response = greedy(model, tokenizer, question)
        assert response != tiny_model.answer(question)
