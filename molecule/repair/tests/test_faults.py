"""Every fault of faults.yml: named by the doctor, announced, then healed or refused by one run that harms no more."""

import pytest

import repair

LOGS = repair.ROOT / ".cache" / "artifacts" / "repair"


def log(fault, seen, wrong):
    """Write what is wrong and the output of every play of a fault to a file; return its path."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"{fault.id}.log").open("w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in wrong)
        for name in ("doctor", "preview", "repair", "again"):
            if play := getattr(seen, name):
                stream.write(f"--- {name}: exit status {play.status}\n{play.output}\n")
                stream.writelines(f"{task['seconds']:6.2f} s  {task['role']}: {task['task']}\n" for task in play.tasks)
    return stream.name


@pytest.mark.parametrize("fault", repair.chosen(), ids=lambda fault: fault.id)
def test_fault(fault, treated):
    seen, wrong = treated(fault)
    path = log(fault, seen, wrong)
    if wrong:
        print(f"The whole output is in {path}")
        pytest.fail("\n".join(wrong), pytrace=False)
