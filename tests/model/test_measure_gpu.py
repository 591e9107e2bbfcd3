"""The measuring script for GPUs, on a CPU: a small random checkpoint has the sizes that the formula computes.

Does not prove the terms that only a GPU has (context, unpacked matrix, the allocator's packing).
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed here")
pytest.importorskip("transformers", reason="transformers is not installed here")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "standins"))
import tiny_model


def test_sizes_of_a_random_checkpoint(tmp_path):
    folder = tmp_path / "chatglm2" / "tiny"
    tiny_model.write(folder)
    trained = (folder / "pytorch_model.bin").read_bytes()
    # Another shape than the stand-in's own, so that no two numbers are the same by chance.
    config = json.loads((folder / "config.json").read_text())
    config.update(ffn_hidden_size=416, num_layers=3)
    (folder / "config.json").write_text(json.dumps(config))
    subprocess.run([sys.executable, ROOT / "benchmarks" / "random_checkpoint.py", folder], check=True, timeout=120)
    assert (folder / "pytorch_model.bin").read_bytes() != trained

    measure = [sys.executable, ROOT / "benchmarks" / "measure_gpu.py", folder, "--device", "cpu"]
    measure += ["--case", "1,40", "--case", "200,5"]
    told = json.loads(subprocess.run(measure, check=True, stdout=subprocess.PIPE, timeout=120).stdout)
    # Buffers of a few hundred bytes (the rotary frequencies) are no term of the formula.
    assert told["weights"]["measured"] == pytest.approx(told["weights"]["computed"], abs=1000)
    token = 2 * 2 * config["multi_query_group_num"] * config["kv_channels"] * config["num_layers"]
    assert [case["measured"]["cache"] for case in told["cases"]] == [40 * token, 204 * token]
    for case in told["cases"]:
        assert case["computed"]["cache"] >= case["measured"]["cache"]
        assert case["seconds"]["tokens_per_second"] > 0
        assert "total" not in case["measured"]
