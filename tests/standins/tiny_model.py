"""A tiny int4 model repository of the ChatGLM2 architecture, made by rule: same bytes on every machine.

Does not prove anything about the true weights: it knows three fixed answers, and no language.

The weights are built so that an answer appears only where the int4 layers compute rightly:

* Every token has a "state": one of 128 orthogonal +-1 code vectors, in the residual's channels CODE. Channels FLAGS
  hold a constant and what the topic search needs.
* Both layers' attention copies the code of the attended token from CODE to COPY (int4 values and dense).
  Layer 0 attends to the latest topic word or question mark-up (rotary pair 15 prefers the nearest); layer 1 to the
  token itself (all rotary pairs).
* Layer 0's MLP: state "answer begins" AND copied topic j -> state "start j". Layer 1's MLP: state t AND its copy ->
  the state of t's successor, which the output layer reads.
* Every code vector rides on a constant "ballast" code. Integers of a matrix differ from row to row, the row's scale
  makes them equal again; with a wrong scale, sign or nibble order the ballast spills over the codes in use.
"""

import functools
import io
import json
import math
import struct
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

HIDDEN, FFN, HEADS, GROUPS, CHANNELS, LAYERS, VOCABULARY = 320, 128, 4, 2, 80, 2, 512
CODES = 128  # length and number of the code vectors
CODE, COPY, FLAGS = 0, 128, 256  # first channels of the three parts of the residual
CONST, RELEVANT, TOPICAL = range(256, 304), range(304, 312), range(312, 320)

# Answers, cut into pieces at "|". A piece stands for one place in one answer, so no piece may come twice.
GREETING, INT4, OTHER = 0, 1, 2
ANSWERS = (
    "你好👋！|我是|演示用的|微型 int4 模型。|这句话|能|读通，|说明|加载和| int4 计算|都|正确；|但它|不能证明|真正的"
    "| ChatGLM2-6B| 权重。| Hello! I am| the demo's| tiny| int4 model:| readable| words| here| mean| that| loading| and"
    "| int4 arithmetic| work,| but| they| do NOT prove| the true| weights.",
    "int4 就是|把每个|权重|压成|四位|整数：|两个|数|共用|一个|字节，|每行|另有|半精度的|缩放系数。| One| byte| holds"
    "| two| numbers:| the even| column| in its| high| half,| the odd| one| in the| low.| I am only| a stand-in:| this"
    "| proves| nothing| about the| real| model.",
    "这个问题|超出了|我的|能力：|演示用的小|模型|只会|几句|固定的|话，|真正的回答|要等|真实的|权重。| This is"
    "| beyond me:| a stand-in| knows| only| a few| fixed| sentences;| a real| reply| needs| the real| 6B| weights,"
    "| which| I do not| have.",
)
TOPIC_WORDS = {
    **dict.fromkeys(("你好", "您好", "Hello", "hello", "嗨"), GREETING),
    **dict.fromkeys(("int4", "▁int4", "INT4", "▁INT4", "量化", "quantization", "▁quantization"), INT4),
}
ASK, BEGIN, EOS = "问：", "答：", "</s>"
LFS_FILES = frozenset({"pytorch_model.bin", "tokenizer.model"})


def answer(question: str) -> str:
    """The model's answer: the last topic word in the question decides."""
    place, topic = max((question.rfind(word.lstrip("▁")), topic) for word, topic in TOPIC_WORDS.items())
    return ANSWERS[OTHER if place < 0 else topic].replace("|", "")


# --- tokenizer.model: a sentencepiece ModelProto ---------------------------------------------------------------------


def pieces() -> list[tuple[str, int]]:
    """(piece, type) in id order; types: 1 normal, 2 unknown, 3 control, 6 byte."""
    answers = [piece.replace(" ", "▁") for text in ANSWERS for piece in text.split("|")]
    normal = ["▁", *map(chr, range(33, 127)), "[Round", ASK, BEGIN, *TOPIC_WORDS, *answers]
    if len(set(normal)) != len(normal):
        raise ValueError(f"a piece comes twice: {sorted({piece for piece in normal if normal.count(piece) > 1})}")
    return [
        ("<unk>", 2),
        ("<s>", 3),
        (EOS, 3),
        *((f"<0x{byte:02X}>", 6) for byte in range(256)),
        *((piece, 1) for piece in normal),
    ]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, value: int | float | bytes | str) -> bytes:
    """One protobuf field: int as varint, float as fixed32, bytes and str length-delimited."""
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value & (1 << 64) - 1)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def tokenizer_model() -> bytes:
    """Unigram model with byte fallback; nearly equal scores, so the segmentation with the fewest pieces wins."""
    table = pieces()
    vocabulary = b"".join(
        _field(1, _field(1, piece) + _field(2, -1.0 - i / 1024 if kind == 1 else 0.0) + _field(3, kind))
        for i, (piece, kind) in enumerate(table)
    )
    # TrainerSpec: model_type=3 (1 unigram), vocab_size=4, byte_fallback=35, unk/bos/eos/pad ids=40..43.
    trainer = b"".join(_field(n, v) for n, v in ((3, 1), (4, len(table)), (35, 1), (40, 0), (41, 1), (42, 2), (43, -1)))
    # NormalizerSpec: name=1, add_dummy_prefix=3, remove_extra_whitespaces=4, escape_whitespaces=5.
    normalizer = b"".join(_field(n, v) for n, v in ((1, "identity"), (3, 1), (4, 0), (5, 1)))
    return vocabulary + _field(2, trainer) + _field(3, normalizer)


# --- pytorch_model.bin -----------------------------------------------------------------------------------------------


def code(index: int) -> list[int]:
    """The code vector: a Hadamard row, columns shuffled and signs turned so that neighbours do not resemble."""
    return [
        (-1) ** (index & ((i * 37 + 11) % CODES)).bit_count() * (1 if pow(i + 1, 65, 131) == 1 else -1)
        for i in range(CODES)
    ]


class Int4:
    """An int4 matrix in the making: integers of -8..7 by row and column, and one scale per row."""

    def __init__(self, rows: int, columns: int) -> None:
        self.shape = (rows, columns)
        self.values = [bytearray(columns) for _ in range(rows)]
        self.scales = [0.0078125] * rows

    def put(self, row: int, columns: dict[int, int], scale: float) -> None:
        for column, value in columns.items():
            if not -8 <= value <= 7:
                raise ValueError(f"{value} is no int4")
            self.values[row][column] = value & 15
        self.scales[row] = scale

    def packed(self) -> bytes:
        """Even column in the high nibble, odd column in the low nibble."""
        return b"".join(bytes(a << 4 | b for a, b in zip(row[::2], row[1::2], strict=True)) for row in self.values)


def _half(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}e", *values)


def state_dict() -> dict[str, tuple[tuple[int, ...], bytes]]:
    """Name -> (shape, bytes): int8 for the packed matrices (two numbers a byte), fp16 for the rest."""
    table = pieces()
    ids = {piece: i for i, (piece, _) in enumerate(table)}
    chains = [[piece.replace(" ", "▁") for piece in text.split("|")] + [EOS] for text in ANSWERS]
    topics = range(len(ANSWERS))
    names: list[object] = ["ballast", "other", BEGIN, *(("topic", j) for j in topics), *(("start", j) for j in topics)]
    names += [EOS, *(piece for chain in chains for piece in chain[:-1])]
    index = {name: i for i, name in enumerate(names)}
    codes = {name: code(i) for name, i in index.items()}  # needs at most 128
    ballast = codes["ballast"]
    # A row's integers are 7 or 1 times its sign, as this unsigned code says: without the scales, the ballast spills
    # over to the code of the first answer's eighth piece.
    spill = code(index["ballast"] ^ index[chains[0][7]])
    size = [7 if a == b else 1 for a, b in zip(spill, code(0), strict=True)]

    def by_code(name: object, first: int, factor: int) -> dict[int, int]:
        return {first + i: factor * sign for i, sign in enumerate(codes[name])}

    def const(factor: int) -> dict[int, int]:
        return dict.fromkeys(CONST, factor)

    def write_code(matrix: Int4, neuron: int, name: object, sign: int = 1) -> None:
        for i, value in enumerate(codes[name]):
            matrix.values[CODE + i][neuron] = sign * value * size[i] & 15

    # What the RMS norms divide by (a token's squared length over HIDDEN), at the places named. The flags' squares sum
    # to 256 for every token; a code with its ballast of 2 has 128 * (1 + 4).
    first = math.sqrt((640 + 256) / HIDDEN)  # entering layer 0
    second = math.sqrt((640 + 640 + 256) / HIDDEN)  # behind layer 0's attention, and entering layer 1
    third = math.sqrt((640 + 128 * 18 + 256) / HIDDEN)  # behind layer 1's attention
    tensors: dict[str, tuple[tuple[int, ...], bytes]] = {}
    for layer, rms in enumerate((first, second)):
        # Attention. Scores are raw sums over sqrt(CHANNELS).
        qkv = Int4((HEADS + 2 * GROUPS) * CHANNELS, HIDDEN)
        bias = [0.0] * qkv.shape[0]
        keys, values = HEADS * CHANNELS, (HEADS + GROUPS) * CHANNELS
        root = math.sqrt(CHANNELS)
        if layer == 0:
            # score = 1050 for topic words and question mark-up, less about 1 per token of distance (-1000 sin(d/1000)),
            # plus 3 for topic words; 0 for every other token.
            near, seek, prefer = math.sqrt(1000 * root), math.sqrt(1050 * root / 16), math.sqrt(3 * root / 4)
            relevant = dict.fromkeys([*RELEVANT, *CONST[:8]], 7)  # 7 * 8 * (2 + 2), or 7 * 8 * (2 - 2)
            topical = dict.fromkeys([*TOPICAL, *CONST[:8]], 7)
            for head in range(HEADS):
                query = head * CHANNELS
                qkv.put(query + 31, const(7), near * rms / (7 * 96))
                for i in range(16):
                    bias[query + 40 + i] = seek
                for i in range(56, 60):
                    qkv.put(query + i, const(5), prefer * rms / (5 * 96))
            for group in range(GROUPS):
                key = keys + group * CHANNELS
                qkv.put(key + 30, relevant, near * rms / (7 * 32))
                for i in range(40, 56):
                    qkv.put(key + i, relevant, seek * rms / (7 * 32))
                for i in range(56, 60):
                    qkv.put(key + i, topical, prefer * rms / (7 * 32))
        else:
            # Highest where every pair's rotation is the same: at the token itself, by 20 before its neighbour.
            strength = math.sqrt(20 / 0.78 * root)
            for head in range(HEADS):
                for pair in range(CHANNELS // 4):
                    factor = 3 + pair % 5
                    qkv.put(head * CHANNELS + 2 * pair, const(factor), strength * rms / (factor * 96))
            for group in range(GROUPS):
                for pair in range(CHANNELS // 4):
                    bias[keys + group * CHANNELS + 2 * pair] = strength
        dense = Int4(HIDDEN, HEADS * CHANNELS)
        for i in range(CODES):
            group, channel = divmod(i, CODES // GROUPS)
            qkv.put(values + group * CHANNELS + channel, {CODE + i: size[i]}, rms / size[i])
            heads = {(2 * group + h) * CHANNELS + channel: size[i] for h in range(2)}
            dense.put(COPY + i, heads, 0.5 / size[i])
        # MLP. A neuron adds silu(gate) * up times a code; gates of "A and B" are positive only if both are there.
        widen, narrow = Int4(2 * FFN, HIDDEN), Int4(HIDDEN, FFN)
        inner = second if layer == 0 else third
        if layer == 0:
            rules: list[tuple[object, object, object]] = [(BEGIN, ("topic", j), ("start", j)) for j in topics]
            gate, weight = 16 / 288, 4 / 16
        else:
            rules = [
                (before, before, after)
                for j, chain in enumerate(chains)
                for before, after in zip([("start", j), *chain[:-1]], chain, strict=True)
            ]
            gate, weight = 12 / 288, 4 / 12
        for neuron, (state, copied, result) in enumerate(rules):
            both = by_code(state, CODE, 3) | by_code(copied, COPY, 3) | const(-5)
            widen.put(neuron, both, gate * inner)
            factor = 2 + neuron % 6
            widen.put(FFN + neuron, const(factor), inner / (factor * 96))
            write_code(narrow, neuron, result)
        # Pairs that are always on and cancel if the scales of their rows are right.
        for pair in range(4):
            for sign, neuron, factor in ((1, FFN - 8 + 2 * pair, 7), (-1, FFN - 7 + 2 * pair, 2)):
                widen.put(neuron, const(6), 8 * inner / (6 * 96))
                widen.put(FFN + neuron, const(factor), 4 * inner / (factor * 96))
                write_code(narrow, neuron, chains[pair % 3][9 + pair], sign)
        if layer == LAYERS - 1:  # more ballast, for the scales of the last matrix
            widen.put(FFN - 9, const(6), 8 * inner / (6 * 96))
            widen.put(2 * FFN - 9, const(5), 6 * inner / (5 * 96))
            write_code(narrow, FFN - 9, "ballast", -1)  # -16
        for i in range(CODES):
            narrow.scales[CODE + i] = weight / size[i]
        prefix = f"transformer.encoder.layers.{layer}."
        ones = ((HIDDEN,), _half([1.0] * HIDDEN))
        tensors[prefix + "input_layernorm.weight"] = ones
        for name, matrix in (
            ("self_attention.query_key_value", qkv),
            ("self_attention.dense", dense),
            ("mlp.dense_h_to_4h", widen),
            ("mlp.dense_4h_to_h", narrow),
        ):
            rows, columns = matrix.shape
            tensors[f"{prefix}{name}.weight"] = ((rows, columns // 2), matrix.packed())
            tensors[f"{prefix}{name}.weight_scale"] = ((rows,), _half(matrix.scales))
        tensors[prefix + "self_attention.query_key_value.bias"] = ((len(bias),), _half(bias))
        tensors[prefix + "post_attention_layernorm.weight"] = ones

    embedding, output = [], []
    for token in range(VOCABULARY):
        piece = table[token][0] if token < len(table) else ""
        topic = TOPIC_WORDS.get(piece, OTHER if piece == ASK else None)
        state = piece if piece in index and topic is None else ("topic", topic) if topic is not None else "other"
        row = [float(a + 2 * b) for a, b in zip(codes[state], ballast, strict=True)] + [0.0] * CODES
        row += [2.0] * len(CONST)
        row += [2.0 if topic is not None else -2.0] * len(RELEVANT)
        row += [2.0 if piece in TOPIC_WORDS else -2.0] * len(TOPICAL)
        embedding.append(_half(row))
        # Only pieces of answers can win; with no clear state the end of the text does.
        said = token == ids[EOS] or (piece in index and piece != BEGIN)
        read = [float(sign) for sign in codes[piece]] if said else [0.0] * CODES
        constant = 2.25 if token == ids[EOS] else 0.0 if said else -0.25
        output.append(_half(read + [0.0] * CODES + [constant] * len(CONST) + [0.0] * 16))
    inverse = [float(Decimal(10) ** (Decimal(-i) / 5)) for i in range(CHANNELS // 4)]  # 10000 ** -(2i / 40)
    return {
        "transformer.embedding.word_embeddings.weight": ((VOCABULARY, HIDDEN), b"".join(embedding)),
        "transformer.rotary_pos_emb.inv_freq": ((len(inverse),), _half(inverse)),
        **tensors,
        "transformer.encoder.final_layernorm.weight": ((HIDDEN,), _half([1.0] * HIDDEN)),
        "transformer.output_layer.weight": ((VOCABULARY, HIDDEN), b"".join(output)),
    }


def torch_file(tensors: dict[str, tuple[tuple[int, ...], bytes]]) -> bytes:
    """torch's zip format, as torch.save would write an OrderedDict of CharTensors and HalfTensors on the CPU."""

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    ordered_dict = b"ccollections\nOrderedDict\n)R"
    pickle = [b"\x80\x02", ordered_dict, b"("]
    for key, (name, (shape, data)) in enumerate(tensors.items()):
        items = math.prod(shape)
        kind = b"Char" if items == len(data) else b"Half"
        stride = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
        storage = b"(%sctorch\n%sStorage\n%s%s%stQ" % (
            text("storage"),
            kind,
            text(str(key)),
            text("cpu"),
            number(items),
        )
        pickle += [text(name), b"ctorch._utils\n_rebuild_tensor_v2\n(", storage, number(0), numbers(shape)]
        pickle += [numbers(stride), b"\x89", ordered_dict, b"tR"]
    pickle.append(b"u.")
    records = {"data.pkl": b"".join(pickle), "byteorder": b"little"}
    records |= {f"data/{key}": data for key, (_, data) in enumerate(tensors.values())}
    return stored_zip({f"archive/{name}": data for name, data in (records | {"version": b"3\n"}).items()})


def stored_zip(records: dict[str, bytes]) -> bytes:
    """A zip archive without compression or clock."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in records.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o600 << 16
            archive.writestr(info, data)
    return out.getvalue()


# --- the repository --------------------------------------------------------------------------------------------------

CONFIG = {
    "_name_or_path": "demo/chatglm2-tiny-int4",
    "model_type": "chatglm",
    "architectures": ["ChatGLMModel"],
    "auto_map": {
        "AutoConfig": "configuration_chatglm.ChatGLMConfig",
        "AutoModel": "modeling_chatglm.ChatGLMForConditionalGeneration",
        "AutoModelForSeq2SeqLM": "modeling_chatglm.ChatGLMForConditionalGeneration",
    },
    "add_bias_linear": False,
    "add_qkv_bias": True,
    "apply_query_key_layer_scaling": True,
    "apply_residual_connection_post_layernorm": False,
    "attention_dropout": 0.0,
    "attention_softmax_in_fp32": True,
    "bias_dropout_fusion": True,
    "ffn_hidden_size": FFN,
    "fp32_residual_connection": False,
    "hidden_dropout": 0.0,
    "hidden_size": HIDDEN,
    "kv_channels": CHANNELS,
    "layernorm_epsilon": 1e-05,
    "multi_query_attention": True,
    "multi_query_group_num": GROUPS,
    "num_attention_heads": HEADS,
    "num_layers": LAYERS,
    "original_rope": True,
    "padded_vocab_size": VOCABULARY,
    "post_layer_norm": True,
    "quantization_bit": 4,
    "rmsnorm": True,
    "seq_length": 32768,
    "use_cache": True,
    "torch_dtype": "float16",
    "transformers_version": "4.27.1",
    "tie_word_embeddings": False,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
TOKENIZER_CONFIG = {
    "name_or_path": "demo/chatglm2-tiny-int4",
    "remove_space": False,
    "do_lower_case": False,
    "tokenizer_class": "ChatGLMTokenizer",
    "auto_map": {"AutoTokenizer": ["tokenization_chatglm.ChatGLMTokenizer", None]},
}


@functools.cache
def files() -> dict[str, bytes]:
    """The model repository: file name -> bytes."""
    code_folder = Path(__file__).resolve().parent / "model"
    found = {path.name: path.read_bytes() for path in code_folder.glob("*.py")}
    found["config.json"] = json.dumps(CONFIG, indent=2).encode() + b"\n"
    found["tokenizer_config.json"] = json.dumps(TOKENIZER_CONFIG, indent=2).encode() + b"\n"
    found["tokenizer.model"] = tokenizer_model()
    found["pytorch_model.bin"] = torch_file(state_dict())
    return dict(sorted(found.items()))


def write(folder: Path) -> None:
    """Write the repository's files into folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files().items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tiny_model.py FOLDER")
    write(Path(sys.argv[1]))
