"""The part molecule: site.yml over SSH on three systemd hosts."""

from conftest import show

import lab


def test_molecule(need):
    show("molecule", "test", env=lab.environment(need, "molecule"))
