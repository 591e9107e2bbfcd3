"""The judgement of molecule/repair: whatever goes wrong with a fault is told; and its entries are well-formed."""

import dataclasses
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "molecule" / "repair" / "tests"))
import repair


def play(status=0, *, role="weights", changed=False, diff=None, message="", output=""):
    result = {"diff": diff or {}, "msg": message}
    word = "failed" if status else "changed" if changed else "ok"
    tasks = [{"role": role, "task": "t", "status": word, "result": result, "seconds": 0.0}]
    return repair.Play(status, output, 1.0, tasks)


HEALED = repair.Fault("id", "D4", doctor={"weights_digest": "repairable"}, replaced=("models/*/a.bin",), bytes=100)
CHANGE = {"before": "a", "after": "b"}


def healed(**changes):
    seen = repair.Seen(
        "host",
        planted=1000.0,
        report={"checks": [{"code": "weights_digest", "verdict": "repairable"}, {"code": "port", "verdict": "ok"}]},
        doctor=play(1),
        preview=play(changed=True, diff=CHANGE),
        repair=play(changed=True, diff=CHANGE),
        again=play(output=f"... {repair.NOTHING} when it was proven"),
        by_repair=["models/m/a.bin", "state/proof.json"],
        received={"net": 60, "standins": 40},
        proof={"verdict": "ok"},
    )
    return dataclasses.replace(seen, **changes)


def test_a_repair_that_is_right():
    assert repair.judge(HEALED, healed(), 1001.0) == []


@pytest.mark.parametrize(
    ("changes", "proven", "told"),
    [
        ({"trouble": "planting failed"}, 1001, "planting failed"),
        ({"report": {}}, 1001, "the doctor named {}"),
        ({"doctor": play(0)}, 1001, "the doctor's exit status is 0, not 1"),
        ({"by_looking": ["state/x"]}, 1001, "looking changed ['state/x']"),
        ({"repair": play(2, message="no")}, 1001, "exit status: preview 0, run 2: no"),
        ({"preview": play(changed=True, role="source", diff=CHANGE)}, 1001, "announced ['source']"),
        ({"preview": play(changed=True, diff={"before": "a", "after": "c"})}, 1001, "-c\n+b"),
        ({"preview": play(), "repair": play()}, 1001, "the run changed []"),
        ({}, 990, "not proven anew"),
        ({"proof": {"verdict": "failed"}}, 1001, "not proven anew"),
        ({"by_repair": ["models/m/b.bin"]}, 1001, "1 other files changed: ['models/m/b.bin']"),
        ({"received": {"net": 61, "standins": 40}}, 1001, "100 allowed"),
        ({"by_again": ["x"]}, 1001, "a further run: 0"),
        ({"again": play(changed=True, output=repair.NOTHING)}, 1001, "a further run: 0"),
        ({"again": play()}, 1001, "as it was sealed"),
    ],
)
def test_what_is_wrong_with_a_repair_is_told(changes, proven, told):
    (wrong,) = repair.judge(HEALED, healed(**changes), proven)
    assert told in wrong


REFUSED = repair.Fault("id", "E1", doctor={"port": "yours"}, outcome="refused", words=("kill",))


def refused(**changes):
    no = play(2, role="preflight", message="kill 42")
    report = {"checks": [{"code": "port", "verdict": "yours"}]}
    return dataclasses.replace(
        repair.Seen("host", report=report, doctor=play(2), preview=no, repair=no),
        **changes,
    )


def test_a_refusal_that_is_right():
    assert repair.judge(REFUSED, refused(), 0.0) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"repair": play(role="preflight")}, "the run ended with 0"),
        ({"preview": play(2, role="preflight", message="hm")}, "the preview's message lacks ['kill']"),
        ({"repair": play(2, role="weights", message="kill")}, "the run was refused by weights, not preflight"),
        ({"by_repair": ["x"]}, "the refused run changed ['x']"),
    ],
)
def test_what_is_wrong_with_a_refusal_is_told(changes, told):
    assert any(told in wrong for wrong in repair.judge(REFUSED, refused(**changes), 0.0))


def test_a_repair_of_what_is_not_proven_proves_nothing():
    fault = dataclasses.replace(HEALED, proof=False)
    assert repair.judge(fault, healed(), 990.0) == []
    (wrong,) = repair.judge(fault, healed(), 1001.0)
    assert "proven anew, which was not due" in wrong


def test_nothing_may_change_where_nothing_is_wrong():
    fault = repair.Fault("id", "the user's own", outcome="fine")
    fine = healed(report={}, doctor=play(0), preview=play(), repair=play(), by_repair=[])
    assert repair.judge(fault, fine, 0.0) == []
    (wrong,) = repair.judge(fault, dataclasses.replace(fine, preview=healed().preview, repair=healed().repair), 0.0)
    assert wrong == "the run changed ['weights']"


def test_the_entries():
    faults = repair.faults()
    assert len(faults) > 80
    assert all(fault.doctor for fault in faults if fault.outcome != "fine")


def test_the_choice(monkeypatch):
    monkeypatch.delenv("CHATGLM_REPAIR", raising=False)
    usual = {fault.id for fault in repair.chosen()}
    monkeypatch.setenv("CHATGLM_REPAIR", "all")
    everything = {fault.id for fault in repair.chosen()}
    assert usual < everything == {fault.id for fault in repair.faults()}
    monkeypatch.setenv("CHATGLM_REPAIR", "port_taken git_missing")
    assert [fault.id for fault in repair.chosen()] == ["port_taken", "git_missing"]
    monkeypatch.setenv("CHATGLM_REPAIR", "port_token")
    with pytest.raises(AssertionError, match=r"no such fault: .'port_token'"):
        repair.chosen()


def test_every_write_shows(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("a")
    before = repair.files(tmp_path)
    (tmp_path / "sub" / "file").write_text("a")
    (tmp_path / "new").symlink_to("sub")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "own").write_text("")
    assert repair.touched(before, repair.files(tmp_path)) == ["new", "run", "sub/file"]
