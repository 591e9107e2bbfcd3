"""What tools say is told so that a terminal shows it."""

import pytest
from ansible.module_utils.chatglm.content import TransferError
from ansible.module_utils.chatglm.failure import Failure, printable


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
