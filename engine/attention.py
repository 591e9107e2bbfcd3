"""ChatGLM2's attention with a cache that is kept in place: exact but for the order of rounding.

Upstream makes the whole cache anew at each step (``torch.cat``) and repeats its 2 groups of keys and values for all 32
heads: 7.5 GB of traffic a token at 8192 tokens, beside 3.4 GB of weights. Here

* a layer's keys and values are written behind those that it holds, and read as they are: for one token the 16 heads of
  a group are 16 rows of one product; for several, the heads of a group share its keys by a stride of zero;
* a prompt goes through in chunks of CHUNK tokens, so that what is computed on the way stays small;
* the table of rotary angles is made once, not at each step;
* the embedding stays in the CPU's memory where the GPU is short of it (see :func:`stays_on_cpu`).

What upstream hands about as ``past_key_values`` is a :class:`Past`. It counts as a value: whoever holds one may go on
from it as often as he likes. A cache is shared with a shorter Past as long as no longer one is alive, and copied
otherwise; it is freed with the last of them, thus also where a generation is cancelled.

The plain case alone goes this way: one sequence, nothing masked, no gradients. All else (beams, padding, training)
takes upstream's own path, with this cache's content where it is asked for.

The modules are found by their attributes, which are those of THUDM/chatglm2-6b-int4's modeling_chatglm.py. Shapes:
n tokens, 1 sequence, h hidden, g groups, r heads a group, c channels a head.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch

CHUNK = 512
"""Tokens of a prompt that are computed at once."""

BLOCK = 1024
"""Tokens by which a cache grows: 28 MiB in all layers of chatglm2-6b, copied once."""

GPUS = ("cuda",)
"""Kinds of device whose memory the embedding may be too large for."""

EMBEDDING = "CHATGLM_EMBEDDING"
"""Environment: ``cpu`` or ``gpu`` for where the embedding is to be; else free memory decides."""

ROOM = 768 << 20
"""Bytes that are to stay free beside the model, or its embedding goes to the CPU: a conversation of 8192 tokens (cache
280 MiB, 150 MiB on the way) and what the allocator and the kernels take. Computed, not measured on a GPU."""


class Cache:
    """Keys and values of one conversation, by layer: [2, g, capacity, c], keys first."""

    def __init__(self, layers: int) -> None:
        """Hold nothing yet, for so many layers."""
        self.held: list[torch.Tensor | None] = [None] * layers
        self.asked = 0
        """Tokens that are known to come: room is made for them at once."""
        self.pasts: weakref.WeakSet[Past] = weakref.WeakSet()
        self.lock = threading.Lock()

    def room(self, layer: int, valid: int, end: int, like: torch.Tensor) -> torch.Tensor:
        """Return a layer's tensor with room for ``end`` tokens of the form of ``like``; keep the first ``valid``."""
        held = self.held[layer]
        frozen = held is not None and held.is_inference() and not torch.is_inference_mode_enabled()
        if held is None or frozen or held.shape[2] < end or (held.dtype, held.device) != (like.dtype, like.device):
            groups, channels = like.shape[-2:]
            capacity = -(-max(end, self.asked) // BLOCK) * BLOCK
            made = like.new_empty(2, groups, capacity, channels)
            if held is not None:
                made[:, :, :valid] = held[:, :, :valid]
            self.held[layer] = held = made  # the old one is freed here, layer by layer
        return held

    def copy(self, length: int) -> Cache:
        """Return a cache of its own with the first ``length`` tokens."""
        made = Cache(len(self.held))
        for layer, held in enumerate(self.held):
            if held is not None:
                made.held[layer] = held.new_empty(*held.shape[:2], -(-length // BLOCK) * BLOCK, held.shape[3])
                made.held[layer][:, :, :length] = held[:, :, :length]  # type: ignore[index]
        return made


class Past(Sequence[Any]):
    """What upstream takes for its tuple of a (key, value) a layer, each [n, 1, g, c]: copies, made when asked for."""

    def __init__(self, cache: Cache, length: int) -> None:
        """Stand for the first ``length`` tokens of ``cache``."""
        self.cache, self.length = cache, length
        cache.pasts.add(self)

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self.cache.held)

    def __getitem__(self, index: Any) -> Any:
        """Return copies, which stay as they are whatever is written to the cache."""
        if isinstance(index, slice):
            return tuple(self[number] for number in range(len(self))[index])
        held = self.cache.held[index]
        if held is None:
            raise IndexError(index)
        both = held[:, :, : self.length].permute(0, 2, 1, 3).unsqueeze(2)
        return tuple(both.clone(memory_format=torch.contiguous_format))

    def __reduce__(self) -> Any:
        """Be copied and pickled as plain tensors."""
        return tuple, (tuple(self),)


class Step:
    """A pass through the layers: what the attention of each needs. Takes the place of upstream's mask."""

    def __init__(self, past: Past, start: int) -> None:
        """Write the tokens from ``start`` to the end of ``past``."""
        self.past, self.start, self.bias = past, start, None

    def visible(self, like: torch.Tensor) -> torch.Tensor | None:
        """Return what is added to the scores of tokens behind others, [n, start + n]: 0, or -inf for later ones."""
        count, end = self.past.length - self.start, self.past.length
        if self.bias is None or (self.bias.dtype, self.bias.device) != (like.dtype, like.device):
            # of columns divisible by 16, as torch's kernels need: else each layer would copy it
            whole = like.new_full((count, -(-end // 16) * 16), float("-inf"))
            self.bias = whole.triu_(self.start + 1)[:, :end]
        return self.bias


def extended(given: Any, count: int, layers: int, ahead: int) -> tuple[Past, int]:
    """Return a Past of ``count`` tokens more than ``given``, and where they start.

    Args:
        given: a Past, upstream's tuple, or nothing; what it holds stays as it is.
        count: tokens about to be written.
        layers: of the model.
        ahead: tokens known to come, those included.

    """
    if isinstance(given, Past):
        cache, start = given.cache, given.length
    else:
        cache, start = Cache(layers), 0
        for layer, (key, value) in enumerate(given or ()):
            start = key.shape[0]
            cache.room(layer, 0, start + ahead, key)[:, :, :start] = torch.stack((key, value))[:, :, 0].transpose(1, 2)
    with cache.lock:
        if any(other.length > start for other in cache.pasts):
            cache = cache.copy(start)
        cache.asked = start + ahead
        return Past(cache, start + count), start


def attend(query: torch.Tensor, both: torch.Tensor, step: Step) -> torch.Tensor:
    """Return softmax(query key^T / sqrt(c)) value, [n, g, r, c], each token seeing itself and those before it.

    Args:
        query: [n, g, r, c], the last n tokens.
        both: keys and values of all tokens, [2, g, start + n, c].
        step: where they start.

    """
    keys, values = both
    product = torch.nn.functional.scaled_dot_product_attention
    count, groups, heads, channels = query.shape
    if count == 1:
        return product(query, keys[None], values[None])
    shape = groups, heads, keys.shape[1], channels
    bias = step.visible(query) if step.start else None
    found = product(
        query.permute(1, 2, 0, 3),
        keys[:, None].expand(shape),
        values[:, None].expand(shape),
        bias,
        is_causal=bias is None,
    )
    return found.permute(2, 0, 1, 3)


def rotated(states: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Return ``states`` [n, 1, heads, c] with pairs of their first channels turned by ``angles`` [n, 1, pairs, 2]."""
    pairs = angles.shape[-2]
    angles = angles[: states.shape[0]].reshape(states.shape[0], -1, 1, pairs, 2)
    cosine, sine = angles.unbind(-1)
    first, second = states[..., : 2 * pairs].unflatten(-1, (pairs, 2)).unbind(-1)
    turned = torch.stack((first * cosine - second * sine, second * cosine + first * sine), -1).flatten(-2)
    return torch.cat((turned.to(states.dtype), states[..., 2 * pairs :]), -1)


def self_attention(module: Any, *given: Any, **named: Any) -> Any:
    """Compute a layer's attention: in place of upstream's, which is called for all but a :class:`Step`."""
    own = type(module).forward
    arguments = signature(own).bind(module, *given, **named).arguments
    step = arguments.get("attention_mask")
    if not isinstance(step, Step):
        return own(module, *given, **named)
    channels, groups = module.hidden_size_per_attention_head, module.num_multi_query_groups_per_partition
    heads = module.num_attention_heads_per_partition
    mixed = module.query_key_value(arguments["hidden_states"]).unflatten(-1, (-1, channels))
    query, key, value = mixed.split((heads, groups, groups), dim=2)
    query, key = (rotated(states, arguments["rotary_pos_emb"]) for states in (query, key))
    cache, layer, start, end = step.past.cache, arguments["kv_cache"], step.start, step.past.length
    held = cache.room(layer, start, end, key)
    held[0, :, start:end], held[1, :, start:end] = key[:, 0].transpose(0, 1), value[:, 0].transpose(0, 1)
    context = attend(query[:, 0].unflatten(1, (groups, -1)), held[:, :, :end], step)
    return module.dense(context.reshape(end - start, 1, -1)), layer


@functools.lru_cache(maxsize=16)
def signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return a function's parameters."""
    return inspect.signature(function)


PLAIN = {
    "input_ids",
    "position_ids",
    "attention_mask",
    "past_key_values",
    "use_cache",
    "return_dict",
    "return_last_logit",
}
"""Arguments that the plain case may have; each other one, where it is not None or False, is upstream's matter."""


def plain(transformer: Any, given: dict[str, Any]) -> bool:
    """Tell whether a call is the plain case: one sequence of known tokens, all visible, cached, no gradients."""
    config, tokens, mask = transformer.config, given.get("input_ids"), given.get("attention_mask")
    cached = given.get("use_cache")
    return (
        not torch.is_grad_enabled()
        and not transformer.training
        and tokens is not None
        and tokens.shape[0] == 1
        and bool(config.use_cache if cached is None else cached)
        and not config.output_hidden_states
        and not config.output_attentions
        and getattr(transformer, "pre_seq_len", None) is None
        and not any(value is not None and value is not False for name, value in given.items() if name not in PLAIN)
        and (mask is None or bool(mask.all()))
    )


def positions(given: dict[str, Any]) -> torch.Tensor:
    """Return the tokens' places, [1, n]; where none are given, upstream counts from 0, whatever came before."""
    found = given.get("position_ids")
    tokens = given["input_ids"]
    return torch.arange(tokens.shape[1], device=tokens.device)[None] if found is None else found


def run(transformer: Any, given: dict[str, Any], ahead: int = 0) -> Any:
    """Pass tokens through upstream's transformer, chunk by chunk; yield its output for each, with a Past."""
    own, tokens, places, past = (
        type(transformer).forward,
        given["input_ids"],
        positions(given),
        given.get("past_key_values"),
    )
    layers, total = transformer.encoder.num_layers, tokens.shape[1]
    for first in range(0, total, CHUNK):
        part = tokens[:, first : first + CHUNK]
        past, start = extended(past, part.shape[1], layers, total + ahead - first)
        step = Step(past, start)
        output = own(
            transformer,
            input_ids=part,
            position_ids=places[:, first : first + CHUNK],
            full_attention_mask=step,
            past_key_values=range(layers),
            use_cache=True,
            return_dict=True,
        )
        output.past_key_values = past
        yield output


def transformer_forward(transformer: Any, *args: Any, **named: Any) -> Any:
    """Take the place of upstream's ChatGLMModel.forward."""
    own = type(transformer).forward
    given = signature(own).bind(transformer, *args, **named).arguments
    if not plain(transformer, {name: value for name, value in given.items() if name != "self"}):
        return own(transformer, *args, **named)
    states = []
    for output in run(transformer, given):
        states.append(output.last_hidden_state)
    output.last_hidden_state = torch.cat(states) if len(states) > 1 else states[0]
    told = given.get("return_dict")
    return output if (transformer.config.use_return_dict if told is None else told) else output.to_tuple()


def model_forward(model: Any, *args: Any, **named: Any) -> Any:
    """Take the place of upstream's ChatGLMForConditionalGeneration.forward.

    Where the last token's logits alone are asked for, of the chunks before the last one only the cache is kept.
    """
    own = type(model).forward
    given = signature(own).bind(model, *args, **named).arguments
    given.pop("self", None)
    tokens = given.get("input_ids")
    if (
        tokens is not None
        and tokens.shape[1] > CHUNK
        and given.get("return_last_logit")
        and plain(model.transformer, given)
    ):
        last = (tokens.shape[1] - 1) % CHUNK + 1
        places = positions(given)
        begin = {**given, "input_ids": tokens[:, :-last], "position_ids": places[:, :-last]}
        for output in run(model.transformer, begin, ahead=last):
            past = output.past_key_values
        output = None
        given |= {"input_ids": tokens[:, -last:], "position_ids": places[:, -last:], "past_key_values": past}
        given["attention_mask"] = None
    return own(model, **given)


def rotary_forward(module: Any, *args: Any, **named: Any) -> Any:
    """Return upstream's table of rotary angles, made once for a type, a device and a length."""
    frequencies = module.inv_freq
    key = args, tuple(named.items()), frequencies.dtype, frequencies.device, frequencies.data_ptr()
    if module.__dict__.get("table_of") != key:
        with torch.inference_mode(mode=False), torch.no_grad():  # a table for every mode
            module.__dict__["table"] = type(module).forward(module, *args, **named)
        module.__dict__["table_of"] = key
    return module.__dict__["table"]


def stays_on_cpu(free: int, size: int, told: str = "") -> bool:
    """Tell whether an embedding of ``size`` bytes stays out of a GPU with ``free`` bytes left beside the other layers.

    ``told``: cpu or gpu decide by themselves.
    """
    return told == "cpu" or (told != "gpu" and free - size < ROOM)


def embedding_apply(module: Any, function: Callable[[torch.Tensor], torch.Tensor], *args: Any, **named: Any) -> Any:
    """Move or cast the embedding as asked (``.cuda()``, ``.half()``), but keep it on the CPU where it is to stay."""
    weight, own = module.weight, type(module)._apply
    probe = function(weight.new_empty(0))
    if weight.device.type == "cpu" and probe.device.type in GPUS:
        size = weight.numel() * probe.element_size()
        free = torch.cuda.mem_get_info(probe.device)[0] if probe.device.type == "cuda" else 0
        if stays_on_cpu(free, size, os.environ.get(EMBEDDING, "")):
            return own(module, lambda tensor: tensor.to(probe.dtype), *args, **named)
    return own(module, function, *args, **named)


def embedding_forward(module: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Look tokens up where the weights are, and return the rows where the tokens are."""
    return type(module).forward(module, tokens.to(module.weight.device)).to(tokens.device)


def parts(model: Any) -> dict[Any, Callable[..., Any]] | None:
    """Return the modules that get another forward, and which; None where ``model`` is not built as upstream's."""
    transformer: Any = getattr(model, "transformer", None)
    if any(getattr(transformer, name, None) is None for name in ("embedding", "encoder", "rotary_pos_emb")):
        return None
    attentions = [getattr(layer, "self_attention", None) for layer in transformer.encoder.layers]
    needed = ("query_key_value", "dense", "num_multi_query_groups_per_partition", "hidden_size_per_attention_head")
    if not all(hasattr(attention, name) for attention in attentions for name in needed):
        return None
    found = dict.fromkeys(attentions, self_attention)
    return {
        **found,
        model: model_forward,
        transformer: transformer_forward,
        transformer.rotary_pos_emb: rotary_forward,
        transformer.embedding.word_embeddings: embedding_forward,
    }


def detach(model: Any) -> None:
    """Give the modules upstream's own forward back."""
    for module in parts(model) or ():
        for name in ("forward", "_apply", "table", "table_of"):
            module.__dict__.pop(name, None)


def attach(model: Any) -> bool:
    """Bind the forward of a loaded ChatGLM2, and tell whether it is one. Tensors and names stay."""
    found = parts(model)
    if found is None:
        return False
    for module, forward in found.items():
        module.forward = functools.partial(forward, module)
    embedding = model.transformer.embedding
    embedding.word_embeddings._apply = functools.partial(embedding_apply, embedding.word_embeddings)
    # The last to be moved, when what is left of the GPU is known; and upstream takes the first parameter's device for
    # the model's.
    inside = model.transformer._modules
    inside["embedding"] = inside.pop("embedding")
    return True
