"""The part molecule: site.yml over SSH on two systemd hosts."""

import lab
from conftest import show


def test_molecule(need):
    show("molecule", "test", env=lab.environment(need, "molecule"))
