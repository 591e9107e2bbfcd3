"""README.md, docs/ and their Chinese say what the code says, and the same; what they name is there."""

import importlib.util
import re
import unicodedata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
READMES = ("README.md", "README.zh-CN.md")
CHINESE = sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "README.zh-CN.md", *(ROOT / "docs").glob("*.zh-CN.md"))
)
PAGES = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))
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


GENERATE = load(ROOT / "docs" / "generate.py")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


# --- settings ---------------------------------------------------------------------------------------------------------


def settings(name, columns):
    """Return name and default of the settings in a file's first table of them."""
    pattern = r"^\| `(chatglm_\w+)` \|" + r".+?\|" * (columns - 3) + r" (.+?) \|"
    return re.findall(pattern, read(name), re.M)


@pytest.mark.parametrize(("name", "columns"), [("docs/reference.md", 4), ("docs/reference.zh-CN.md", 4)])
def test_the_reference_has_all_settings(name, columns):
    assert [setting for setting, _ in settings(name, columns)] == list(OPTIONS)


@pytest.mark.parametrize("name", READMES)
def test_settings_table_is_of_the_argument_spec(name):
    """It has those that people use, in the order of the reference, which has all."""
    rows = settings(name, 3)
    named = [setting for setting, _ in rows]
    assert len(named) >= 10
    assert named == [setting for setting in OPTIONS if setting in named]
    for setting, default in rows:
        if setting not in PROSE_DEFAULTS:
            assert default == f"`{OPTIONS[setting]['default']}`"


def test_both_readmes_have_the_same_settings():
    first, second = ([setting for setting, _ in settings(name, 3)] for name in READMES)
    assert first == second


def test_the_settings_chinese_is_of_the_settings():
    assert list(yaml.safe_load(read("docs/settings.zh.yml"))) == list(OPTIONS)


def test_the_reference_has_every_role_s_settings():
    text = read("docs/reference.md")
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for option in yaml.safe_load(path.read_text())["argument_specs"]["main"].get("options", {}):
            assert text.count(f"\n| `{option}` |") == 1, option


# --- what is generated ------------------------------------------------------------------------------------------------


def test_what_is_generated_is_in_step():
    for path, text in GENERATE.generated().items():
        assert path.read_text(encoding="utf-8") == text, f"out of step: {path.name}; run: ./bootstrap docs/generate.py"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_troubleshooting_is_the_doctor_s_registry(language):
    text, checks = GENERATE.troubleshooting(language), GENERATE.registry()
    codes = re.findall(r"^### (\w+)$", text, re.M)
    assert sorted(codes) == sorted(checks.BY_CODE)
    assert len(codes) > 60
    for check in checks.BY_CODE.values():
        entry = text.partition(f"\n### {check.code}\n")[2].partition("\n### ")[0]
        assert all(f"`{symptom}`" in entry for symptom in check.symptoms), check.code
        assert not re.search(r"\{\w+\}", entry), "a value that is not filled"


def test_markdown_shows_the_commands_as_they_are():
    assert GENERATE.plain(r"under [wsl2] in %UserProfile%\.wslconfig, <NAME>, `a*[b]`") == (
        r"under \[wsl2] in %UserProfile%\\.wslconfig, \<NAME>, `a*[b]`"
    )


# --- both languages ---------------------------------------------------------------------------------------------------


def code(name):
    """Return the blocks of code, without remarks and alignment; what a terminal shows is in each file's language."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", read(name), re.M | re.S)
    return [re.sub(r"(?m) +# .*$", "", text) for kind, text in blocks if kind not in {"text", "mermaid"}]


def picture(name):
    """Return the nodes and arrows of the pictures, without their words."""
    blocks = re.findall(r"^```mermaid\n(.*?)^```$", read(name), re.M | re.S)
    return [re.sub(r'"[^"]*"', '""', text) for text in blocks]


@pytest.mark.parametrize("chinese", [name for name in CHINESE if name != "docs/reference.zh-CN.md"])
def test_both_languages_show_the_same_commands_and_parts(chinese):
    """The reference is no pair: its Chinese has the user's settings only."""
    both = (chinese.replace(".zh-CN", ""), chinese)
    assert code(both[0]) == code(both[1])
    assert picture(both[0]) == picture(both[1])
    screens = [len(re.findall(r"^```text$", read(name), re.M)) for name in both]
    assert screens[0] == screens[1]
    shape = [[line.split()[0] for line in read(name).splitlines() if line.startswith("#")] for name in both]
    assert shape[0] == shape[1]
    for mark in ("|", "- ", "1. "):
        rows = [sum(line.startswith(mark) for line in read(name).splitlines()) for name in both]
        assert rows[0] == rows[1], mark


def test_the_readmes_show_the_commands():
    assert len(code(READMES[0])) >= 5


def test_the_readme_is_short():
    """For the laptop's owner; the rest is in docs/."""
    assert len(read(READMES[0]).split()) <= 1500


# --- what is named is there -------------------------------------------------------------------------------------------


def anchors(text):
    """Return the anchors of a page's headings, as GitHub makes them."""
    found = []
    for heading in re.findall(r"^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", text), re.M):
        kept = [c for c in heading.lower() if c in " -_" or unicodedata.category(c)[0] in "LN"]
        found.append("".join(kept).replace(" ", "-"))
    return found


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    text = re.sub(r"(?ms)^```.*?^```$", "", read(name))
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", text):
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), f"{target}#{anchor}"


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_names_exists(name):
    text = read(name)
    for playbook in re.findall(r"ansible-playbook (\S+\.yml) -i (\S+)", text):
        assert all((ROOT / path.rstrip("`")).exists() for path in playbook), playbook
    for command in re.findall(r"\./bootstrap ((?:docs|lab|tests|requirements)/\S+?)[`;,\s]", text):
        assert (ROOT / command).exists(), command
    for path in re.findall(
        r"`((?:docs|lab|library|module_utils|molecule|playbooks|roles|tests|requirements|benchmarks)/[\w./-]+)`", text
    ):
        assert re.search("ROLE|NAME", path) or (ROOT / path).exists(), path


# Upstream's, or anybody's, which a page tells of.
FOREIGN = {"sitecustomize.py"}


@pytest.mark.parametrize("name", PAGES)
def test_files_that_a_page_names_without_their_folder_exist(name):
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    there = {path.name for folder in folders for path in folder.rglob("*.py")} | FOREIGN
    assert set(re.findall(r"`([\w-]+\.py)`", read(name))) <= there


@pytest.mark.parametrize("name", [name for name in PAGES if "reference" not in name and name != "CHANGELOG.md"])
def test_every_page_is_reached_from_the_readme(name):
    language = ".zh-CN" if ".zh-CN" in name else ""
    assert name.startswith("README") or f"]({name})" in read(f"README{language}.md")


@pytest.mark.parametrize("name", PAGES)
def test_settings_that_a_page_names_exist(name):
    """Those given with -e: of a role, a playbook, or Ansible itself."""
    files = [path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.yml")]
    known = "".join(path.read_text(encoding="utf-8") for path in files)
    for setting in re.findall(r"-e [\"']?([a-z_]+)=", read(name)):
        assert setting in known or setting == "name" or setting.startswith("ansible_"), setting
