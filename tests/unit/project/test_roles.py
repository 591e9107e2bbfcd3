"""Each role's argument specification and defaults are one truth told twice: they must agree."""

import os
from pathlib import Path

import jinja2
import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
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


@pytest.mark.parametrize(
    ("repo", "folder"),
    [("THUDM/chatglm2-6b-int4", "chatglm2-6b-int4"), ("me/chatglm2.5-6b-v1.0", "chatglm2_5-6b-v1_0")],
)
def test_the_models_folder_is_a_name_that_python_imports(repo, folder):
    """Transformers imports transformers_modules.FOLDER, of which a dot made two names."""
    text = load(ROLES / "chatglm" / "vars" / "main.yml")["chatglm_model_path"]
    environment = jinja2.Environment()
    environment.filters["basename"] = os.path.basename
    path = environment.from_string(text).render(chatglm_home="/home/me/chatglm", chatglm_model_repo=repo)
    assert path == f"/home/me/chatglm/models/{folder}"
    used = [
        load(ROLES / role / "defaults" / "main.yml")[name]
        for role, name in (
            ("preflight", "preflight_model_dir"),
            ("weights", "weights_path"),
            ("web_demo", "web_demo_model_path"),
            ("smoke_test", "smoke_test_model_path"),
        )
    ]
    assert set(used) == {"{{ chatglm_model_path }}"}
