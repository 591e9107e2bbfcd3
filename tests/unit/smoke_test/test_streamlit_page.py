"""streamlit's page: messages that a true server sent, the tree that they draw, and what is sent back."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.smoke_test.streamlit_page import Screen
from smoke_host import ROOT

SIZE = {"width_config": {"use_stretch": True}}
# Captured here: the demo's web_demo2.py under streamlit 1.56 (some of its messages, in their order; shortened).
SENT = {
    "slider max_length": {
        "metadata": {"delta_path": [1, 0]},
        "delta": {"new_element": {"slider": {"id": "length-id", "label": "max_length", "default": [8192.0]}, **SIZE}},
    },
    "slider top_p": {
        "metadata": {"delta_path": [1, 1]},
        "delta": {"new_element": {"slider": {"id": "top-id", "label": "top_p", "data_type": "FLOAT"}, **SIZE}},
    },
    "bubble": {
        "metadata": {"delta_path": [0, 2]},
        "delta": {"add_block": {"allow_empty": True, "chat_message": {"name": "assistant"}, **SIZE}},
    },
    "text area": {
        "metadata": {"delta_path": [0, 3]},
        "delta": {"new_element": {"text_area": {"id": "area-id", "label": "用户命令输入", "default": ""}, **SIZE}},
    },
    "button": {
        "metadata": {"delta_path": [0, 4]},
        "delta": {"new_element": {"button": {"id": "button-id", "label": "发送"}, **SIZE}},
    },
    "answer begins": {
        "metadata": {"delta_path": [0, 2, 0]},
        "delta": {"new_element": {"markdown": {"body": "你好👋！", "element_type": "NATIVE"}}},
    },
    "answer grows": {
        "metadata": {"delta_path": [0, 2, 0]},
        "delta": {"new_element": {"markdown": {"body": "你好👋！我是", "element_type": "NATIVE"}}},
    },
}


def screen(*names):
    made = Screen()
    for name in names:
        made.apply(SENT[name])
    return made


def test_a_bubble_is_read_as_it_grows():
    made = screen("bubble")
    assert made.messages() == [{"role": "assistant", "content": ""}]
    for name, text in (("answer begins", "你好👋！"), ("answer grows", "你好👋！我是")):
        made.apply(SENT[name])
        assert made.messages() == [{"role": "assistant", "content": text}]


def test_a_text_outside_of_every_bubble_is_no_answer():
    assert screen("answer begins").messages() == []


def test_a_new_run_begins_with_an_empty_page():
    made = screen("bubble", "answer begins", "text area")
    made.apply({"new_session": {}})
    assert made.parts == {}


def test_a_question_is_the_state_of_the_widgets():
    made = screen("slider max_length", "slider top_p", "bubble", "text area", "button")
    assert made.fill_in("你好", 62) == [
        {"id": "area-id", "string_value": "你好"},
        {"id": "button-id", "trigger_value": True},
        {"id": "length-id", "double_array_value": {"data": [62]}},
        {"id": "top-id", "double_array_value": {"data": [0]}},
    ]


def test_a_page_that_cannot_be_asked_is_told():
    with pytest.raises(Failure, match="1 text areas and 0 buttons"):
        screen("text area").fill_in("你好", 62)


def test_the_client_ends_with_its_program(tmp_path):
    """Even when that is killed: nothing is left that keeps the page's session."""
    launcher = tmp_path / "bin" / "chatglm-run"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\necho $$ >{tmp_path}/pid\necho \'{{"script_finished": ""}}\'\nexec cat\n')
    launcher.chmod(0o755)
    program = (
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from module_utils.chatglm.smoke_test.streamlit_page import Streamlit\n"
        f"Streamlit('http://127.0.0.1:9', 9, {str(tmp_path)!r}).open(9)\nprint('open', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"open\n"
        folder = Path("/proc", (tmp_path / "pid").read_text().strip())
        assert folder.exists()
        running.kill()
    deadline = time.monotonic() + 60
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
