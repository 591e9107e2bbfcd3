"""The pure parts of the smoke test: judgement, diagnosis, what is due, the page's protocol, the worker's counts."""

import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.processes import Child, port_free, port_owner
from ansible.module_utils.chatglm.smoke_test import page, smoke, smoke_worker
from smoke_host import REPORT, ROOT, group_members

DEMANDS = smoke.Demands("cpu", "ChatGLM2-6B", 1.0)
PAGE = {"answer": "ChatGLM2-6B", "partials": 5, "second_answer": "ChatGLM2-6B", "bot_messages": 2, "port_free": True}
GPU = {"build": "12.6", "driver": "12.8", "available": True, "name": "a GPU", "capability": "8.6", "free": 4 << 30,
       "total": 6 << 30}  # fmt: skip


def names(verdicts):
    return [verdict.name for verdict in verdicts if not verdict.ok]


def test_good_measurements_are_good():
    verdicts = smoke.judge_model(REPORT, DEMANDS) + smoke.judge_page(PAGE, REPORT, DEMANDS)
    assert names(verdicts) == []
    assert [verdict.name for verdict in verdicts] == [
        "device", "int4", "engine", "finite", "answer", "variety", "speed", "page answer", "page grows",
        "second turn", "port freed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"devices": {"cuda:0": 26}}, ["device"]),
        ({"devices": {"cpu": 25, "meta": 1}}, ["device"]),
        ({"devices": {}}, ["device"]),
        ({"int4": {"packed": 7, "expected": 8}}, ["int4"]),
        ({"int4": {"packed": 0, "expected": 0}}, ["int4"]),
        ({"engine": {"name": "torch", "layers": 8, "worst": 40.0, "wrong": ["a.dense"]}}, ["engine"]),
        ({"engine": {"name": "torch", "layers": 0, "worst": 0.0, "wrong": []}}, ["engine"]),
        ({"engine": {"name": "torch"}}, ["engine"]),
        ({"engine": {}}, ["engine"]),
        ({"engine": {"name": "upstream"}}, []),
        ({"nonfinite_logits": 1}, ["finite"]),
        ({"tokens": 0, "distinct_tokens": 0, "answer": ""}, ["finite"]),
        ({"answer": " \n"}, ["answer"]),
        ({"answer": "5555"}, ["answer"]),
        ({"distinct_tokens": 1}, ["variety"]),
        ({"distinct_tokens": 1, "tokens": 3}, []),
        ({"tokens_per_second": 0.5}, ["speed"]),
        ({"tokens_per_second": None}, []),
    ],
)
def test_each_demand_on_the_model(changes, failed):
    verdicts = smoke.judge_model({**REPORT, **changes}, DEMANDS)
    assert names(verdicts) == failed
    for verdict in verdicts:
        assert bool(verdict.remedy) != verdict.ok


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"answer": ""}, ["page answer"]),
        ({"answer": "other"}, ["page answer"]),
        ({"partials": 1}, ["page grows"]),
        ({"second_answer": ""}, ["second turn"]),
        ({"bot_messages": 1}, ["second turn"]),
        ({"port_free": False}, ["port freed"]),
    ],
)
def test_each_demand_on_the_page(changes, failed):
    assert names(smoke.judge_page({**PAGE, **changes}, REPORT, DEMANDS)) == failed


def test_a_one_token_answer_need_not_grow():
    assert names(smoke.judge_page({**PAGE, "partials": 1}, {"partials": 1}, DEMANDS)) == []


@pytest.mark.parametrize(
    ("answer", "expected", "found"),
    [
        ("I am X", "X", True),
        ("I am X", r"am\s+X$", True),
        ("a (b", "(b", True),
        ("ab", "(b", False),
        ("ab", "c", False),
    ],
)
def test_expected_is_a_text_or_a_regular_expression(answer, expected, found):
    assert smoke.contains(answer, expected) is found


@pytest.mark.parametrize(
    ("text", "report", "device", "found", "remedy"),
    [
        # Probes decide before the text does.
        ("RuntimeError: CUDA is not available", {"cuda": {"build": None, "driver": "12.0"}}, "cuda",
         "CPU build (torch.version.cuda is None)", "role virtualenv"),
        ("RuntimeError: x", {"cuda": {"build": "12.6", "driver": "none (no file)"}}, "cuda",
         "libcuda.so.1 does not load", "wsl --shutdown"),
        ("RuntimeError: x", {"cuda": {"build": "13.0", "driver": "12.0"}}, "cuda",
         "the driver supports CUDA 12.0, torch was built for 13.0", "update the NVIDIA driver"),
        ("RuntimeError: x", {"cuda": {"build": "12.6", "driver": "12.0", "error": "Error 2: out of memory"}}, "cuda",
         "Error 2: out of memory", "wsl --shutdown"),
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 214 MiB", {"cuda": GPU}, "cuda",
         "GPU memory ran out; 4.0 GiB of 6.0 GiB were free before the load", "close what uses the GPU"),
        ("AcceleratorError: CUDA error: no kernel image is available", {"cuda": {**GPU, "capability": "12.0"}}, "cuda",
         "compute capability 12.0", "-e chatglm_engine=torch"),
        ("AcceleratorError: CUDA error: no kernel image is available",
         {"cuda": {**GPU, "capability": "3.0"}, "engine": {"name": "torch"}}, "cuda", "capability 3.0", "another GPU"),
        ("AttributeError: 'NoneType' object has no attribute 'int4WeightExtractionHalf'",
         {"cuda": {**GPU, "capability": "9.0"}}, "cuda", "compute capability 9.0", "-e chatglm_engine=torch"),
        ("AttributeError: 'NoneType' object has no attribute 'int4WeightExtractionHalf'",
         {"cuda": GPU, "cpm_kernels": {"import": "ModuleNotFoundError: No module named 'pkg_resources'"}}, "cuda",
         "cpm_kernels cannot be imported: ModuleNotFoundError: No module named 'pkg_resources'", "role virtualenv"),
        ("RuntimeError: Library cudart is not initialized",
         {"cuda": GPU, "cpm_kernels": {"import": "ok", "libraries": {"cuda": "/l", "cudart": None, "nvrtc": None}}},
         "cuda", "no CUDA library for cpm_kernels: cudart", "role cuda_libs"),
        ("RuntimeError: Internal: src/sentencepiece_processor.cc(1101) [model_proto->ParseFromArray(x)]",
         {"files": {"tokenizer.model": {"size": 132, "head": "b'version https://git-lfs'"}}}, "cpu",
         "tokenizer.model is damaged: 132 bytes, it begins b'version https://git-lfs'", "role weights"),
        ("UnpicklingError: invalid load key", {"files": {"pytorch_model.bin": {"size": 135, "head": "b'v'"}}}, "cpu",
         "pytorch_model.bin is damaged: 135 bytes, it begins b'v'", "role weights"),
        # Seen here with sentencepiece 0.2.3 and transformers 4.41.2.
        ("RuntimeError: INTERNAL: could not parse ModelProto from /m/tokenizer.model",
         {"files": {"tokenizer.model": {"size": 20, "head": "b'x'"}}}, "cpu", "tokenizer.model is damaged", "weights"),
        ("OSError: Unable to load weights from pytorch checkpoint file for '/m/pytorch_model.bin'",
         {"files": {"pytorch_model.bin": {"size": 500000, "head": "b'PK'"}}}, "cpu", "500000 bytes", "weights"),
        ("TypeError: not a string", {"files": {"tokenizer.model": {"size": None, "head": "No such file"}}}, "cpu",
         "tokenizer.model is missing (No such file)", "role weights"),
        ("whatever", {"files": {"pytorch_model.bin": {"size": 635, "head": "b'<!DOCTYPE html>'"}}}, "cpu",
         "pytorch_model.bin is damaged: 635 bytes", "role weights"),
        # Seen here: 4.42.4 and 4.44.2 with upstream's stream_generate.
        ("TypeError: GenerationMixin._get_logits_warper() missing 1 required positional argument: 'device'", {}, "cpu",
         "transformers unknown and the model's code do not fit", "roles virtualenv and weights"),
        ("AttributeError: 'GenerationConfig' object has no attribute '_eos_token_tensor'",
         {"versions": {"transformers": "4.44.2"}}, "cpu", "transformers 4.44.2", "roles virtualenv and weights"),
        ("TypeError: 'NoneType' object is not callable", {"gcc": None, "files": {}}, "cpu", "no gcc", "install -y gcc"),
        ("ImportError: cannot import name 'HfFolder'", {}, "cpu", "a package of the virtualenv", "role virtualenv"),
        ("OSError: Cannot find empty port in range: 7860-7860", {}, "cpu", "the port was taken", "chatglm_port"),
        ("ValueError: When localhost is not accessible, a shareable link must be created", {}, "cpu",
         "gradio cannot reach its own page", "no_proxy"),
        ("line one\n\nZeroDivisionError: division by zero\n", {}, "cpu", "ZeroDivisionError: division by zero", "log"),
        ("", {}, "cpu", "no text at all", "log"),
    ],
)  # fmt: skip
def test_causes_are_told_apart(text, report, device, found, remedy):
    verdict = smoke.diagnose(text, report, "model, load", device)
    assert not verdict.ok
    assert found in verdict.found
    assert remedy in verdict.remedy


@pytest.mark.parametrize(
    ("status", "found"), [(-9, "9 (SIGKILL)"), (132, "4 (SIGILL)"), (-11, "11 (SIGSEGV)"), (-64, "64")]
)
def test_signals_are_named(status, found):
    verdict = smoke.diagnose_exit(status, "whatever", {}, "model, load", "cpu")
    assert f"killed by signal {found}" in verdict.found
    assert verdict.remedy


RECORD = {"verdict": "ok", "subject": {"weights": "a", "gone": 1}, "settings": {"question": "q"}, "test": "t"}
RECORD["key"] = smoke.proof_key(RECORD["subject"], RECORD["settings"], "t")


@pytest.mark.parametrize(
    ("record", "given", "reason"),
    [
        (RECORD, (RECORD["subject"], {"question": "q"}, "t"), ""),
        (None, ({}, {}, "t"), "never proven"),
        ("damaged", ({}, {}, "t"), "never proven"),
        ({**RECORD, "verdict": "failed"}, (RECORD["subject"], {"question": "q"}, "t"), "the last proof failed"),
        (RECORD, ({"weights": "b", "new": 1}, {"question": "q"}, "t"), "gone, new, weights changed"),
        (RECORD, (RECORD["subject"], {"question": "r"}, "t"), "setting question changed"),
        (RECORD, (RECORD["subject"], {"question": "q"}, "u"), "the test itself changed"),
        ({**RECORD, "key": "edited"}, (RECORD["subject"], {"question": "q"}, "t"), "the record changed"),
    ],
)
def test_why_a_proof_is_due(record, given, reason):
    assert smoke.due_reason(record, *given) == reason


def test_a_proof_is_due_when_asked_for_and_after_a_repair():
    same = (RECORD, RECORD["subject"], {"question": "q"}, "t")
    assert smoke.due_reason(*same, mode="always") == "asked for"
    assert smoke.due_reason(*same, repaired=["weights", "web demo"]) == "changed in this run: weights, web demo"
    assert smoke.due_reason(None, {}, {}, "t", repaired=["weights"]) == "never proven"


@pytest.mark.parametrize(
    ("verdict", "files"),
    [
        (smoke.diagnose("OSError: whatever", {}, "model, load", "cpu"), True),
        (smoke.diagnose("invalid load key, 'v'", {}, "model, load", "cpu"), True),
        (smoke.diagnose("torch.OutOfMemoryError: CUDA out of memory", {}, "model, load", "cuda"), False),
        (smoke.diagnose("OSError: Cannot find empty port in range: 7860-7860", {}, "page, start", "cpu"), False),
        (smoke.diagnose_exit(-11, "", {}, "model, load", "cpu"), True),
        (smoke.diagnose_exit(-9, "", {}, "model, load", "cpu"), False),
        (smoke.timed_out("model, load", 1, "smoke_test_load_timeout"), False),
    ],
)
def test_only_where_a_file_can_be_the_cause_are_files_suspected(verdict, files):
    assert verdict.files is files


# --- the page's protocol ---------------------------------------------------------------------------------------------


def test_diffs_are_applied_to_a_copy():
    old = [{"content": [{"text": "a"}]}]
    new = page.apply_diff(
        old, [["append", [0, "content", 0, "text"], "b"], ["add", [1], {"x": 1}], ["add", [0, "k"], 2]]
    )
    assert new == [{"content": [{"text": "ab"}], "k": 2}, {"x": 1}]
    assert old == [{"content": [{"text": "a"}]}]
    assert page.apply_diff(new, [["delete", [1], None], ["replace", [0], 3]]) == [3]
    assert page.apply_diff("a", [["append", [], "b"]]) == "ab"
    assert page.apply_diff("a", []) == "a"
    with pytest.raises(ValueError, match="unknown edit"):
        page.apply_diff({}, [["move", ["a"], 1]])


def chat(*texts):
    return [{"role": "user", "content": "q"}, *({"role": "assistant", "content": text} for text in texts)]


def event(kind, data, success=True):
    return {"msg": kind, "success": success, "output": {"data": data} if success else {"error": data}}


def test_an_answer_is_followed_as_it_grows():
    events = [
        {"msg": "estimation"},
        event("process_generating", [chat("a"), None]),
        event("process_generating", [[["append", [1, "content"], "b"]], []]),
        event("process_generating", [[], []]),
        event("process_completed", [chat("ab"), None]),
    ]
    clock = iter([1.5, 4.0])
    turn = page.follow(iter(events), lambda: next(clock), 1.0)
    assert (turn.partials, turn.answer, turn.first_seconds, turn.seconds) == (["a", "ab"], "ab", 0.5, 3.0)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([event("process_completed", "ValidationError", success=False)], "the chat is dead"),
        ([event("process_completed", None, success=False)], "no reason shown"),
        ([{"msg": "unexpected_error", "message": "stopped"}], "the page's queue failed: stopped"),
        ([{"msg": "queue_full"}], "queue_full"),
        ([event("process_generating", [chat("a")])], "ended before the answer was complete"),
        ([], "ended before the answer was complete"),
    ],
)
def test_a_dead_chat_is_no_answer(events, text):
    with pytest.raises(Failure, match=text):
        page.follow(iter(events), lambda: 0.0, 0.0)


def test_events_are_parsed_and_noise_is_skipped():
    lines = [b'data: {"msg": "a"}\n', b"\n", b": comment\n", b"data: [1]\n", b"data: broken\n"]
    assert list(page.parse_events(iter(lines))) == [{"msg": "a"}]


def test_texts_of_the_bot():
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
        {"role": "assistant", "content": None},
    ]
    assert page.bot_texts(messages) == ["a", "bc", ""]
    assert page.bot_texts("no list") == []


# --- the worker (without torch: what needs it is run by molecule) ---------------------------------------------------


class Shape:
    def __init__(self, dtype, *shape):
        self.dtype, self.shape, self.device = dtype, shape, "cpu"


def test_int4_layers_are_counted_by_their_packing():
    torch = types.SimpleNamespace(int8="int8")
    layer = types.SimpleNamespace
    modules = [
        (
            "encoder.layers.0.self_attention.query_key_value",
            layer(weight=Shape("int8", 9, 4), weight_scale=Shape("h", 9)),
        ),
        ("encoder.layers.0.self_attention.dense", layer(weight=Shape("int8", 8, 6), weight_scale=Shape("h", 8))),
        ("encoder.layers.0.mlp.dense_4h_to_h", layer(weight=Shape("int8", 8, 10), weight_scale=Shape("h", 8))),
        # eight bits: as many columns as inputs
        ("encoder.layers.0.mlp.dense_h_to_4h", layer(weight=Shape("int8", 40, 8), weight_scale=Shape("h", 40))),
        ("output_layer", layer(weight=Shape("half", 99, 8))),
        ("encoder", layer()),
    ]
    config = layer(num_layers=1, hidden_size=8, ffn_hidden_size=20, kv_channels=4, num_attention_heads=3)
    model = layer(config=config, named_modules=lambda: modules)
    assert smoke_worker.count_int4(torch, model) == {"packed": 3, "expected": 4}


def test_parameters_and_buffers_are_counted_by_device():
    model = types.SimpleNamespace(parameters=lambda: [Shape("h")] * 2, buffers=lambda: [Shape("h")])
    assert smoke_worker.count_devices(model) == {"cpu": 3}


def test_the_worker_reports_its_failure(tmp_path):
    """Run as the module runs it, by a Python without torch."""
    (tmp_path / "tokenizer.model").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    request = {"model_path": str(tmp_path), "device": "cpu", "question": "q", "max_new_tokens": 1}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-", json.dumps(request)],
        input=Path(smoke_worker.__file__).read_bytes(), capture_output=True, timeout=60,
    )  # fmt: skip
    *phases, last = [json.loads(line[len(smoke_worker.MARK) :]) for line in done.stdout.decode().splitlines()]
    assert phases == [{"phase": "imports"}]
    report = last["report"]
    assert report["error"] == {"phase": "imports", "type": "ModuleNotFoundError", "message": "No module named 'torch'"}
    assert report["files"]["tokenizer.model"] == {"size": 43, "head": "b'version https://git-lfs.'"}
    assert report["files"]["pytorch_model.bin"]["size"] is None
    [verdict] = smoke.judge_model(report, DEMANDS)
    assert "a package of the virtualenv is missing or broken" in verdict.found


def test_the_model_that_needs_cpm_kernels_is_known(tmp_path):
    assert not smoke_worker.wants_cpm_kernels(str(tmp_path))
    (tmp_path / "quantization.py").write_text("from cpm_kernels.kernels.base import LazyKernelCModule\n")
    assert smoke_worker.wants_cpm_kernels(str(tmp_path))


# --- processes --------------------------------------------------------------------------------------------------------


def test_a_child_that_ignores_sigterm_is_killed_with_its_own_children(tmp_path):
    script = "trap '' TERM; sleep 300 & echo $!; wait; wait"
    with Child(["sh", "-c", script], tmp_path / "log", read=True) as child:
        inner = int(next(child.lines([time.monotonic() + 10])))
        os.kill(inner, 0)
        child.stop(grace=0.3)
    assert child.process.returncode == -signal.SIGKILL
    assert group_members(child.process.pid) == []


def test_lines_end_when_the_child_ends_though_another_holds_the_pipe(tmp_path):
    with Child(["sh", "-c", "echo a; sleep 300 & exit 3"], tmp_path / "log", read=True) as child:
        assert list(child.lines([time.monotonic() + 20])) == ["a"]
        assert child.wait(1) == 3


def test_lines_have_a_deadline(tmp_path):
    with Child(["sleep", "300"], tmp_path / "log", read=True) as child, pytest.raises(TimeoutError):
        list(child.lines([time.monotonic() + 0.2]))


def test_the_tail_is_bounded(tmp_path):
    with Child(["sh", "-c", "yes | head -c 100000 >&2; echo last >&2"], tmp_path / "log") as child:
        child.wait(20)
        assert child.tail().endswith("last")
        assert len(child.tail()) <= 6000


def test_owner_of_a_port_that_nobody_uses():
    assert port_free("127.0.0.1", 0)
    assert "another user" in port_owner(1)


def trace(*frames, error="TypeError: no"):
    lines = "".join(f'  File "{path}", line {line}, in f\n    x\n' for path, line in frames)
    return f"Traceback (most recent call last):\n{lines}{error}\n"


SCRIPT, PACKAGE = ("/home/me/c h/source/web_demo.py", 7), ("/v/site-packages/gradio/blocks.py", 9)


@pytest.mark.parametrize(
    ("text", "found", "yours"),
    [
        (trace(SCRIPT), "/home/me/c h/source/web_demo.py, line 7: TypeError: no", True),
        (trace(SCRIPT, PACKAGE), "/home/me/c h/source/web_demo.py, line 7: TypeError: no", False),
        (trace(SCRIPT, error="ModuleNotFoundError: No module named 'langchain'"), "line 7: ModuleNotFoundError", True),
        (trace(SCRIPT, error="ModuleNotFoundError: No module named 'gradio'"), "a package of the virtualenv", False),
        (
            trace(SCRIPT, PACKAGE, error="ModuleNotFoundError: No module named 'x'"),
            "a package of the virtualenv",
            False,
        ),
        (trace(SCRIPT) + trace(PACKAGE), "TypeError: no", False),
        (trace(PACKAGE), "TypeError: no", False),
        (
            "AttributeError: 'ChatGLMTokenizer' object has no attribute 'tokenizer'",
            "from before transformers 4.34",
            True,
        ),
    ],
)
def test_who_can_mend_it(text, found, yours):
    verdict = smoke.diagnose(text, {}, "page, start", "cpu")
    assert found in verdict.found
    assert verdict.yours is yours
    if yours:
        assert not verdict.files
        assert verdict.remedy != smoke.READ_LOG
        assert not verdict.remedy.startswith(smoke.PLAY_AGAIN)
    if found.startswith("/home"):
        assert "git -C '/home/me/c h/source' checkout -- web_demo.py" in verdict.remedy


def test_the_pinned_revision_is_the_settings():
    defaults = ROOT / "roles" / "chatglm" / "defaults" / "main.yml"
    assert f"\nchatglm_model_revision: {smoke.PINNED_REVISION}\n" in defaults.read_text()


@pytest.mark.parametrize(("device", "other"), [("cuda", True), ("cpu", False)])
def test_what_helps_where_the_engine_computes_wrongly_is_not_what_was_run(device, other):
    verdict = smoke.judge_engine({"name": "torch", "layers": 8, "worst": 40.0, "wrong": ["a"]}, device)
    assert "-e chatglm_engine=upstream" in verdict.remedy
    assert ("-e chatglm_device=cpu" in verdict.remedy) is other
