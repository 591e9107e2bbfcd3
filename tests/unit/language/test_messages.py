"""The catalogue of messages: complete in both languages."""

import re
import string

import pytest
from ansible.module_utils.chatglm.language import messages


def placeholders(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_message_is_there_in_both_languages():
    assert messages.MESSAGES
    for code, text in messages.MESSAGES.items():
        assert text.en.strip(), code
        assert re.search("[\u4e00-\u9fff]", text.zh), f"{code}: no Chinese in it"
        assert not re.search("[\u4e00-\u9fff]", text.en), f"{code}: Chinese in the English text"
        assert placeholders(text.en) == placeholders(text.zh), code


@pytest.mark.parametrize(
    ("setting", "environment", "expected"),
    [
        ("zh", {"LANG": "en_US.UTF-8"}, "zh"),
        ("en", {"LANG": "zh_CN.UTF-8"}, "en"),
        ("auto", {}, "en"),
        ("auto", {"LANG": "zh_CN.UTF-8"}, "zh"),
        ("auto", {"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, "zh"),
        ("auto", {"LC_ALL": "de_DE.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ("auto", {"LC_MESSAGES": "zh_TW", "LANG": "en_US.UTF-8"}, "zh"),
    ],
)
def test_the_language_goes_by_the_setting_then_by_the_locale(setting, environment, expected):
    assert messages.spoken(setting, environment) == expected


def test_a_message_is_filled(monkeypatch):
    monkeypatch.setattr(messages, "MESSAGES", {"x": messages.Text("{n} files", "{n} 个文件")})
    assert messages.say("zh", "x", n=3) == "3 个文件"
    with pytest.raises(KeyError):
        messages.say("en", "x")
