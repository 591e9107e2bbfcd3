"""Edits of every script: the model's path, and the device on which it and what is fed to it are placed.

``device='cuda'`` in ``from_pretrained`` builds the model on the GPU before quantised weights replace it, which a card
of 6 GB cannot hold; ``.cuda()`` after the load can.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .edit import Settings, Source, arguments_of, constant, is_method, last_name

if TYPE_CHECKING:
    from .edit import MethodCall

NOT_A_MODEL = ("Tokenizer", "TokenizerFast", "Config", "Processor", "FeatureExtractor")
PATH_KEYWORDS = {"pretrained_model_name_or_path", "checkpoint_path"}
# Arguments of from_pretrained that place or quantise the model: by packages that are not installed (accelerate,
# bitsandbytes), or once more, since it is int4 already and is placed after the load.
PLACING = {
    "device", "device_map", "max_memory", "low_cpu_mem_usage", "offload_folder", "offload_state_dict",
    "offload_buffers", "load_in_8bit", "load_in_4bit", "quantization_config", "attn_implementation",
    "use_flash_attention_2",
}  # fmt: skip
DEVICES = ("cuda", "cpu", "mps", "xpu", "hpu", "npu", "mlu", "musa", "privateuseone", "dml")
DTYPE_OR_DEVICE = {"cuda", "cpu", "half", "float", "double", "bfloat16", "to"}


def _path_argument(call: ast.Call) -> ast.expr | None:
    named = [keyword.value for keyword in call.keywords if keyword.arg in PATH_KEYWORDS]
    return call.args[0] if call.args else named[0] if named else None


def _is_parameter(source: Source, call: ast.Call, name: str) -> bool:
    """Tell whether a name is a parameter of a function around ``call``."""
    above: ast.AST | None = call
    while above is not None:
        if isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = above.args
            if any(a.arg == name for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]):
                return True
        above = source.parents.get(above)
    return False


def _constants_of(source: Source, call: ast.Call) -> list[ast.Constant]:
    """Return the string constants that give the model's path in ``call`` its value.

    Raises:
        Refused: the value is computed.

    """
    argument = _path_argument(call)
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return [argument]
    text = "nothing" if argument is None else " ".join(source.of(argument).split())
    computed = source.refuse(
        call,
        f"the model's path is computed ({text})",
        "the path as a string, or as a name that is set to a string",
    )
    if not isinstance(argument, ast.Name) or _is_parameter(source, call, argument.id):
        raise computed
    found: list[ast.Constant] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id == argument.id and not isinstance(node.ctx, ast.Load):
            binding = source.parents[node]
            value = binding.value if isinstance(binding, ast.Assign | ast.AnnAssign | ast.NamedExpr) else None
            if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
                raise computed
            found.append(value)
    if not found:
        raise computed
    return found


def _edit_paths(source: Source, settings: Settings, loads: list[ast.Call]) -> list[ast.Call]:
    """Note the path edits; return those of ``loads`` that load the chat model's folder."""
    constants = [(call, _constants_of(source, call)) for call in loads]
    values = {path.value for _, found in constants for path in found}

    def ours(value: object) -> bool:
        return value == settings.model_path or "chatglm" in str(value).lower()

    if len(values) > 1 and not any(ours(value) for value in values):
        raise source.refuse(
            loads[0],
            f"several models are loaded ({', '.join(sorted(map(str, values)))}), and none is named as a ChatGLM model",
            "one model, or one whose name contains chatglm",
        )
    chosen: list[ast.Call] = []
    seen: set[int] = set()
    for call, found in constants:
        if len(values) > 1 and not any(ours(path.value) for path in found):
            source.warnings.append(
                f"{source.name}, line {call.lineno}: the load of {found[0].value!r} is left as it is: another model"
            )
            continue
        chosen.append(call)
        for path in found:
            if path.value != settings.model_path and id(path) not in seen:
                seen.add(id(path))
                source.edit(*source.span(path), source.literal(settings.model_path), "model_path")
    return chosen


def _drop_placing(source: Source, load: ast.Call) -> None:
    """Note that the arguments of a load go that place or quantise the model."""
    for keyword in load.keywords:
        bfloat16 = keyword.arg in ("torch_dtype", "dtype") and last_name(keyword.value) == "bfloat16"
        if keyword.arg in PLACING or bfloat16:
            source.remove_argument(load, keyword, "device")
            if keyword.arg in PLACING - {"device", "device_map"}:
                source.warnings.append(
                    f"{source.name}, line {keyword.lineno}: {' '.join(source.of(keyword).split())} is dropped: "
                    "the model is int4 already, and is placed after its load"
                )


def _chain(source: Source, load: ast.Call) -> list[MethodCall]:
    """Return the calls that follow a load in its chain, as in ``load(...).half().cuda()``."""
    chain: list[MethodCall] = []
    top: ast.expr = load
    while is_method(link := source.parents.get(source.parents[top])) and link.func.value is top:
        chain.append(link)
        top = link
    return chain


def _later(source: Source, value: ast.expr) -> list[MethodCall]:
    """Return the calls that place or convert the model, on the names that ``value`` is bound to."""
    holder = source.parents[value]
    targets: list[ast.expr] = []
    if isinstance(holder, ast.Assign):
        targets = holder.targets
    elif isinstance(holder, ast.AnnAssign | ast.NamedExpr):
        targets = [holder.target]
    names = {ast.unparse(target) for target in targets if isinstance(target, ast.Name | ast.Attribute)}
    later: list[MethodCall] = []
    for call in source.calls:
        if is_method(call, *DTYPE_OR_DEVICE):
            root = call.func.value
            while is_method(root):
                root = root.func.value
            if isinstance(root, ast.Name | ast.Attribute) and ast.unparse(root) in names:
                later.append(call)
    return later


def _judge(source: Source, settings: Settings, call: MethodCall) -> tuple[bool, bool]:
    """Tell of a call on the model whether it has to go, and whether it places the model as it shall be."""
    cuda, method = settings.device == "cuda", call.func.attr
    if method != "to":
        unwelcome = {"bfloat16", "float", "double", "cpu"} if cuda else {"half", "bfloat16", "double", "cuda"}
        return method in unwelcome, method == ("cuda" if cuda else "float")
    where = _device(source, call)
    if where is not None:
        right = where.split(":")[0] == settings.device
        return not right, right and cuda
    if "bfloat16" in map(last_name, [*call.args, *(keyword.value for keyword in call.keywords)]):
        return True, False
    source.warnings.append(f"{source.name}, line {call.lineno}: {source.of(call)[-60:]} is left as it is")
    return False, cuda


def _edit_device(source: Source, settings: Settings, load: ast.Call) -> set[int]:
    """Note the edits at one load of the model, its method chain, and later calls on the name it is bound to.

    Returns the ids of those calls, and of what is in them.

    """
    _drop_placing(source, load)
    chain = _chain(source, load)
    calls = [*chain, *_later(source, chain[-1] if chain else load)]
    judged = [(call, *_judge(source, settings, call)) for call in calls]
    placed = any(places for _, _, places in judged)
    placing = "cuda" if settings.device == "cuda" else "float"
    for call, goes, _ in judged:
        if goes and not placed and call in chain:
            source.edit(source.method_name(call)[0], source.span(call)[1], f"{placing}()", "device")
            placed = True
        elif goes:
            source.remove_method(call, "device")
    if not placed:
        end = source.span(load)[1]
        source.edit(end, end, f".{placing}()", "device")
    inside = [node for call in calls for argument in arguments_of(call) for node in ast.walk(argument)]
    return {id(node) for node in [*calls, *inside]}


def _known_device(node: ast.AST | None) -> str | None:
    """Return the device that a string constant names, such as ``cuda:0``."""
    device = constant(node)
    return device if device is not None and device.split(":")[0] in DEVICES else None


def _device(source: Source, call: ast.Call) -> str | None:
    """Return the device that ``.to(...)`` names, None for one that is computed or no device."""
    where: ast.AST | None = call.args[0] if call.args else None
    if where is None:
        where = next((keyword.value for keyword in call.keywords if keyword.arg == "device"), None)
    if isinstance(where, ast.Name):  # set to one text, anywhere
        name = where.id
        values = [
            node.value
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
        ]
        where = values[0] if len(values) == 1 else None
    if isinstance(where, ast.Call) and last_name(where.func) == "device" and where.args:
        where = where.args[0]  # torch.device("mps")
    return _known_device(where)


def _edit_tensors(source: Source, settings: Settings, models: set[int]) -> None:
    """Note that what is moved beside the model goes to its device."""
    for call in source.calls:
        if id(call) in models:
            continue
        if is_method(call, "cuda") and settings.device == "cpu" and last_name(call.func.value) != "torch":
            source.edit(source.method_name(call)[0], source.span(call)[1], "cpu()", "device")
        elif is_method(call, "to", "device") and len(call.args) == 1:
            device = _known_device(call.args[0])
            if device is not None and device.split(":")[0] != settings.device:
                source.edit(*source.span(call.args[0]), source.literal(settings.device), "device")


def _one_gpu(source: Source, call: ast.Call) -> None:
    """Note that a load onto several GPUs becomes one onto the device: the former needs a package that is not there."""
    if not any(
        isinstance(node, ast.ImportFrom) and any((a.asname or a.name) in ("AutoModel", "*") for a in node.names)
        for node in ast.walk(source.tree)
    ):
        raise source.refuse(
            call, "load_model_on_gpus needs accelerate, which is not installed", "AutoModel.from_pretrained(...)"
        )
    for argument in arguments_of(call)[1 if call.args else 0 :]:
        if getattr(argument, "arg", "") not in PATH_KEYWORDS:
            source.remove_argument(call, argument, "device")
    for keyword in call.keywords:
        if keyword.arg == "checkpoint_path":
            start = source.span(keyword)[0]
            source.edit(start, start + len("checkpoint_path"), "pretrained_model_name_or_path", "device")
    source.edit(*source.span(call.func), "AutoModel.from_pretrained", "device")
    source.insert_arguments(call, "trust_remote_code=True", "device")
    source.warnings.append(
        f"{source.name}, line {call.lineno}: the model is loaded on one GPU: several need accelerate, which is not "
        "installed, and int4 fits into one"
    )


def _is_load(call: ast.Call) -> bool:
    if is_method(call, "from_pretrained"):
        return not last_name(call.func.value).startswith("Peft")
    return last_name(call.func) == "load_model_on_gpus"


def _loads_model(call: ast.Call) -> bool:
    """Tell of a load whether it is the model's, not the tokenizer's or another's."""
    return not is_method(call, "from_pretrained") or not last_name(call.func.value).endswith(NOT_A_MODEL)


def edit_loads(source: Source, settings: Settings) -> None:
    """Note the edits at the loads of tokenizer and model, and at what is moved beside the model.

    Raises:
        Refused: no model is loaded, or a path that is computed.

    """
    loads = sorted(filter(_is_load, source.calls), key=lambda call: (call.lineno, call.col_offset))
    if not any(map(_loads_model, loads)):
        raise source.refuse(None, "no call that loads the model", "AutoModel.from_pretrained(...)")
    models: set[int] = set()
    for call in _edit_paths(source, settings, loads):
        if last_name(call.func) == "load_model_on_gpus":
            _one_gpu(source, call)
        if _loads_model(call):
            models |= _edit_device(source, settings, call)
    _edit_tensors(source, settings, models)
