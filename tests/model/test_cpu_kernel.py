"""The fused int4 kernel of the CPU: its arithmetic against float64, how it is built and kept, what there is without.

Needs torch and a C compiler. The vectors of other CPUs (AVX-512, and less than AVX2) are compiled for this one: that
proves the source for their width, not the machine code for them.
"""

import functools
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]
from int4_layer import Layer, weights

import engine
from engine import cpu, int4, kept

TRUE_SHAPES = ((4608, 4096), (4096, 4096), (27392, 4096), (4096, 13696))
ODD_SHAPES = ((1, 2), (7, 10), (65, 130), (129, 1022))  # rests of a vector, and of a thread's share
EPS = {torch.float32: 8 * 2**-23, torch.float16: 2 * 2**-10, torch.bfloat16: 2 * 2**-7}
"""As in int4.error: what is allowed, by the type of inputs and result."""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder of its own for what is compiled, and nothing loaded yet; returns the folder."""
    monkeypatch.setenv("CHATGLM_ENGINE_CACHE", str(tmp_path / "cache"))
    cpu.library.cache_clear()
    yield tmp_path / "cache"
    cpu.library.cache_clear()


def compare(packed, scale, columns):
    """Every count of rows, against float64; of large weights 257 columns of the result, from the first to the last."""
    picked = torch.linspace(0, len(packed) - 1, min(len(packed), 257)).round().long()
    exact = int4.reference(packed[picked], scale[picked])
    for rows in range(1, cpu.ROWS + 1):
        inputs = torch.randn(rows, columns)
        seen, right = cpu.product(inputs, packed, scale)[:, picked], inputs.double() @ exact.T
        allowed = EPS[torch.float32] * (inputs.double().abs() @ exact.abs().T)
        assert (seen.dtype, seen.shape) == (torch.float32, right.shape)
        assert bool(((seen.double() - right).abs() <= allowed).all()), rows


@pytest.mark.parametrize("values", ["random", "extreme"])
@pytest.mark.parametrize("shape", [*TRUE_SHAPES, *ODD_SHAPES], ids=str)
def test_the_product_is_that_of_float64(shape, values):
    torch.manual_seed(1)
    assert cpu.unavailable() == ""
    compare(*weights(*shape, values), shape[1])


@pytest.mark.parametrize("flags", [("-DWIDTH=64",), ("-DWIDTH=16",), ("-O0",)], ids=str)
def test_the_source_is_right_for_other_vectors(flags, monkeypatch):
    torch.manual_seed(1)
    monkeypatch.setattr(cpu, "FLAGS", (*cpu.FLAGS, *flags))
    for shape in ((129, 1022), (4608, 4096)):
        compare(*weights(*shape), shape[1])
    lanes = next((int(flag[8:]) // 4 for flag in flags if "WIDTH" in flag), None)
    assert lanes in (None, cpu.library()[2])


def test_every_nibble_in_every_place_is_exact():
    packed = torch.arange(-128, 128, dtype=torch.int8).repeat(2)[:, None].repeat(1, 40)
    exact, columns = int4.reference(packed, torch.ones(512)), torch.eye(80)
    for start in range(0, 80, cpu.ROWS):
        given = slice(start, start + cpu.ROWS)
        assert torch.equal(cpu.product(columns[given], packed, torch.ones(512)).double(), exact.T[given])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_are_torchs_own_and_share_the_work(threads, monkeypatch):
    assert cpu.library()[1] is not None
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    torch.manual_seed(1)
    compare(*weights(1000, 256), 256)


@pytest.mark.parametrize("dtype", EPS, ids=str)
def test_a_layer_takes_every_type_and_any_number_of_rows(dtype):
    torch.manual_seed(1)
    packed, scale = weights(288, 256)
    scale, bias = scale.to(dtype), torch.randn(288).to(dtype)
    module = Layer(packed, scale, bias)
    engine.attach(module, "fused")
    exact = int4.reference(packed, scale)
    for shape in ((256,), (1, 1, 256), (2, 4, 256), (3, 5, 256)):
        inputs = torch.randn(shape).to(dtype)
        seen, right = module(inputs), inputs.double() @ exact.T + bias.double()
        allowed = EPS[dtype] * (inputs.double().abs() @ exact.abs().T + bias.double().abs())
        assert (seen.dtype, seen.shape) == (dtype, right.shape)
        assert bool(((seen.double() - right).abs() <= allowed).all())


def counted(monkeypatch):
    """For each command of the compiler from now on, whether it compiles."""
    found, run = [], cpu.run
    monkeypatch.setattr(cpu, "run", lambda *command: found.append("-shared" in command) or run(*command))
    return found


def test_what_is_kept_is_used_and_what_is_damaged_is_built_anew(place, monkeypatch):
    made = cpu.compiled()
    assert [path.name for path in place.iterdir()] == [made.name]
    compiled = counted(monkeypatch)
    assert cpu.compiled() == made
    assert True not in compiled
    whole = made.read_bytes()
    for damage in (whole[:-1], b"", whole[:2000] + b"\0\1\2\3" + whole[2004:]):
        made.write_bytes(damage)
        compiled.clear()
        again = cpu.compiled()
        assert compiled.count(True) == 1
        assert again.name == kept.name_of(again.name.partition("-")[0], ".so", again.read_bytes())
        made = again
    made.chmod(0o777)
    assert kept.is_private(cpu.compiled())
    monkeypatch.setattr(cpu, "features", lambda: b"another CPU")
    assert cpu.compiled() != made


def test_nothing_is_loaded_from_where_others_write(place):
    place.mkdir()
    place.chmod(0o777)
    assert "others may write to it" in cpu.unavailable()
    assert list(place.iterdir()) == []


def broken(folder, text):
    (folder / "bin").mkdir()
    path = folder / "bin" / "gcc"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        ("", "no C compiler on PATH"),
        ("echo no space >&2; exit 1", "does not compile the int4 kernel: no space"),
        ('while [ $# -gt 1 ]; do [ "$1" != -o ] || echo x >"$2"; shift; done', "cannot be loaded"),
    ],
    ids=["none", "fails", "nonsense"],
)
def test_without_a_compiler_it_is_plain_torch_by_name(compiler, reason, tmp_path, monkeypatch):
    if compiler:
        broken(tmp_path, compiler)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert reason in cpu.unavailable()
    assert engine.unavailable("fused", "cpu") == cpu.unavailable()
    module = engine.attach(Layer(*weights(288, 256)), "fused")
    inputs = torch.randn(2, 256)
    commands = counted(monkeypatch)
    with pytest.warns(RuntimeWarning, match=f"the int4 engine is torch, not fused: .*{reason}"):
        answer = module(inputs)
    assert module.forward.func is int4.forward
    assert torch.equal(answer, int4.forward(module, inputs))
    assert commands == [], "asked once in a process, not once a layer"


def test_fused_is_this_kernel_on_a_cpu_and_its_check_sees_a_wrong_one(monkeypatch):
    module = engine.attach(Layer(*weights(288, 256)), "fused")
    good = engine.check(module)
    assert (good["layers"], good["wrong"]) == (1, [])
    assert isinstance(module.forward, functools.partial)
    assert module.forward.func is cpu.forward
    product = cpu.product
    monkeypatch.setattr(cpu, "product", lambda inputs, packed, scale: product(inputs.roll(1, 1), packed, scale))
    assert engine.check(module)["wrong"] == [""]
