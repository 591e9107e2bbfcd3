"""What tools say is told so that a terminal shows it."""

import ast
import re
from pathlib import Path

import pytest
from ansible.module_utils.chatglm.core.failure import Failure, printable
from ansible.module_utils.chatglm.weights.content import TransferError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u6211\u3000\u597d \U0001f44b\u200d\tx\n", "plain \u6211\u3000\u597d \U0001f44b\u200d\tx\n"),
        ("a\0b\x07\x1b]0;title\x9b", "a\\x00b\\x07\\x1b]0;title\\x9b"),
        ("\x1b[31mred\x1b[0m and \x1b[?25lmore", "red and more"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("not UTF-8: \udcff", "not UTF-8: \\xff"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


def test_every_error_goes_through_it():
    told = str(Failure("a\0", "b\x1b[1m", "c\udc80"))
    assert told == "Found: a\\x00. Expected: b. To do: c\\x80"
    assert str(TransferError("http", "x\0")) == "x\\x00"


ROOT = Path(__file__).resolve().parents[3]
COMMANDS = "sudo|mv|cp|rm|ls|df|du|cd|git|kill|chmod|chown|cat|tail|install|rmdir|ln|tar|find"
PASTED = re.compile(rf"(?:^|[\s;:(&])({COMMANDS}) [^;,()]*$")
# Numbers, names of packages, and what is no command but begins like one.
HARMLESS = re.compile(r"quote|pid|geteuid|size|names|packages|user\b|unit\.NAME|words\(|ARCHIVES|^command$")
PROSE = ("git refuses ", "git could not read ", "git ", "unexpected line of git status: ", "fresh command: ")
PROSE += ("apt-get could not install X: ",)


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "library").glob("*.py")) + sorted((ROOT / "module_utils").rglob("*.py")),
    ids=lambda path: path.stem,
)
def test_a_path_in_a_command_that_is_pasted_is_quoted(path):
    bare = []
    for node in ast.walk(ast.parse(path.read_text())):
        text = ""
        for value in node.values if isinstance(node, ast.JoinedStr) else []:
            if isinstance(value, ast.Constant):
                text += str(value.value)
                continue
            what = ast.unparse(value.value)
            if PASTED.search(text) and text not in PROSE and not HARMLESS.search(what):
                bare.append(f"{path.name}:{node.lineno}: {text}{{{what}}}")
            text += "X"
    assert bare == []
