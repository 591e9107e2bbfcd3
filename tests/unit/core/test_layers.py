"""module_utils/chatglm/ shows the flow: a folder a stage, which imports the core and earlier ones, never a later."""

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[3] / "module_utils" / "chatglm"
STAGES = ["preflight", "windows", "cuda_libs", "source", "virtualenv", "weights", "web_demo", "smoke_test", "service"]
STAGES += ["doctor", "report", "uninstall"]
GROUND = {"core", "language"}
PATHS = sorted(path for path in CORE.rglob("*.py") if path.parent != CORE)


def stage_of(path):
    """Return the folder of module_utils/chatglm/ that a file is in."""
    return path.relative_to(CORE).parts[0]


def imported(path):
    """Return the folders of module_utils/chatglm/ that a file imports from."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level == len(path.relative_to(CORE).parts):
            yield from [node.module.split(".")[0]] if node.module else [name.name for name in node.names]
        elif (node.module or "").startswith("ansible.module_utils.chatglm."):
            yield node.module.split(".")[3]


def test_every_folder_is_a_stage_or_stands_under_all():
    assert {stage_of(path) for path in PATHS} == GROUND | set(STAGES)
    assert [path.name for path in CORE.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(CORE)))
def test_it_imports_nothing_that_comes_later(path):
    own = stage_of(path)
    allowed = GROUND if own in GROUND else GROUND | set(STAGES[: STAGES.index(own)])
    assert set(imported(path)) <= allowed | {own}


def test_the_stages_are_in_the_order_of_the_play():
    roles = [line.split("role:")[1].split()[0] for line in (CORE.parents[1] / "site.yml").read_text().splitlines()
             if "role:" in line]  # fmt: skip
    assert [stage for stage in STAGES if stage in roles] == [role for role in roles if role in STAGES]
