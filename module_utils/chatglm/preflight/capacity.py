"""How much GPU memory a conversation takes, and how long a conversation a card holds: computed from the model's shape.

All figures are computed, none is measured; benchmarks/measure_gpu.py measures what they can be compared with.
``memory()`` is the formula. Its terms, in bytes, for ``past`` tokens in the cache, ``prompt`` tokens encoded at once,
and ``generated`` tokens after them (fp16: 2 bytes a number):

weights     quantized: the four linear layers of each block, bits/8 a number, and a fp16 scale for each row;
            fp16: embedding, output layer, bias of query/key/value, norms (the checkpoint of chatglm2-6b-int4: 3.92 GB).
runtime     400 MB for the CUDA context (pytorch issue 109888), 8.1 MiB of cuBLAS workspace (pytorch issue 95668), the
            rest for kernels, which are loaded when they are first used: 512 MiB together. It differs from card to card.
cache       keys and values: 2 numbers x groups x head x layers for each token (28 KiB), times PACKING.
growing     torch.cat makes each layer's new cache, while the old ones of all layers are held until the step ends
            (modeling_chatglm.py, SelfAttention.forward; generate keeps past_key_values): once more the cache.
unpacked    the largest matrix as fp16: each int4 layer is unpacked whole before it is multiplied (quantization.py,
            extract_weight_to_half): 2 x ffn x hidden. The engine ``torch`` unpacks slices of 32 MiB instead, and 16 MiB
            besides (engine/int4.py): it needs less than is computed here.
activations the larger of two moments in a block, plus four copies of the hidden state:
            attention: keys and values repeated for all heads (``expand`` and ``contiguous``), and the query;
            feed-forward: both halves of its first layer, silu of one, and their product.
            A prompt behind a history needs a mask too (get_masks): at most 4 bytes for each pair of tokens.
logits      a chat asks for the last token's alone (return_last_logit). ``every_logit``: for each token of the prompt,
            twice (transpose and contiguous), as a plain call of the model makes them.

Attention is torch's fused one, which holds no table of all pairs of tokens; upstream's README warns that an older torch
takes more. Memory that torch's allocator keeps for reuse is counted as used, as nvidia-smi does.

Runs on the host's own Python, which may be as old as 3.8.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ansible.module_utils.chatglm.core.nvidia import INT4_CAPABILITIES
from ansible.module_utils.chatglm.language.messages import say, width
from ansible.module_utils.chatglm.preflight.plan import torch_build

GIB = 1024**3
MIB = 1024**2


class Shape(NamedTuple):
    """A model of the ChatGLM2 kind; the names are those of its config.json where they are clear."""

    layers: int
    hidden: int
    heads: int
    head: int
    groups: int
    ffn: int
    vocabulary: int
    bits: int


CHATGLM2_6B_INT4 = Shape(28, 4096, 32, 128, 2, 13696, 65024, 4)

RUNTIME = 512 * MIB
PACKING = 1.25
"""torch's allocator puts caches of 1 to 10 MiB into segments of 20 MiB; what is left of a segment is lost to them."""

MARGIN = int(0.35 * GIB)
"""The formula has to be within this of upstream's figures for int4 (tests/unit/preflight/); a promise of what will fit
keeps as much free."""

LONGEST = 32768
"""Tokens: seq_length of the model's config.json."""

TRAINED = 8192
"""Tokens of a conversation that the model was trained for (upstream's README)."""

QUESTION = 512
"""Tokens of one question in a conversation, at most: some 700 Chinese characters."""

DESKTOP = 928 * MIB
"""What a Windows desktop was seen to hold of a GPU (the reference laptop, 6144 MiB)."""

BLIND = (
    (r"RTX 50\d\d|Blackwell", "12.0"),
    (r"\bG?B[123]00\b", "10.0"),
    (r"\bG?H[12]00\b", "9.0"),
    (r"\bP100\b", "6.0"),
    (r"GTX (9\d\d|75\d)", "5.2"),
)
"""Names of GPUs that upstream's int4 kernels hold no code for, for when the name is all that is known."""


class Memory(NamedTuple):
    """Bytes of GPU memory, by what holds them; ``cache`` includes what it takes to grow."""

    weights: int
    runtime: int
    cache: int
    workspace: int

    @property
    def total(self) -> int:
        """The most that is held at once."""
        return sum(self)


def weights(shape: Shape) -> int:
    """Return the bytes of a checkpoint's tensors."""
    query = shape.head * (shape.heads + 2 * shape.groups)
    attended = shape.head * shape.heads
    rows = query + shape.hidden + 2 * shape.ffn + shape.hidden
    numbers = shape.hidden * query + attended * shape.hidden + 3 * shape.ffn * shape.hidden
    block = numbers * shape.bits // 8 + (2 * rows if shape.bits < 16 else 0) + 2 * query + 2 * 2 * shape.hidden
    return shape.layers * block + 2 * (2 * shape.vocabulary * shape.hidden + shape.hidden)


def memory(
    prompt: int, generated: int, past: int = 0, shape: Shape = CHATGLM2_6B_INT4, every_logit: bool = False
) -> Memory:
    """Return the GPU memory at the moment that needs most of it: the encoding of the prompt, or the last token.

    Args:
        prompt: tokens encoded at once.
        generated: tokens generated after them.
        past: tokens of the conversation before them.
        shape: the model's.
        every_logit: whether the model returns the logits of the whole prompt; a chat does not.

    """
    token = int(2 * 2 * shape.groups * shape.head * shape.layers * PACKING)
    unpacked = 2 * 2 * shape.ffn * shape.hidden if shape.bits < 16 else 0

    def step(new: int, before: int) -> Memory:
        attention = 2 * shape.heads * shape.head * (2 * (before + new) + new)
        feed_forward = 2 * 4 * shape.ffn * new
        mask = 4 * new * (before + new) if before and new > 1 else 0
        logits = 2 * 2 * shape.vocabulary * (new if every_logit else 1)
        workspace = unpacked + max(attention, feed_forward) + 4 * 2 * shape.hidden * new + mask + logits
        return Memory(weights(shape), RUNTIME, token * (2 * before + new), workspace)

    return max(step(prompt, past), step(1, max(0, past + prompt + generated - 1)), key=lambda moment: moment.total)


def conversation(tokens: int, shape: Shape = CHATGLM2_6B_INT4) -> Memory:
    """Return the GPU memory of a conversation of so many tokens, the last question of which is ``QUESTION`` long."""
    question = min(tokens, QUESTION)
    return memory(question, 0, tokens - question, shape)


def longest(free: float, kind: str, shape: Shape = CHATGLM2_6B_INT4) -> int:
    """Return the tokens that fit into so many free bytes, ``MARGIN`` kept; 0 where the model itself does not fit.

    Args:
        free: bytes free before anything is loaded.
        kind: prompt (encoded at once, and an answer of one token) or conversation.
        shape: the model's.

    """
    low, high = 0, LONGEST
    while low < high:
        middle = (low + high + 1) // 2
        needed = conversation(middle, shape) if kind == "conversation" else memory(middle, 1, 0, shape)
        if needed.total + MARGIN <= free:
            low = middle
        else:
            high = middle - 1
    return low


def capability(name: str) -> str:
    """Return a compute capability that upstream's int4 kernels hold no code for, if the name tells one; else empty."""
    return next((number for pattern, number in BLIND if re.search(pattern, name, re.IGNORECASE)), "")


def judge(gpu: dict[str, Any]) -> dict[str, Any]:
    """Return what a GPU will hold, in tokens and bytes, and ``advice``, codes of messages.

    Args:
        gpu: name, memory_total, memory_free (None where unknown: then a desktop like the reference laptop's is assumed)
            and capability, as host_facts returns it.

    """
    total = int(gpu.get("memory_total") or 0)
    known = gpu.get("memory_free") is not None
    free = int(gpu["memory_free"]) if known else max(0, total - DESKTOP)
    number = gpu.get("capability") or capability(str(gpu.get("name") or ""))
    kernels = not number or number in INT4_CAPABILITIES
    torch = not number or bool(torch_build(number))
    prompt, held = longest(free, "prompt"), longest(free, "conversation")
    alone = longest(total, "conversation")
    room = held >= QUESTION
    fits = room and torch
    advice = [] if kernels else ["kernels" if torch else "torch"]
    if total and alone < QUESTION:
        advice.append("card_small")
    elif known and total - free > 0.3 * GIB and held < min(alone, TRAINED):
        advice.append("desktop" if room else "desktop_full")
    elif not known:
        advice.append("assumed")
    if fits and held < TRAINED:
        advice.append("short")
    return {
        "name": str(gpu.get("name") or ""),
        "memory_total": total,
        "memory_free": free,
        "memory_held": total - free,
        "known": known,
        "capability": number,
        "kernels": kernels,
        "fits": fits,
        "prompt_tokens": prompt,
        "conversation_tokens": held,
        "conversation_tokens_alone": alone,
        "advice": advice,
    }


def comparison() -> list[dict[str, Any]]:
    """Return cards of 4, 6, 8 and 12 GB with a Windows desktop on them."""
    return [judge({"name": f"{size} GB", "memory_total": size * GIB}) for size in (4, 6, 8, 12)]


def gigabytes(number: float) -> str:
    """Return a size as nvidia-smi and Windows count it, in GB of 1024 cubed."""
    return f"{number / GIB:.1f} GB"


def tokens(number: int, language: str) -> str:
    """Return a number of tokens; the most that the model takes is told as such."""
    return say(language, "capacity.all", tokens=number) if number >= LONGEST else str(number) if number else "-"


COLUMNS = ("card", "total", "free", "fits", "prompt", "conversation")


def terms(language: str) -> str:
    """Return what has to be known to read the table."""
    return str(
        say(
            language,
            "capacity.computed",
            desktop=gigabytes(DESKTOP),
            question=QUESTION,
            margin=f"{MARGIN / GIB:.2f} GB",
        )
    )


def row(card: dict[str, Any], language: str) -> list[str]:
    """Return the cells of the table for a card as judge() returns it."""
    return [
        card["name"],
        gigabytes(card["memory_total"]),
        ("" if card["known"] else "~") + gigabytes(card["memory_free"]),
        say(language, "capacity.yes" if card["fits"] else "capacity.no"),
        tokens(card["prompt_tokens"] if card["fits"] else 0, language),
        tokens(card["conversation_tokens"] if card["fits"] else 0, language),
    ]


def lines(cards: list[dict[str, Any]], language: str) -> list[str]:
    """Return the table, for cards as judge() returns them and those for comparison, and what to change."""
    table = [[say(language, f"capacity.{name}") for name in COLUMNS]]
    table += [row(card, language) for card in [*cards, *comparison()]]
    widths = [max(map(width, column)) for column in zip(*table)]  # noqa: B905 - since Python 3.10
    told = [
        "  ".join(cell + " " * (widths[n] - width(cell)) for n, cell in enumerate(cells)).rstrip() for cells in table
    ]
    told += ["", terms(language)]
    if not cards:
        told.append(say(language, "capacity.none"))
    for card in cards:
        told += [
            f"{card['name']}: "
            + say(
                language,
                f"capacity.{code}",
                held=gigabytes(card["memory_held"]),
                tokens=card["conversation_tokens"],
                alone=card["conversation_tokens_alone"],
                needed=gigabytes(conversation(QUESTION).total + MARGIN),
                capability=card["capability"],
                trained=TRAINED,
            )
            for code in card["advice"] or ["good"]
        ]
    return told
