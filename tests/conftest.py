"""Make the repository's module_utils/ and library/ importable as Ansible does on a host."""

import locale
import sys
from pathlib import Path

import ansible.module_utils
import pytest

ROOT = Path(__file__).resolve().parent.parent
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
sys.path[:0] = [str(ROOT / "library"), str(ROOT / "tests" / "standins")]


@pytest.fixture(autouse=True)
def _same_locale():
    """Undo what AnsibleModule does to the locale when a test runs a module in this process with a bare environment."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)
