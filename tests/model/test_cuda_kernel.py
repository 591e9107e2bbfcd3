"""The fused CUDA kernel: its arithmetic, what NVRTC makes of it, and what becomes of it where something is wrong.

There is no GPU: the same source runs here in the stand-in for libcuda, built by g++. That tells what it computes, not
that a card runs it, nor how fast; the machine code is NVIDIA's own, and is not run.
"""

import re
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]
from int4_layer import Layer, weights

import engine
from engine import cuda, driver, int4, kept, nvrtc

# Out and in of chatglm2-6b-int4's layers.
SHAPES = {
    "query_key_value": (4608, 4096),
    "dense": (4096, 4096),
    "dense_h_to_4h": (27392, 4096),
    "dense_4h_to_h": (4096, 13696),
}
EXTREME = (0x80, 0x7F, 0x88, 0xFF, 0x00)


def layer(out, columns, bias=True):
    """An int4 layer in fp16; every sixth row is random, the others hold one byte throughout."""
    torch.manual_seed(1)
    packed, scale = weights(out, columns)
    for place, byte in enumerate(EXTREME, 1):
        packed[place::6] = byte - 256 * (byte > 127)
    return Layer(packed, scale.half(), torch.randn(out).half() if bias else None)


class Stream:
    cuda_stream = 0


@pytest.fixture
def card(libcuda, monkeypatch, tmp_path):
    """A card by libcuda's stand-in: tensors of the CPU are taken for its own. Returns the engine's cache."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(libcuda))
    monkeypatch.setenv("CHATGLM_ENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: Stream)
    monkeypatch.setattr(engine, "KERNELS", {"cpu": cuda})
    forget = cuda.load.cache_clear
    forget()
    yield tmp_path / "cache"
    forget()


@pytest.fixture
def kernel(card):
    """The kernels without a compiler: the stand-in looks at no code but its first bytes."""
    return driver.Kernel(driver.Card(), b"\x7fELF")


@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernel_is_no_worse_than_upstreams_arithmetic(shape, kernel, monkeypatch):
    """Upstream's: each weight is scaled and rounded to fp16, then fp16 products are summed in fp32, rounded once."""
    out, columns = SHAPES[shape]
    module = layer(out, columns, bias=shape == "query_key_value")
    monkeypatch.setattr(cuda, "load", lambda _device: kernel)
    exact = int4.reference(module.weight, module.weight_scale)
    rounded = exact.half().double()
    added = 0.0 if module.bias is None else module.bias.double()
    engine.attach(module, "fused")
    inputs = torch.randn(driver.MOST_ROWS, columns).half()
    right, theirs = inputs.double() @ exact.T + added, (inputs.double() @ rounded.T + added).half().double()
    size = inputs.double().abs() @ exact.abs().T
    for rows in range(1, driver.MOST_ROWS + 1):
        with torch.inference_mode():
            seen = module(inputs[:rows])
        assert (seen.dtype, seen.shape) == (torch.float16, (rows, out))
        error = (seen.double() - right[:rows]).abs()
        # Alone: half a step of the result's fp16, and what sums in fp32 may lose.
        bound = right[:rows].abs() * 2**-11 + 2**-25 + size[:rows] * 2**-20
        assert bool((error <= bound).all())
        assert float(error.square().mean()) <= float((theirs[:rows] - right[:rows]).square().mean())


def test_a_single_row_on_an_odd_address_or_of_odd_shape(kernel, monkeypatch):
    monkeypatch.setattr(cuda, "load", lambda _device: kernel)
    launches = []
    monkeypatch.setattr(
        driver.Kernel, "launch", lambda *given, launch=driver.Kernel.launch: launches.append(given[2]) or launch(*given)
    )
    module = engine.attach(layer(67, 856), "fused")
    reference = engine.attach(layer(67, 856), "torch")
    given = torch.randn(3 * 856 + 1).half()
    with torch.inference_mode():
        for inputs in (given[1 : 1 + 856][None, None], given[:-1].view(3, 1, 856), given[:-1].view(856, 3).T):
            assert torch.allclose(module(inputs).float(), reference(inputs).float(), atol=0.02, rtol=0.01)
            assert module(inputs).shape == (*inputs.shape[:-1], 67)
    assert [rows for _, _, rows in launches] == [1, 1, 3, 3, 3, 3]


@pytest.mark.parametrize("unlike", ["rows", "float32", "gradient", "columns"])
def test_what_the_kernel_does_not_take_goes_to_torch(unlike, kernel, monkeypatch):
    monkeypatch.setattr(cuda, "load", lambda _device: kernel)
    monkeypatch.setattr(driver.Kernel, "launch", lambda *_: pytest.fail("launched"))
    columns = 858 if unlike == "columns" else 856
    module = engine.attach(layer(64, columns), "fused")
    inputs = torch.randn(9 if unlike == "rows" else 2, columns).half()
    if unlike == "float32":
        module, inputs = module.float(), inputs.float()
    inputs.requires_grad_(unlike == "gradient")
    assert torch.equal(module(inputs), int4.forward(module, inputs))


ARCHITECTURES = {"12.6": (61, 70, 75, 80, 86, 89, 90), "12.8": (61, 70, 75, 80, 86, 89, 90, 100, 120)}


def test_nvrtc_makes_code_for_every_card_without_a_spill(nvidia):
    compiler = nvrtc.Compiler(nvidia / "nvidia")
    for architecture in ARCHITECTURES[compiler.version]:
        started = time.process_time()
        code, log = compiler.compile(nvrtc.SOURCE.read_bytes(), architecture, ["--ptxas-options=-v"])
        print(f"NVRTC {compiler.version}, sm_{architecture}: {len(code)} bytes, {time.process_time() - started:.2f} s")
        spilled = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log)
        assert spilled == [("0", "0", "0")] * len(driver.OUTPUTS)
        assert code.startswith(b"\x7fELF")
        assert all(f"int4_rows_{rows}".encode() in code for rows in driver.OUTPUTS)


def test_the_architecture_is_one_whose_code_the_card_runs(nvidia):
    compiler = nvrtc.Compiler(nvidia / "nvidia")
    for capability, architecture in {(6, 1): 61, (7, 5): 75, (8, 7): 87, (8, 8): 87, (9, 0): 90, (8, 9): 89}.items():
        assert compiler.architecture(capability) == architecture
    with pytest.raises(kept.UnavailableError, match=r"no code for compute capability 13\.1"):
        compiler.architecture((13, 1))
    if compiler.version == "12.6":
        with pytest.raises(kept.UnavailableError, match=r"no code for compute capability 12\.0"):
            compiler.architecture((12, 0))
    else:
        assert compiler.architecture((12, 1)) == 120


def test_source_that_does_not_compile_is_told(nvidia):
    with pytest.raises(kept.UnavailableError, match=r"does not compile int4\.cu for sm_75: .*no such thing"):
        nvrtc.Compiler(nvidia / "nvidia").compile(b"#error no such thing\n", 75)


@pytest.fixture
def compiled(card, nvidia, monkeypatch):
    """A card, and the compiler; returns the cache, and a function that counts the children since it was last asked."""
    monkeypatch.syspath_prepend(str(nvidia))
    children, run = [], cuda.subprocess.run
    monkeypatch.setattr(cuda.subprocess, "run", lambda *given, **named: children.append(given) or run(*given, **named))

    def count():
        found = len(children)
        children.clear()
        cuda.load.cache_clear()
        return found

    return card, count


def used():
    """Attach, compute, compare; returns which engine computed, and what check says."""
    module = engine.attach(layer(64, 856), "fused")
    with torch.inference_mode():
        module(torch.randn(1, 856).half())
    return module.forward.func.__module__, engine.check(torch.nn.Sequential(module))


def test_code_is_compiled_and_tried_once_in_a_child_and_kept(compiled):
    cache, children = compiled
    name, report = used()
    assert (name, report["wrong"], children()) == ("engine.cuda", [], 1)
    assert report["worst"] < 0.6
    assert sorted(path.suffix for path in cache.iterdir()) == [".cubin", ".proven"]
    before = {path: path.read_bytes() for path in cache.iterdir()}
    assert (used()[0], children()) == ("engine.cuda", 0)
    for path, content in before.items():  # damaged: by one bit, cut off, empty
        for damage in (lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b[: len(b) // 2], lambda _: b""):
            path.write_bytes(damage(content))
            assert (used()[0], children()) == ("engine.cuda", 1)
            assert {path: path.read_bytes() for path in cache.iterdir()} == before


def test_another_card_or_driver_is_tried_anew(compiled, monkeypatch):
    _, children = compiled
    assert (used()[0], children()) == ("engine.cuda", 1)
    monkeypatch.setenv("STANDIN_CAPABILITY", "8.6")
    assert (used()[0], children()) == ("engine.cuda", 1)


def test_a_folder_that_others_may_write_to_is_not_used(compiled):
    cache, children = compiled
    cache.mkdir()
    cache.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="others may write to it"):
        assert used()[0] == "engine.int4"
    assert (children(), list(cache.iterdir())) == (0, [])


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("load", r"cuModuleLoadData: CUDA_ERROR_OF_THE_STAND_IN \(209\)"),
        ("wrong", "the int4 kernel computes wrongly: 1 rows on Stand-in"),
        ("abort", "the trial of the int4 kernel died of SIGABRT"),
    ],
)
def test_what_fails_fails_in_the_child_and_torch_computes(fault, told, compiled, monkeypatch):
    cache, children = compiled
    monkeypatch.setenv("STANDIN_CUDA", fault)
    with pytest.warns(RuntimeWarning, match=f"is torch, not fused: {told}"):
        name, report = used()
    assert (name, report["wrong"], children()) == ("engine.int4", [], 1)
    assert [path.suffix for path in cache.iterdir()] == [".cubin"]  # no card has taken it


def test_a_child_that_is_killed_or_takes_too_long(compiled, monkeypatch):
    cuda_probe = cuda.PROBE
    monkeypatch.setattr(cuda, "PROBE", "import os; os.kill(os.getpid(), 9)")
    assert engine.unavailable("fused", "cpu").startswith("the trial of the int4 kernel died of SIGKILL")
    cuda.load.cache_clear()
    monkeypatch.setattr(cuda, "PROBE", "import signal; signal.pause()")
    monkeypatch.setattr(cuda, "PROBE_SECONDS", 1)
    assert engine.unavailable("fused", "cpu") == "the trial of the int4 kernel took more than 1 s"
    cuda.load.cache_clear()
    monkeypatch.setattr(cuda, "PROBE", "raise SystemExit('not what was asked')")
    assert engine.unavailable("fused", "cpu") == "the trial of the int4 kernel ended with 1: not what was asked"
    cuda.load.cache_clear()
    monkeypatch.setattr(cuda, "PROBE", cuda_probe)
    monkeypatch.setattr(cuda, "PROBE_SECONDS", 300)
    assert engine.unavailable("fused", "cpu") == ""


def test_an_unknown_card(compiled, monkeypatch):
    monkeypatch.setenv("STANDIN_CAPABILITY", "13.0")
    with pytest.warns(RuntimeWarning, match=r"no code for compute capability 13\.0"):
        assert used()[0] == "engine.int4"


@pytest.mark.parametrize("missing", ["nvidia", "library", "damaged", "header"])
def test_without_nvrtc(missing, card, monkeypatch, tmp_path):
    folder = tmp_path / "packages" / "nvidia"
    (folder / "cuda_runtime" / "include").mkdir(parents=True)
    if missing != "header":
        (folder / "cuda_runtime" / "include" / "cuda_fp16.h").touch()
    if missing != "nvidia":
        (folder / "cuda_nvrtc" / "lib").mkdir(parents=True)
    if missing == "damaged":
        (folder / "cuda_nvrtc" / "lib" / "libnvrtc.so.12").write_bytes(b"\x7fELF and no more")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "packages")])
    told = {"nvidia": "NVRTC is not installed", "header": r"holds no cuda_fp16\.h"}.get(missing, "NVRTC does not load")
    with pytest.warns(RuntimeWarning, match=told):
        assert used()[0] == "engine.int4"
    assert not card.exists()


def test_wrong_numbers_after_the_trial_are_seen_by_check(compiled, monkeypatch):
    """As on a card whose memory fails: the trial was good, the model's own layers are not."""
    assert used()[1]["wrong"] == []
    monkeypatch.setenv("STANDIN_CUDA", "wrong")
    assert used()[1]["wrong"] == ["0"]
