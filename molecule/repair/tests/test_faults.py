"""Every fault of faults.yml: named by the doctor, announced, then healed or refused by one run that harms nothing else."""

import pytest
import repair


@pytest.mark.parametrize("fault", repair.faults(), ids=lambda fault: fault.id)
def test_fault(fault, treated):
    seen, wrong = treated(fault)
    if wrong:
        for name in ("doctor", "preview", "repair", "again"):
            if play := getattr(seen, name):
                print(f"--- {name}: exit status {play.status}\n{play.output[-6000:]}")
        pytest.fail("\n".join(wrong), pytrace=False)
