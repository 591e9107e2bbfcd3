"""The attention with a cache in place against the model's own: numbers, tuples of upstream's, what is freed.

As test_tiny_model.py, this needs a target's virtualenv. The model is the stand-in, whose modules have upstream's names
and arguments; test_engine.py runs upstream's own code where it is given, its greedy tokens included. No GPU: where an
embedding is kept out of one, torch's device ``meta`` stands for it, which shows what is moved, not what it computes.
"""

import copy
import gc
import sys
import weakref
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")
transformers = pytest.importorskip("transformers", reason="transformers is not installed here")

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "standins")]
import tiny_model

import engine
from engine import attention

torch.set_num_threads(1)  # more only wait for one another on matrices this small


@pytest.fixture(scope="module")
def own(folder):
    """The model's own attention, in float64."""
    model = transformers.AutoModel.from_pretrained(folder, trust_remote_code=True).double().eval()
    engine.attach(model, "torch")
    attention.detach(model)
    return model


@pytest.fixture(scope="module")
def model(own):
    made = copy.deepcopy(own)
    assert attention.attach(made)
    return made


def tokens(count, seed=1):
    return torch.randint(5, 260, (1, count), generator=torch.Generator().manual_seed(seed))


def ask(model, given, past=None, place=0, **named):
    places = torch.arange(place, place + given.shape[1])[None]
    with torch.inference_mode():
        return model(input_ids=given, position_ids=places, past_key_values=past, use_cache=True, **named)


def far(seen, right):
    """The largest difference of logits and of all keys and values."""
    pairs = [(seen.logits, right.logits)]
    layers = zip(seen.past_key_values, right.past_key_values, strict=True)
    pairs += [pair for layer in layers for pair in zip(*layer, strict=True)]
    assert all(one.shape == other.shape for one, other in pairs)
    return max(float((one - other).abs().max()) for one, other in pairs)


@pytest.mark.parametrize("chunk", [1, 16, 64, 128])
def test_a_prompt_in_chunks_is_the_whole_prompt(model, own, chunk, monkeypatch):
    monkeypatch.setattr(attention, "CHUNK", chunk)
    monkeypatch.setattr(attention, "BLOCK", 16)  # it grows, several times
    first, second, one = tokens(100), tokens(77, 2), tokens(1, 3)
    ours, theirs = ask(model, first), ask(own, first)
    assert isinstance(ours.past_key_values, attention.Past)
    assert far(ours, theirs) <= 1e-10
    ours, theirs = (ask(m, second, o.past_key_values, 100) for m, o in ((model, ours), (own, theirs)))
    assert far(ours, theirs) <= 1e-10
    ours, theirs = (ask(m, one, o.past_key_values, 177) for m, o in ((model, ours), (own, theirs)))
    assert far(ours, theirs) <= 1e-10
    last = ask(model, first, return_last_logit=True)
    assert last.logits.shape[1] == 1
    assert float((last.logits - ask(own, first).logits[:, -1:]).abs().max()) <= 1e-10


def test_of_a_long_prompt_no_more_than_a_chunk_is_computed_at_once(model, monkeypatch):
    monkeypatch.setattr(attention, "CHUNK", 32)
    seen = []
    for part in (model.transformer.encoder.layers[0].mlp, model.transformer.embedding, model.transformer.output_layer):
        handle = part.register_forward_hook(lambda _part, given, _out: seen.append(max(given[0].shape[:2])))
        seen_before = len(seen)
        ask(model, tokens(100), return_last_logit=True)
        handle.remove()
        assert len(seen) > seen_before
    assert max(seen) == 32


def test_a_step_copies_no_cache(model):
    given = ask(model, tokens(100)).past_key_values
    before = [held.data_ptr() for held in given.cache.held]
    after = ask(model, tokens(1), given, 100).past_key_values
    assert (after.cache, after.length) == (given.cache, 101)
    assert [held.data_ptr() for held in after.cache.held] == before


def test_a_past_is_a_value(model, own):
    """Go on from the same one twice, and from an earlier one, while the others are held."""
    start, right = ask(model, tokens(20)), ask(own, tokens(20))
    held = start.past_key_values
    copies = tuple(tuple(pair) for pair in held)
    one = ask(model, tokens(5, 2), held, 20)
    two = ask(model, tokens(5, 3), held, 20)
    assert one.past_key_values.cache is held.cache is not two.past_key_values.cache
    for seen, seed in ((one, 2), (two, 3)):
        assert far(seen, ask(own, tokens(5, seed), right.past_key_values, 20)) <= 1e-10
    assert all(torch.equal(torch.stack(now), torch.stack(then)) for now, then in zip(held, copies, strict=True))
    plain = copy.deepcopy(held)
    assert type(plain) is tuple
    assert far(ask(model, tokens(5, 2), plain, 20), one) <= 1e-10


def test_what_was_dropped_is_written_over(model, own):
    held = ask(model, tokens(20)).past_key_values
    cache = held.cache
    for seed in (2, 3):
        seen = ask(model, tokens(5, seed), held, 20)
        assert seen.past_key_values.cache is cache
        assert far(seen, ask(own, tokens(5, seed), ask(own, tokens(20)).past_key_values, 20)) <= 1e-10
        del seen


def test_the_models_own_tuples_are_taken(model, own):
    theirs = ask(own, tokens(20))
    seen = ask(model, tokens(1, 2), theirs.past_key_values, 20)
    assert isinstance(seen.past_key_values, attention.Past)
    assert far(seen, ask(own, tokens(1, 2), theirs.past_key_values, 20)) <= 1e-10


def test_a_cache_of_one_mode_is_good_in_another(model, own):
    places = torch.arange(20)[None]
    with torch.no_grad():
        seen = model(input_ids=tokens(20), position_ids=places)
    ask(model, tokens(1), seen.past_key_values, 20)
    held = ask(model, tokens(20)).past_key_values
    with torch.no_grad():
        seen = model(input_ids=tokens(1), position_ids=places[:, :1] + 20, past_key_values=held)
    assert far(seen, ask(own, tokens(1), ask(own, tokens(20)).past_key_values, 20)) <= 1e-10


UNLIKE = ["padding", "batch", "gradients", "training", "no cache"]


@pytest.mark.parametrize("unlike", UNLIKE)
@pytest.mark.parametrize("past", [False, True], ids=["alone", "behind others"])
def test_all_but_the_plain_case_is_the_models_own(model, own, unlike, past):
    rows, number = (2 if unlike == "batch" else 1), 20 if past else 0
    given = {"input_ids": tokens(12).expand(rows, -1), "use_cache": unlike != "no cache"}
    given["position_ids"] = torch.arange(number, number + 12)[None].expand(rows, -1)
    given["attention_mask"] = torch.ones(rows, number + 12, dtype=torch.long)
    if unlike == "padding":
        given["attention_mask"][:, :3] = 0
    found = []
    for each in (model, own):
        before = ask(each, tokens(20)).past_key_values if past else None
        if unlike == "batch" and past:
            before = [tuple(t.expand(-1, 2, -1, -1) for t in pair) for pair in before]
        each.train(unlike == "training")
        with torch.set_grad_enabled(unlike == "gradients"):
            found.append(each(**given, past_key_values=before))
        each.eval()
    assert not isinstance(found[0].past_key_values, attention.Past)
    assert torch.equal(found[0].logits, found[1].logits)


def streamed(model, tokenizer, question, before=((), None), steps=None, **named):
    """The pieces of an answer, then history and cache; after ``steps`` pieces it is cancelled."""
    pieces = []
    stream = model.stream_chat(
        tokenizer,
        question,
        list(before[0]),
        past_key_values=before[1],
        return_past_key_values=True,
        do_sample=False,
        **named,
    )
    for text, *rest in stream:
        pieces.append(text)
        kept = rest
        if len(pieces) == steps:
            break
    stream.close()
    return pieces, kept


def test_a_chat_of_three_turns_with_one_cancelled(model, own, tokenizer):
    told = []
    for each in (model, own):
        seen = []
        looked = transformers.LogitsProcessorList([lambda ids, scores, seen=seen: seen.append(ids.shape) or scores])
        pieces, kept = streamed(each, tokenizer, "你好", logits_processor=looked)
        cut = streamed(each, tokenizer, "int4?", kept, steps=4)
        # again from before what was cancelled; then from what was cancelled; then from nothing, as with history cleared
        again = streamed(each, tokenizer, "为什么？", kept)
        after = streamed(each, tokenizer, "int4?", cut[1])
        clear = streamed(each, tokenizer, "int4?")
        told.append((pieces, [(part[0], part[1][0]) for part in (cut, again, after, clear)], seen))
    assert told[0] == told[1]
    assert told[0][0][-1] == tiny_model.answer("你好")
    assert told[0][2]


def test_what_a_cancelled_answer_held_is_freed(model, tokenizer):
    stream = model.stream_chat(tokenizer, "你好", [], return_past_key_values=True, do_sample=False)
    past = next(stream)[2]
    cache = weakref.ref(past.cache)
    stream.close()
    assert cache() is not None
    del stream, past
    gc.collect()
    assert cache() is None


def test_a_failed_step_leaves_the_past_as_it_was(model, own, monkeypatch):
    held = ask(model, tokens(20)).past_key_values
    with monkeypatch.context() as patch:
        patch.setattr(model.transformer.encoder.layers[1].mlp, "forward", lambda _x: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ask(model, tokens(5, 2), held, 20)
    seen = ask(model, tokens(5, 3), held, 20)
    assert far(seen, ask(own, tokens(5, 3), ask(own, tokens(20)).past_key_values, 20)) <= 1e-10


@pytest.mark.parametrize("dtype", ["float", "half"])
def test_the_answer_in_other_types(own, tokenizer, dtype):
    made = getattr(copy.deepcopy(own), dtype)()
    assert attention.attach(made)
    assert streamed(made, tokenizer, "你好")[0][-1] == tiny_model.answer("你好")


def test_the_engine_brings_it_and_upstream_goes_without(own):
    made = copy.deepcopy(own)
    names = set(made.state_dict())
    engine.attach(made, "torch")
    assert isinstance(ask(made, tokens(3)).past_key_values, attention.Past)
    assert set(made.state_dict()) == names
    engine.attach(made, "upstream")
    bound = [name for name, module in made.named_modules() if "forward" in module.__dict__]
    assert bound == []
    assert not attention.attach(torch.nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("free", "told", "stays"),
    [
        (4 << 30, "", False),
        ((768 << 20) + 500, "", False),
        ((768 << 20) + 499, "", True),
        (4 << 30, "cpu", True),
        (0, "gpu", False),
    ],
)
def test_when_the_embedding_stays_on_the_cpu(free, told, stays):
    assert attention.stays_on_cpu(free, 500, told) is stays


@pytest.mark.parametrize("told", ["cpu", "gpu"])
def test_where_the_embedding_is(own, told, monkeypatch):
    monkeypatch.setattr(attention, "GPUS", ("meta",))
    monkeypatch.setenv(attention.EMBEDDING, told)
    made = copy.deepcopy(own)
    attention.attach(made)
    made.half().to("meta")
    places = {name: value.device.type for name, value in made.named_parameters() if value.device.type != "meta"}
    assert places == ({"transformer.embedding.word_embeddings.weight": "cpu"} if told == "cpu" else {})
    assert made.transformer.embedding.word_embeddings.weight.dtype == torch.float16
    assert made.device.type == "meta"  # where upstream's chat puts the tokens
