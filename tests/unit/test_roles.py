"""Each role's argument specification and defaults are one truth told twice: they must agree."""

from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())


def load(path):
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


@pytest.mark.parametrize("role", NAMES)
def test_every_default_is_specified_and_every_option_has_a_default_or_is_required(role):
    options = load(ROLES / role / "meta" / "argument_specs.yml")["argument_specs"]["main"].get("options", {})
    defaults = load(ROLES / role / "defaults" / "main.yml")
    required = {name for name, option in options.items() if option.get("required")}
    assert set(defaults) == set(options) - required
    for name, option in options.items():
        assert name.startswith(f"{role}_")
        assert option["type"]
        assert option["description"]
        # Documentation cannot evaluate a template, so it may put it into words.
        if "default" in option and "{{" not in str(defaults[name]):
            assert option["default"] == defaults[name], name


@pytest.mark.parametrize("role", NAMES)
def test_a_role_says_what_it_is(role):
    specification = load(ROLES / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    assert specification["short_description"]
