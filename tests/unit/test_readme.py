"""README.md and README.zh-CN.md say what the code says, and the same."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh-CN.md")
OPTIONS = yaml.safe_load((ROOT / "roles/chatglm/meta/argument_specs.yml").read_text())["argument_specs"]["main"][
    "options"
]
# said in words, not as a value
PROSE_DEFAULTS = {"chatglm_hub_token", "chatglm_model_sources", "chatglm_ca_bundle", "chatglm_page_password"}


def load(path):
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", READMES)
def test_settings_table_is_the_argument_spec(name):
    rows = re.findall(r"^\| `(chatglm_\w+)` \| (.+?) \|", read(name), re.M)
    assert [setting for setting, _ in rows] == list(OPTIONS)
    for setting, default in rows:
        if setting not in PROSE_DEFAULTS:
            assert default == f"`{OPTIONS[setting]['default']}`"


def code(name):
    """Return the blocks of code, without remarks and alignment; what a terminal shows is in each README's language."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", read(name), re.M | re.S)
    return [re.sub(r"(?m) +# .*$", "", text) for kind, text in blocks if kind != "text"]


def test_both_readmes_show_the_same_commands_and_parts():
    assert code(READMES[0]) == code(READMES[1])
    assert len(code(READMES[0])) >= 5
    screens = [len(re.findall(r"^```text$", read(name), re.M)) for name in READMES]
    assert screens[0] == screens[1]
    shape = [[line.split()[0] for line in read(name).splitlines() if line.startswith("#")] for name in READMES]
    assert shape[0] == shape[1]
    rows = [sum(line.startswith("|") for line in read(name).splitlines()) for name in READMES]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("name", READMES)
def test_what_a_readme_names_exists(name):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", read(name)):
        assert (ROOT / target).exists(), target
    for playbook in re.findall(r"ansible-playbook (\S+) -i (\S+)", read(name)):
        assert all((ROOT / path).exists() for path in playbook), playbook


@pytest.mark.parametrize("language", ["en", "zh"])
def test_troubleshooting_table_is_the_doctor_s_registry(language):
    tables = load(ROOT / "lab" / "troubleshooting.py")
    text = read(tables.READMES[language])
    assert text == tables.replaced(text, language), "the checks have changed; run: ./bootstrap lab/troubleshooting.py"
    assert text.count("\n| `") > 60
