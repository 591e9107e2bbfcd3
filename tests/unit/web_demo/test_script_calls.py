"""Calls for older packages, settled by the signatures of the pinned ones. All samples are written for these tests."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.web_demo import script_calls, signatures
from ansible.module_utils.chatglm.web_demo.edit import Settings
from ansible.module_utils.chatglm.web_demo.patch import plan, settle

CUDA = Settings("/m", "cuda", "127.0.0.1", 7861)
LOAD = 'from transformers import AutoModel\nmodel = AutoModel.from_pretrained("/m").cuda()\n'
HEAD = f"import gradio as gr\n{LOAD}"
WANTED = 'server_name="127.0.0.1", server_port=7861, share=False, inbrowser=False'
TAIL = f"demo.launch({WANTED})\n"
LOCKS = Path(__file__).resolve().parents[3] / "roles" / "virtualenv" / "files"


def outcome(text, settings=CUDA):
    done = settle(text.encode(), None, settings, "web_demo.py")
    again = settle(done.data, None, settings, "web_demo.py")
    assert again.data == done.data
    return done


def taken(call, table, name):
    """Whether the arguments of a call fit a line of the table, as Python itself binds them."""
    known = script_calls.table(table)[name]
    kinds = inspect.Parameter
    parameters = [kinds(each, kinds.POSITIONAL_OR_KEYWORD, default=None) for each in known.by_place]
    parameters += [kinds(each, kinds.KEYWORD_ONLY, default=None) for each in known.names - set(known.by_place)]
    node = ast.parse(call, mode="eval").body
    inspect.Signature(parameters).bind(*node.args, **{each.arg: each.value for each in node.keywords})


@pytest.mark.parametrize(
    ("name", "lock"),
    [("GRADIO", "base"), ("STREAMLIT", "app-streamlit"), ("TRANSFORMERS", "base"), ("UVICORN", "base")],
)
def test_the_tables_are_of_the_locked_versions(name, lock):
    (version,) = re.findall(rf"(?m)^{name.lower()}==(\S+)", (LOCKS / f"{lock}.txt").read_text())
    assert getattr(signatures, f"{name}_VERSION") == version
    assert len(script_calls.table(getattr(signatures, name))) >= 1


@pytest.mark.parametrize(
    ("before", "after", "notes"),
    [
        ('q.queue(concurrency_count=2, status_update_rate="auto")',
         'q.queue(default_concurrency_limit=2, status_update_rate="auto")', 0),
        ("q.queue(5)", "q.queue(default_concurrency_limit=5)", 0),
        ('q.queue(5, "auto", True, max_size=3)',
         'q.queue(default_concurrency_limit=5, status_update_rate="auto", max_size=3)', 1),
        ("q.queue(client_position_to_load_data=1, default_enabled=True)", "q.queue()", 2),
        ("q.queue(default_enabled=True,)", "q.queue()", 1),
        ("q.queue(default_enabled=True, max_size=1, client_position_to_load_data=1)", "q.queue(max_size=1)", 2),
        ("gr.Box()", "gr.Group()", 0),
        ("gr.Variable([])", "gr.State([])", 0),
        ("gr.Column(flex=True, scale=2)", "gr.Column(scale=2)", 1),
        ("gr.Chatbot([], show_share_button=True)", "gr.Chatbot([])", 1),
        ("gr.Chatbot([], ('a', 'b'))", "gr.Chatbot([])", 1),
        ('gr.Image(source="upload")', 'gr.Image(sources="upload")', 0),
        ("gr.Textbox.update(visible=True)", "gr.update(visible=True)", 0),
        ("gr.Slider(0, 9, value=1, step=1, label='a', interactive=True)",
         "gr.Slider(0, 9, value=1, step=1, label='a', interactive=True)", 0),
        ("b = gr.Button('a')\nb.click(f, [b], [b], _js='x', status_tracker=None, show_progress=True)",
         "b = gr.Button('a')\nb.click(f, [b], [b], js='x', show_progress=True)", 1),
        ("b = gr.Button('a')\nb.click(f, b, b, 'name', None, True)",
         "b = gr.Button('a')\nb.click(f, b, b, 'name', scroll_to_output=True)", 1),
        ("c = gr.Chatbot()\nc.style(height=3)", "c = gr.Chatbot()\nc", 1),
        ("with gr.Row() as r:\n    r.style(equal_height=True)", "with gr.Row() as r:\n    r", 1),
        ("gr.Chatbot(color_map=1).style(height=3)", "gr.Chatbot(height=3)", 1),
        ("f(gr.Blocks(css='a', theme='b', title='c'))", "f(gr.Blocks(css='a', theme='b', title='c'))", 0),
        ("gr.Progress(track_tqdm=True)", "gr.Progress(track_tqdm=True)", 0),
        ("other.queue_up(5)\nother.click(f, 1, 2, _js='x')", "other.queue_up(5)\nother.click(f, 1, 2, _js='x')", 0),
        ("q.queue(*given)", "q.queue(*given)", 0),
    ],
)  # fmt: skip
def test_calls_for_gradio_3(before, after, notes):
    done = outcome(f"{HEAD}{before}\n{TAIL}")
    assert done.data.decode() == f"{HEAD}{after}\n{TAIL}"
    assert len(done.warnings) == notes
    for note in done.warnings:
        assert re.match(r"web_demo.py, line [45]: .* is dropped: gradio 6 has no such (argument|method)$", note)


@pytest.mark.parametrize(
    ("before", "after", "notes"),
    [
        ("enable_queue=True", WANTED, 1),
        ("False, True", 'False, False, server_name="127.0.0.1", server_port=7861, share=False', 0),
        ("None, True, True, False, True, 40",
         'None, False, False, False, max_threads=40, server_name="127.0.0.1", server_port=7861', 1),
        ("True, True, True, True, True, 40, None, None, False, False, '0.0.0.0', 80",
         "True, False, False, True, max_threads=40, auth=None, auth_message=None, prevent_thread_lock=False, "
         'show_error=False, server_name="127.0.0.1", server_port=7861', 1),
        ("show_tips=True, encrypt=True", WANTED, 2),
    ],
)  # fmt: skip
def test_launch_for_gradio_3(before, after, notes):
    done = outcome(f"{HEAD}demo.launch({before})\n")
    assert done.data.decode() == f"{HEAD}demo.launch({after})\n"
    assert len(done.warnings) == notes
    taken(f"launch({after})", signatures.GRADIO, ".launch")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("gr.inputs.Textbox()", "line 4: gradio 6.17.3 has no gr.inputs.Textbox"),
        ("gr.Carousel()", "line 4: gradio 6.17.3 has no gr.Carousel"),
        ("demo.launch(auht=('me', 'pw'))", "line 4: .launch is given auht"),
        ("demo.launch(*given)", "line 4: arguments given as **mapping"),
        ("demo.queue(1, 2, 3, 4, 5, 6, 7)", "line 4: .queue is given 7 arguments by place"),
        ("gr.Sidebar(colour=1)", "line 4: gr.Sidebar is given colour"),
        ("t = gr.Textbox()\nt.serialize(1)", "line 5: Textbox of gradio 6.17.3 has no .serialize"),
    ],
)
def test_what_nobody_can_settle_is_refused_with_its_line(line, found):
    with pytest.raises(Failure) as caught:
        plan(f"{HEAD}{line}\n{TAIL}".encode(), CUDA)
    assert caught.value.found.startswith(f"web_demo.py, {found}")


def test_names_imported_from_gradio_are_judged_too():
    done = outcome(
        f"from gradio import Blocks, Column as C\n{LOAD}C(flex=1)\nBlocks().queue(concurrency_count=1)\n{TAIL}"
    )
    assert b"C()\nBlocks().queue(default_concurrency_limit=1)\n" in done.data


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("st.experimental_rerun()", "st.rerun()"),
        ("st.sidebar.slider('a', 0, 9, 1, step=1)", "st.sidebar.slider('a', 0, 9, 1, step=1)"),
        ("st.text_area(label='a', height=100, placeholder='b', key='c')",
         "st.text_area(label='a', height=100, placeholder='b', key='c')"),
        ("st.session_state['a'] = 1", "st.session_state['a'] = 1"),
    ],
)  # fmt: skip
def test_streamlit(before, after):
    done = outcome(f"import streamlit as st\n{LOAD}{before}\n")
    assert done.data.decode() == f"import streamlit as st\n{LOAD}{after}\n"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("st.beta_columns(2)", "web_demo2.py, line 4: streamlit 1.56.0 has no st.beta_columns"),
        ("st.button('a', colour=1)", "web_demo2.py, line 4: st.button is given colour"),
    ],
)
def test_streamlit_refused(line, found):
    with pytest.raises(Failure) as caught:
        plan(f"import streamlit as st\n{LOAD}{line}\n".encode(), CUDA, "web_demo2.py")
    assert caught.value.found.startswith(found)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("uvicorn.run(app, host='0.0.0.0', port=80, workers=4, reload=True)",
         'uvicorn.run(app, host="127.0.0.1", port=7861, workers=1, reload=False)'),
        ("uvicorn.run(app, workers=1)", 'uvicorn.run(app, workers=1, host="127.0.0.1", port=7861)'),
    ],
)  # fmt: skip
def test_uvicorn(before, after):
    done = outcome(f"import uvicorn\n{LOAD}{before}\n")
    assert done.data.decode() == f"import uvicorn\n{LOAD}{after}\n"
    with pytest.raises(Failure, match=r"api.py, line 4: uvicorn.run is given debug"):
        plan(f"import uvicorn\n{LOAD}uvicorn.run(app, debug=True)\n".encode(), CUDA, "api.py")
