"""The patcher's core. All samples are written for these tests, in the forms that upstream's scripts have had."""

import ast
import codecs
import itertools
import re
from dataclasses import replace

import pytest
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.web_demo.edit import Settings, apply
from ansible.module_utils.chatglm.web_demo.patch import plan, revert, settle
from ansible.module_utils.chatglm.web_demo.record import Record
from ansible.module_utils.chatglm.web_demo.user_edits import line_before

pytestmark = pytest.mark.filterwarnings("ignore:.*invalid escape")  # a form of upstream's, as the samples have it
CUDA = Settings("/home/me/chatglm/models/m-int4", "cuda", "127.0.0.1", 7861)
CPU = Settings("/home/me/chatglm/models/m-int4", "cpu", "127.0.0.1", 7861)
OTHER = Settings('/srv/other "m"', "cuda", "0.0.0.0", 80)

PAGE = '''\
from transformers import AutoModel, AutoTokenizer
import gradio as gr

tok = AutoTokenizer.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True)  # 词表
model = AutoModel.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True).cuda()
# 多卡: load_model_on_gpus("THUDM/chatglm2-6b", num_gpus=2)
model = model.eval()


def postprocess(self, y):
    return y


gr.Chatbot.postprocess = postprocess


def parse_text(text):
    return text.replace("`", "\\`")


def predict(input, chatbot, history, past):
    """一轮。"""; chatbot.append((parse_text(input), ""))
    for response, history, past in model.stream_chat(tok, input, history, past_key_values=past):
        chatbot[-1] = (parse_text(input), parse_text(response))

        yield chatbot, history, past


with gr.Blocks() as demo:
    chatbot = gr.Chatbot()
    box = gr.Textbox(show_label=False, lines=10).style(
        container=False)
    history, past = gr.State([]), gr.State(None)
    box.submit(predict, [box, chatbot, history, past], [chatbot, history, past])

demo.queue().launch(share=True, inbrowser=True)
'''

API = """\
# coding=utf-8
import uvicorn
from fastapi import FastAPI
from transformers import AutoTokenizer, AutoModel

DEVICE = "cuda"
app = FastAPI()

def stream(chunk, reply):
    yield "{}".format(chunk.json(exclude_unset=True, ensure_ascii=False))
    yield reply.json()

if __name__ == '__main__':
    tokenizer = AutoTokenizer.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True)
    model = AutoModel.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True, device='cuda')
    model.eval()
    uvicorn.run(app, host='0.0.0.0', port=8000, workers=1)
"""

TERMINAL = """\
from transformers import AutoTokenizer, AutoModel
import readline
tokenizer = AutoTokenizer.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True)
model = AutoModel.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True, device='cuda').bfloat16()
model = model.eval()
while True:
    print(model.chat(tokenizer, input("用户："))[0])
"""

STREAMLIT = """\
import streamlit as st
from transformers import AutoModel, AutoTokenizer

@st.cache_resource
def get_model():
    tokenizer = AutoTokenizer.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True)
    model = AutoModel.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True).cuda()
    model = model.eval()
    return tokenizer, model
"""

OPENAI = """\
import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.middleware.cors import CORSMiddleware
from sse_starlette.sse import EventSourceResponse
from transformers import AutoTokenizer, AutoModel

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"])

class ChatCompletionRequest(BaseModel):
    messages: List[ChatMessage]

@app.post("/v1/chat/completions", response_model=Reply)
async def complete(request: ChatCompletionRequest):  # 一问一答
    global model, tok
    query, history = request.messages[-1].content, []

    if request.stream:
        generate = predict(query, history, request.model)
        return EventSourceResponse(generate, media_type="text/event-stream")

    response, _ = model.chat(tok, query, history=history)
    return Reply(choices=[Choice(message=response, finish_reason="stop")])

async def predict(query: str, history: List[List[str]], model_id: str):
    yield "{}".format(first.json(exclude_unset=True, ensure_ascii=False))
    for new_response, _ in model.stream_chat(tok, query, history):
        yield "{}".format(Chunk(new_response, finish_reason=None).json(exclude_unset=True, ensure_ascii=False))
    yield "{}".format(Chunk(finish_reason='stop').json(exclude_unset=True, ensure_ascii=False))

if __name__ == "__main__":
    tok = AutoTokenizer.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True)
    model = AutoModel.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True).cuda()
    uvicorn.run(app, host='0.0.0.0', port=8000, workers=1)
"""

SAMPLES = {"page": PAGE, "api": API, "openai": OPENAI, "terminal": TERMINAL, "streamlit": STREAMLIT}


def load(line):
    return f"from transformers import *\n{line}\n".encode()


def patched(text, settings=CUDA):
    data = text if isinstance(text, bytes) else text.encode()
    return settle(data, None, settings, "web_demo.py").data.decode()


def mixed(text):
    ends = itertools.cycle(["\r\n", "\r", "\n"])
    return "".join(line + next(ends) for line in text.split("\n")[:-1])


ENCODED = {
    "utf-8": lambda text: text.encode(),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
    "mixed": lambda text: mixed(text).encode(),
    "bom": lambda text: codecs.BOM_UTF8 + text.encode(),
    "no final newline": lambda text: text.rstrip("\n").encode(),
    "gbk": lambda text: ("# -*- coding: gbk -*-\n" + text.replace("# coding=utf-8\n", "")).encode("gbk"),
    "gbk, crlf": lambda text: (
        ("#!/usr/bin/python\n# coding: gbk\n" + text.replace("# coding=utf-8\n", ""))
        .replace("\n", "\r\n")
        .encode("gbk")
    ),
    # Characters that str.splitlines takes for line ends, and Python does not.
    "odd characters": lambda text: "X = 'a\x0bb\x1cc\u2028d\u0085'  # \x0c\n\x0c\n".encode() + text.encode(),
}


# -- properties that hold for every form, encoding and setting


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("settings", [CUDA, CPU, OTHER], ids=["cuda", "cpu", "other"])
def test_only_the_edits_change_and_they_go_back(sample, encoding, settings):
    original = ENCODED[encoding](SAMPLES[sample])
    done = settle(original, None, settings, "web_demo.py")
    assert done.data != original
    assert done.data == apply(original, done.edits)
    compile(done.data, "web_demo.py", "exec")
    # byte by byte: what is not in an edit is as it was
    at = out = 0
    for edit in done.edits:
        size = edit.start - at
        assert done.data[out : out + size] == original[at : edit.start]
        assert done.data[out + size : out + size + len(edit.new)] == edit.new
        at, out = edit.end, out + size + len(edit.new)
    assert done.data[out:] == original[at:]
    # again, with and without the record
    again = settle(done.data, done.record, settings, "web_demo.py")
    assert (again.data, again.record) == (done.data, done.record)
    assert settle(done.data, None, settings, "web_demo.py").data == done.data
    # back
    assert revert(done.data, Record.from_json(done.record.to_json()), "web_demo.py").data == original


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize(("first", "second"), list(itertools.permutations([CUDA, CPU, OTHER], 2)))
def test_other_settings_start_from_the_original(sample, first, second):
    original = SAMPLES[sample].encode()
    one = settle(original, None, first, "web_demo.py")
    two = settle(one.data, one.record, second, "web_demo.py")
    assert two.data == settle(original, None, second, "web_demo.py").data
    assert revert(two.data, two.record, "web_demo.py").data == original
    # and where the record is lost, the same program results, but for the style of quotes
    bare = settle(one.data, None, second, "web_demo.py")
    assert ast.dump(ast.parse(bare.data)) == ast.dump(ast.parse(two.data))


def test_a_changed_port_changes_just_the_port():
    one = settle(PAGE.encode(), None, CUDA, "web_demo.py")
    two = settle(one.data, one.record, Settings(CUDA.model_path, "cuda", "127.0.0.1", 9999), "web_demo.py")
    assert two.data == one.data.replace(b"7861", b"9999")


# -- the page


def test_page_for_gradio_6():
    text = patched(PAGE)
    assert "pass  # gr.Chatbot.postprocess = postprocess\n" in text
    assert (
        '"""一轮。"""; chatbot.extend([{"role": "user", "content": input}, {"role": "assistant", "content": ""}])'
        in text
    )
    assert '        chatbot[-1] = {"role": "assistant", "content": response}\n' in text
    assert "    box = gr.Textbox(show_label=False, lines=10, container=False)\n" in text
    assert 'launch(share=False, inbrowser=False, server_name="127.0.0.1", server_port=7861)' in text
    assert '# 多卡: load_model_on_gpus("THUDM/chatglm2-6b", num_gpus=2)\n' in text  # a comment is no call


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("demo.launch()", 'demo.launch(server_name="127.0.0.1", server_port=7861, share=False, inbrowser=False)'),
        (
            "demo.queue().launch(\n    server_port = 1,  # mine\n)",
            "demo.queue().launch(\n    server_port = 7861, "
            'server_name="127.0.0.1", share=False, inbrowser=False  # mine\n)',
        ),
        ("gr.Row().style(equal_height=True)", "gr.Row(equal_height=True)"),
        ("gr.Textbox('a',).style(container=False)", "gr.Textbox('a', container=False)"),
        ("gr.Textbox('a' # )\n).style()", "gr.Textbox('a' # )\n)"),
        ("gr.Chatbot().style(color_map=('a', 'b'))", "gr.Chatbot()"),
        ("other.style(container=False)", "other.style(container=False)"),
        ("gr.Chatbot.postprocess = f; x = 1", "pass; x = 1"),
        ("talk = gr.Chatbot()\ntalk.append((a, b))", 'talk = gr.Chatbot()\ntalk.extend([{"role": "user", '
         '"content": a}, {"role": "assistant", "content": b}])'),
        ("history.append((a, b))", "history.append((a, b))"),
        ("chatbot[0] = (a, b)", "chatbot[0] = (a, b)"),
    ],
)  # fmt: skip
def test_gradio_forms(before, after):
    head = f'import gradio as gr\nAutoModel.from_pretrained("{CUDA.model_path}").cuda()\n'
    tail = '\nx.launch(server_name="127.0.0.1", server_port=7861, share=False, inbrowser=False)\n'
    assert patched(head + before + tail) == head + after + tail


def test_a_dropped_style_argument_is_reported():
    text = 'import gradio as gr\nAutoModel.from_pretrained("a")\ngr.Chatbot().style(rounded=True)\nd.launch()\n'
    notes = settle(text.encode(), None, CUDA, "web_demo.py").warnings
    assert notes == ["web_demo.py, line 3: .style(rounded=True) is dropped: gradio 6 has no such argument"]


# -- the device


@pytest.mark.parametrize(
    ("line", "cuda", "cpu"),
    [
        ("AutoModel.from_pretrained(P).cuda()", ".cuda()", ".float()"),
        ("AutoModel.from_pretrained(P)", ".cuda()", ".float()"),
        ("AutoModel.from_pretrained(P, device='cuda')", ".cuda()", ".float()"),
        ("AutoModel.from_pretrained(P, device='cuda').bfloat16()", ".cuda()", ".float()"),
        ("AutoModel.from_pretrained(P).half().cuda()", ".half().cuda()", ".float()"),
        ("AutoModel.from_pretrained(P).half().quantize(4).cuda(0).eval()", ".half().quantize(4).cuda(0).eval()",
         ".float().quantize(4).eval()"),
        ("AutoModel.from_pretrained(P).float()", ".cuda()", ".float()"),
        ("AutoModel.from_pretrained(P).eval().cuda()", ".eval().cuda()", ".eval().float()"),
        ("AutoModel.from_pretrained(P).to('cuda:0')", ".to('cuda:0')", ".float()"),
        ("AutoModel.from_pretrained(P, device_map='auto')", ".cuda()", ".float()"),
        ("AutoModelForCausalLM.from_pretrained(P).cuda()", ".cuda()", ".float()"),
    ],
)  # fmt: skip
def test_device_of_the_load(line, cuda, cpu):
    source = load("model = " + line.replace("P", '"THUDM/chatglm2-6b"'))
    name = line.split(".")[0]
    for settings, chain in ((CUDA, cuda), (CPU, cpu)):
        assert patched(source, settings).splitlines()[1] == (
            f'model = {name}.from_pretrained("{settings.model_path}"){chain}'
        )


@pytest.mark.parametrize(
    ("line", "cuda", "cpu"),
    [
        (
            "model = (AutoModel.from_pretrained(P)  # one\n    .half()  # two\n    .cuda())",
            "model = (AutoModel.from_pretrained(P)  # one\n    .half()  # two\n    .cuda())",
            "model = (AutoModel.from_pretrained(P)  # one\n    .float()  # two\n    )",
        ),
        (
            "model = AutoModel.from_pretrained(P) \\\n    .half() \\\n    .cuda()",
            "model = AutoModel.from_pretrained(P) \\\n    .half() \\\n    .cuda()",
            "model = AutoModel.from_pretrained(P) \\\n    .float()",
        ),
        (
            "model = AutoModel.from_pretrained(P,\n    device='cuda',  # where\n    trust_remote_code=True)",
            "model = AutoModel.from_pretrained(P,  # where\n    trust_remote_code=True).cuda()",
            "model = AutoModel.from_pretrained(P,  # where\n    trust_remote_code=True).float()",
        ),
        (
            "model = AutoModel.from_pretrained(P,  # what\n    device='cuda')",
            "model = AutoModel.from_pretrained(P  # what\n    ).cuda()",
            "model = AutoModel.from_pretrained(P  # what\n    ).float()",
        ),
        (
            "model = AutoModel.from_pretrained(device='cuda', pretrained_model_name_or_path=P)",
            "model = AutoModel.from_pretrained(pretrained_model_name_or_path=P).cuda()",
            "model = AutoModel.from_pretrained(pretrained_model_name_or_path=P).float()",
        ),
        (
            "model = AutoModel.from_pretrained(P)\nmodel = model.half().cuda().eval()",
            "model = AutoModel.from_pretrained(P)\nmodel = model.half().cuda().eval()",
            "model = AutoModel.from_pretrained(P).float()\nmodel = model.eval()",
        ),
        (
            "self.model: Any = AutoModel.from_pretrained(P)\nself.model.cuda()",
            "self.model: Any = AutoModel.from_pretrained(P)\nself.model.cuda()",
            "self.model: Any = AutoModel.from_pretrained(P).float()\nself.model",
        ),
        (
            "model = AutoModel.from_pretrained(P, torch_dtype=torch.bfloat16)",
            "model = AutoModel.from_pretrained(P).cuda()",
            "model = AutoModel.from_pretrained(P).float()",
        ),
    ],
)
def test_device_over_several_lines(line, cuda, cpu):
    source = load(line.replace("P", '"THUDM/chatglm2-6b"'))
    for settings, want in ((CUDA, cuda), (CPU, cpu)):
        text = patched(source, settings)
        assert text.partition("\n")[2] == want.replace("P", f'"{settings.model_path}"') + "\n"


def test_a_device_that_is_computed_is_left_and_reported():
    done = settle(load('m = AutoModel.from_pretrained("chatglm").to(DEVICE)'), None, CUDA, "web_demo.py")
    assert done.data.decode().endswith(f'm = AutoModel.from_pretrained("{CUDA.model_path}").to(DEVICE)\n')
    assert "line 2" in done.warnings[0]
    assert ".to(DEVICE) is left as it is" in done.warnings[0]


# -- the path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("AutoTokenizer.from_pretrained('THUDM/chatglm2-6b')", "AutoTokenizer.from_pretrained(P)"),
        ("AutoConfig.from_pretrained(r'THUDM/chatglm2-6b', x=1)", "AutoConfig.from_pretrained(P, x=1)"),
        ('AutoTokenizer.from_pretrained("THUDM/" "chatglm2-6b")', "AutoTokenizer.from_pretrained(P)"),
        ("a = '''中''' ; AutoTokenizer.from_pretrained('./chatglm2-6b-int4')",
         "a = '''中''' ; AutoTokenizer.from_pretrained(P)"),
        ('p = "THUDM/chatglm2-6b"\nAutoTokenizer.from_pretrained(p)', "p = P\nAutoTokenizer.from_pretrained(p)"),
        ('p: str = "THUDM/chatglm2-6b"\nAutoConfig.from_pretrained(p)\nAutoTokenizer.from_pretrained(p)',
         "p: str = P\nAutoConfig.from_pretrained(p)\nAutoTokenizer.from_pretrained(p)"),
        ('AutoTokenizer.from_pretrained("BAAI/other")', 'AutoTokenizer.from_pretrained("BAAI/other")'),
        ('PeftModel.from_pretrained(model, "lora")', 'PeftModel.from_pretrained(model, "lora")'),
    ],
)  # fmt: skip
def test_path_forms(before, after):
    tail = f'\nAutoModel.from_pretrained("{CUDA.model_path}").cuda()\n'
    assert (
        patched(before + tail)
        == after.replace("P)", f'"{CUDA.model_path}")')
        .replace("P,", f'"{CUDA.model_path}",')
        .replace("= P\n", f'= "{CUDA.model_path}"\n')
        + tail
    )


@pytest.mark.parametrize("path", ['/a "b"\\c', "/用户/模型", "/tab\there", "/it's"])
@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "ascii", "latin-1"])
def test_the_literal_has_the_value_of_the_path_in_every_encoding(path, encoding):
    source = f'# coding: {encoding}\nx = AutoModel.from_pretrained("THUDM/chatglm2-6b")\n'.encode(encoding)
    data = settle(source, None, Settings(path, "cpu", "::1", 1), "web_demo.py").data
    values = [node.value for node in ast.walk(ast.parse(data)) if isinstance(node, ast.Constant)]
    assert values == [path]


def test_load_on_several_gpus():
    source = load('model = load_model_on_gpus("THUDM/chatglm2-6b", num_gpus=2)')
    for settings, chain in ((CUDA, "cuda"), (CPU, "float")):
        want = f'AutoModel.from_pretrained("{CUDA.model_path}", trust_remote_code=True).{chain}()'
        assert patched(source, settings).splitlines()[1] == f"model = {want}"
    (note,) = settle(source, None, CUDA, "web_demo.py").warnings
    assert note.startswith("web_demo.py, line 2: the model is loaded on one GPU")
    named = b'from transformers import AutoModel\nm = load_model_on_gpus(num_gpus=2, checkpoint_path="chatglm", x=1)\n'
    want = f'm = AutoModel.from_pretrained(pretrained_model_name_or_path="{CUDA.model_path}", trust_remote_code=True)'
    assert patched(named).splitlines()[1] == f"{want}.cuda()"
    with pytest.raises(Failure, match=r"web_demo.py, line 1: load_model_on_gpus needs accelerate"):
        patched('m = load_model_on_gpus("chatglm")')


# -- servers


def test_api_under_pydantic_2():
    text = patched(API)
    assert "chunk.model_dump_json(exclude_unset=True))" in text
    assert "reply.json()" in text
    assert 'uvicorn.run(app, host="127.0.0.1", port=7861, workers=1)' in text
    assert 'DEVICE = "cuda"' in text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("uvicorn.run(app)", 'uvicorn.run(app, host="127.0.0.1", port=7861)'),
        ("uvicorn.run(app, port=(8000))", 'uvicorn.run(app, port=(7861), host="127.0.0.1")'),
        ("uvicorn.run('api:app', host='127.0.0.1', port=PORT)", "uvicorn.run('api:app', host='127.0.0.1', port=7861)"),
        ("r.json(ensure_ascii=False, exclude_unset=True)", "r.model_dump_json(exclude_unset=True)"),
        ("r.json(ensure_ascii=False)", "r.model_dump_json()"),
        ("r.json(indent=1)", "r.json(indent=1)"),
    ],
)
def test_server_forms(before, after):
    head = f'AutoModel.from_pretrained("{CUDA.model_path}").cuda()\n'
    assert patched(head + before) == head + after


def test_openai_api():
    before, after = OPENAI.splitlines(), patched(OPENAI).splitlines()
    block = after[
        after.index(
            "# The following, up to LimitedRequest, was put here by Ansible (patch_web_demo), and what uses it."
        ) :
    ]
    block = block[: block.index('@app.post("/v1/chat/completions", response_model=Reply)')]
    assert "app.add_middleware(TrustedHostMiddleware, allowed_hosts=['127.0.0.1', 'localhost'])" in block
    rest = "\n".join(after).replace("\n".join(block) + "\n", "").splitlines()
    gone, new = [line for line in before if line not in rest], [line for line in rest if line not in before]
    assert len(gone) == len(new) - 1 == 15
    assert new[:9] == [
        "app = FastAPI(docs_url=None, redoc_url=None)",
        'app.add_middleware(CORSMiddleware, allow_origins=[], allow_methods=["*"])',
        "async def complete(request: LimitedRequest, connection: Request):  # 一问一答",
        "    answer = await run_in_threadpool(Answer, model, tok, request, query, history)",
        "        generate = predict(query, history, request.model, answer)",
        '        return EventSourceResponse(answer.told(generate), media_type="text/event-stream", '
        "background=BackgroundTask(answer.close, generate))",
        "    response, _ = await answer.whole(connection)",
        "    return Reply(choices=[Choice(message=response, finish_reason=answer.finish_reason)])",
        "async def predict(query: str, history: List[List[str]], model_id: str, answer):",
    ]
    assert "    async for new_response, _ in answer.parts:" in new
    assert "finish_reason=None" in "".join(new)
    assert new[-1] == '    uvicorn.run(app, host="127.0.0.1", port=7861, workers=1, timeout_graceful_shutdown=3)'


def test_openai_api_whose_record_was_lost_follows_the_address():
    here = patched(OPENAI)
    there = patched(here, OTHER)
    assert there.replace('"', "'") == patched(OPENAI, OTHER).replace('"', "'")
    assert "allowed_hosts=['*']" in there
    assert patched(there) == here
    v6 = Settings(CUDA.model_path, "cuda", "::1", 7861)
    assert "allowed_hosts=['127.0.0.1', '[::1]', 'localhost']" in patched(OPENAI, v6)


@pytest.mark.parametrize(
    ("old", "new", "then"),
    [
        ("history=history", "history", "run_in_threadpool(Answer, model, tok, request, query, history)"),
        ("model.chat(tok, query, history=history)", "net.chat(tok, query)", "(Answer, net, tok, request, query)"),
        ("request: Chat", "asked: Chat", "(Answer, model, tok, asked, query, history)"),
        ("EventSourceResponse", "StreamingResponse", "StreamingResponse(answer.told(generate), media_type="),
        ("generate", "parts", "BackgroundTask(answer.close, parts)"),
        ("model_id: str):", "model_id):", "model_id, answer):"),
        ("app.add_middleware(CORSMiddleware, allow_origins=", "x = dict(allow_origins=", "allow_origins=[]"),
        ("FastAPI()", "FastAPI(docs_url='/d')", "FastAPI(docs_url='/d')"),
        (
            "    if request.stream:\n        generate",
            "    if 1:\n     if request.stream:\n        generate",
            "    if 1:\n     if",
        ),
    ],
)
def test_openai_api_forms(old, new, then):
    assert old in OPENAI
    assert then in patched(OPENAI.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("model.chat(", "model.talk(", "web_demo.py: 0 places of the form model.chat"),
        ("    for new", "    model.chat(tok, 1)\n    for new", "line 27: 2 places of the form model.chat"),
        ("model.stream_chat(", "model.talk(", "0 places of the form for ... in model.stream_chat(...)"),
        ("async def predict", "def predict", "not in an async function of its own"),
        ("async def complete", "def complete", "not in an async function of its own"),
        (
            "generate = predict(query, history, request.model)",
            "generate = other()",
            "0 places of the form predict(...)",
        ),
        ("Response(generate", "Response(other()", "0 places of the form EventSourceResponse(generate, media_type=...)"),
        ("request: ChatCompletionRequest", "request", "0 places of the form request: ChatCompletionRequest"),
    ],
)
def test_openai_api_in_another_form_is_refused(old, new, found):
    assert old in OPENAI
    with pytest.raises(Failure) as caught:
        patched(OPENAI.replace(old, new))
    assert found in str(caught.value)


KEYED = replace(CUDA, password_file="/home/我/state/page_password")


@pytest.mark.parametrize("encoding", ENCODED)
def test_openai_api_asks_for_the_key_of_a_file(encoding):
    original = ENCODED[encoding](OPENAI)
    there = settle(original, None, KEYED, "openai_api.py")
    coding = "gbk" if "gbk" in encoding else "utf-8"
    assert 'app.add_middleware(Guard, key_file="/home/我/state/page_password")' in there.data.decode(coding)
    again = settle(there.data, there.record, KEYED, "openai_api.py")
    assert (again.data, again.record) == (there.data, there.record)
    here = settle(there.data, there.record, CUDA, "openai_api.py")
    assert 'app.add_middleware(Guard, key_file="")' in here.data.decode(coding)
    assert here.data == settle(original, None, CUDA, "openai_api.py").data
    assert revert(there.data, there.record, "openai_api.py").data == original
    # What a lost record leaves follows too.
    assert settle(there.data, None, CUDA, "openai_api.py").data == here.data
    assert settle(here.data, None, KEYED, "openai_api.py").data == there.data


@pytest.mark.parametrize("sample", ["api", "terminal", "streamlit"])
def test_a_script_that_cannot_ask_for_a_password_is_refused(sample):
    with pytest.raises(Failure, match="nothing in it can ask for a password"):
        patched(SAMPLES[sample], KEYED)


def test_an_older_patch_without_its_record_is_no_door():
    older = re.sub(r"class Guard:.*?key_file=\"\"\)\n", "", patched(OPENAI), flags=re.DOTALL)
    assert "LimitedRequest" in patched(older)
    with pytest.raises(Failure, match="an older patch that asks for no key"):
        patched(older, KEYED)


# -- refusals


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"x = (\n", "web_demo.py, line 1: Python cannot parse it"),
        (b"x = 1\nprint 'hello'\n", "web_demo.py, line 2: Python cannot parse it"),
        (b"x = 1\n# \xff\n", "web_demo.py, line 2: bytes that are not valid utf-8"),
        (b"\n\n\n# \xff\n", "web_demo.py, line 4: bytes that are not valid utf-8"),
        (b"# coding: klingon\n", "web_demo.py, line 1: its encoding cannot be told"),
        (b"print('hello')\n", "web_demo.py: no call that loads the model"),
        (b"AutoTokenizer.from_pretrained('THUDM/chatglm2-6b')\n", "web_demo.py: no call that loads the model"),
        (
            b"import os\nm = AutoModel.from_pretrained(os.path.join(A, 'b'))\n",
            "web_demo.py, line 2: the model's path is computed (os.path.join(A, 'b'))",
        ),
        (b"m = AutoModel.from_pretrained(f'{A}/b')\n", "web_demo.py, line 1: the model's path is computed (f'{A}/b')"),
        (b"p = input()\nAutoModel.from_pretrained(p)\n", "web_demo.py, line 2: the model's path is computed (p)"),
        (b"def f(p):\n AutoModel.from_pretrained(p)\n", "web_demo.py, line 2: the model's path is computed (p)"),
        (b"AutoModel.from_pretrained(args.p)\n", "web_demo.py, line 1: the model's path is computed (args.p)"),
        (b"AutoModel.from_pretrained()\n", "web_demo.py, line 1: the model's path is computed (nothing)"),
        (
            b"AutoModel.from_pretrained('a')\nAutoModel.from_pretrained('b')\n",
            "web_demo.py, line 1: several models are loaded (a, b)",
        ),
        (
            b"import gradio as gr\nAutoModel.from_pretrained('chatglm')\n",
            "web_demo.py, line 1: gradio is imported, and no .launch() call follows",
        ),
        (
            b"import gradio\nAutoModel.from_pretrained('chatglm')\nd.launch(**options)\n",
            "web_demo.py, line 3: arguments given as **mapping",
        ),
    ],
)
def test_refused_with_line_and_reason(text, found):
    with pytest.raises(Failure) as caught:
        plan(text, CUDA)
    assert caught.value.found.startswith(found)
    assert "left as it is" in caught.value.remedy


# -- edits of the user


def user(data, before, after):
    assert data.count(before.encode()) == 1
    return data.replace(before.encode(), after.encode())


def test_edits_from_before_the_patch_come_back_with_revert():
    mine = PAGE.replace("lines=10", "lines=3").encode()
    done = settle(mine, None, CUDA, "web_demo.py")
    assert b"lines=3, container=False" in done.data
    assert revert(done.data, done.record, "web_demo.py").data == mine


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import gradio as gr\n", "import gradio as gr\nimport os\n"),  # a line more, above
        ("model = model.eval()\n", ""),  # a line less, right below an edit
        ("    return y\n", "    y = list(y)\n    return y\n"),
        ("# 词表", "# 词表, mine"),  # on a line with an edit of ours, beside it
        ("lines=10", "lines=3"),
        ("\ndemo.queue()", "\nprint('up')\ndemo.queue(max_size=4)"),
        ("trust_remote_code=True).cuda()", "trust_remote_code=True, revision='x').cuda()"),
        (".cuda()", ".half().cuda()"),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_edits_from_after_the_patch_are_carried(before, after, ends):
    original = PAGE.replace("\n", ends).encode()
    before, after = before.replace("\n", ends), after.replace("\n", ends)
    one = settle(original, None, CUDA, "web_demo.py")
    mine = user(one.data, before, after)
    two = settle(mine, one.record, CUDA, "web_demo.py")
    assert two.data == mine
    assert two.warnings == []
    want = user(original, before, after)
    assert revert(mine, one.record, "web_demo.py").data == want
    assert revert(two.data, two.record, "web_demo.py").data == want
    three = settle(mine, two.record, CPU, "web_demo.py")
    assert three.data == settle(want, None, CPU, "web_demo.py").data
    assert three.warnings == []


@pytest.mark.parametrize(
    ("before", "after", "note"),
    [
        (
            "server_port=7861",
            "server_port=9000",
            "line 36: your own edit is kept; the settings would have made it '8080'",
        ),
        ('"content": response}', '"content": response + "!"}', None),  # no setting has another opinion of that
    ],
)
def test_edits_over_ours_are_kept_and_reported(before, after, note):
    one = settle(PAGE.encode(), None, CUDA, "web_demo.py")
    mine = user(one.data, before, after)
    for settings in (CUDA, Settings("/srv/m", "cuda", "127.0.0.1", 8080)):
        two = settle(mine, one.record, settings, "web_demo.py")
        assert after.encode() in two.data
        if settings is CUDA:
            assert two.data == mine
        again = settle(two.data, two.record, settings, "web_demo.py")
        assert (again.data, again.record, again.warnings) == (two.data, two.record, two.warnings)
        back = revert(two.data, two.record, "web_demo.py")
        assert after.encode() in back.data
        assert "your own edit over the patch stays as it is" in back.warnings[0]
    assert [text for text in two.warnings if note and note in text] or (not note and not two.warnings)
    assert b'from_pretrained("/srv/m"' in two.data  # the other places follow the settings


def test_a_new_load_that_the_user_added_is_patched_too():
    one = settle(TERMINAL.encode(), None, CUDA, "web_demo.py")
    mine = one.data + b'c = AutoConfig.from_pretrained("THUDM/chatglm2-6b")\n'
    two = settle(mine, one.record, CUDA, "web_demo.py")
    assert two.data == one.data + f'c = AutoConfig.from_pretrained("{CUDA.model_path}")\n'.encode()


def test_a_text_that_git_restored_or_renewed_is_patched_afresh():
    one = settle(PAGE.encode(), None, CUDA, "web_demo.py")
    newer = PAGE.replace("lines=10", "lines=12").replace("model = model.eval()", "model.eval()").encode()
    for text in (PAGE.encode(), newer):
        two = settle(text, one.record, CUDA, "web_demo.py")
        assert two.data == settle(text, None, CUDA, "web_demo.py").data
        assert two.warnings == []
        assert revert(two.data, two.record, "web_demo.py").data == text


def test_a_rewrite_after_the_patch_is_refused():
    one = settle(PAGE.encode(), None, CUDA, "web_demo.py")
    with pytest.raises(Failure, match="no call that loads the model"):
        settle(b"print('my own')\n", one.record, CUDA, "web_demo.py")


def test_an_interruption_between_record_and_file_is_harmless():
    one = settle(PAGE.encode(), None, CUDA, "web_demo.py")
    two = settle(one.data, one.record, CPU, "web_demo.py")
    # the record of the second run is written, the file is still the first run's
    three = settle(one.data, two.record, CPU, "web_demo.py")
    assert three.data == two.data
    assert revert(one.data, two.record, "web_demo.py").data == PAGE.encode()


# -- the record


def test_record_survives_json_and_refuses_damage():
    record = settle(PAGE.encode(), None, CUDA, "/x/web_demo.py").record
    value = record.to_json()
    assert Record.from_json(value) == record
    assert Record.from_json(None) is None
    assert Record.from_json({"record": "weights"}) is None
    assert Record.from_json({**value, "original": "AAAA"}) is None
    assert Record.from_json({**value, "edits": value["edits"][1:]}) is None
    assert Record.from_json({**value, "settings": {}}) is None


def test_nothing_to_revert_without_a_record():
    done = revert(b"x = 1\n", None, "/x/web_demo.py")
    assert done.data == b"x = 1\n"
    assert done.warnings == ["web_demo.py: no record of a patch was found, so there is nothing to revert"]


# -- kinds found in forks


@pytest.mark.parametrize(
    ("line", "cuda", "cpu"),
    [
        ("AutoModel.from_pretrained(P, load_in_8bit=True)", "AutoModel.from_pretrained(P).cuda()",
         "AutoModel.from_pretrained(P).float()"),
        ("AutoModel.from_pretrained(P, load_in_4bit=True, trust_remote_code=True, device_map='auto').eval()",
         "AutoModel.from_pretrained(P, trust_remote_code=True).cuda().eval()",
         "AutoModel.from_pretrained(P, trust_remote_code=True).float().eval()"),
        ("AutoModel.from_pretrained(P).half().to('mps')", "AutoModel.from_pretrained(P).half().cuda()",
         "AutoModel.from_pretrained(P).float()"),
        ("AutoModel.from_pretrained(P).to('hpu', dtype=torch.bfloat16)", "AutoModel.from_pretrained(P).cuda()",
         "AutoModel.from_pretrained(P).float()"),
        ("AutoModel.from_pretrained(P).to(torch.device('mps'))", "AutoModel.from_pretrained(P).cuda()",
         "AutoModel.from_pretrained(P).float()"),
        ("AutoModel.from_pretrained(P).to(torch.bfloat16)", "AutoModel.from_pretrained(P).cuda()",
         "AutoModel.from_pretrained(P).float()"),
        ("AutoModel.from_pretrained(P).to(device='cuda:0')", "AutoModel.from_pretrained(P).to(device='cuda:0')",
         "AutoModel.from_pretrained(P).float()"),
    ],
)  # fmt: skip
def test_loads_of_other_machines(line, cuda, cpu):
    source = load("model = " + line.replace("P", '"THUDM/chatglm2-6b"'))
    for settings, want in ((CUDA, cuda), (CPU, cpu)):
        assert patched(source, settings).splitlines()[1] == "model = " + want.replace("P", f'"{CUDA.model_path}"')


def test_a_device_that_a_name_is_set_to_is_known():
    source = 'from x import *\nDEVICE = "mps"\nm = AutoModel.from_pretrained("chatglm").to(DEVICE)\n'
    assert patched(source).splitlines()[2] == f'm = AutoModel.from_pretrained("{CUDA.model_path}").cuda()'


@pytest.mark.parametrize(
    ("before", "cuda", "cpu"),
    [
        ("inputs = tok([q]).to('cuda')", "inputs = tok([q]).to('cuda')", 'inputs = tok([q]).to("cpu")'),
        ("inputs = tok([q]).to('mps')", 'inputs = tok([q]).to("cuda")', 'inputs = tok([q]).to("cpu")'),
        ("x = torch.tensor([1]).cuda()", "x = torch.tensor([1]).cuda()", "x = torch.tensor([1]).cpu()"),
        ("d = torch.device('mps')", 'd = torch.device("cuda")', 'd = torch.device("cpu")'),
        ("x = y.to('file')", "x = y.to('file')", "x = y.to('file')"),
    ],
)
def test_what_is_moved_beside_the_model(before, cuda, cpu):
    head = f'model = AutoModel.from_pretrained("{CUDA.model_path}")'
    for settings, chain, want in ((CUDA, ".cuda()", cuda), (CPU, ".float()", cpu)):
        assert patched(f"{head}{chain}\n{before}\n", settings) == f"{head}{chain}\n{want}\n"


@pytest.mark.parametrize(
    ("old", "new", "then"),
    [
        # a call by name, and a parameter with a default
        (["predict(query, history, request.model)", "model_id: str):"],
         ["predict(query, history, model_id=request.model)", "model_id: str = 'x'):"],
         ["predict(query, history, model_id=request.model, answer=answer)", "model_id: str = 'x', answer=None):"]),
        (["predict(query, history, request.model)", "model_id: str):"],
         ["predict(query, history, request.model, **more)", "model_id: str, **more):"],
         ["predict(query, history, request.model, **more, answer=answer)", "model_id: str, answer, **more):"]),
        (["predict(query, history, request.model)", "model_id: str):"],
         ["predict(query, history, model_id=request.model)", "*, model_id: str):"],
         ["(query, history, model_id=request.model, answer=answer)", "List[List[str]], answer, *, model_id: str):"]),
        # another answer with a media type, and one without a generator
        (["async def predict"],
         ["def page():\n    return Response(content='a', media_type='text/html')\n\nasync def predict"],
         ["content='a'"]),
        (["    response, _ = "],
         ["    if not query:\n        return Response(content='a', media_type='text/plain')\n    response, _ = "],
         ["Response(content='a', media_type='text/plain')", "EventSourceResponse(answer.told(generate)"]),
    ],
)  # fmt: skip
def test_openai_api_of_forks(old, new, then):
    text = OPENAI
    for before, after in zip(old, new, strict=True):
        assert before in text
        text = text.replace(before, after)
    done = patched(text)
    for part in then:
        assert part in done
    assert patched(done) == done


def test_a_refusal_is_one_and_names_a_line_of_the_users_file():
    text = OPENAI.replace("(query, history, request.model)", "(query, history, request.model, answer=1)")
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "answer=1" in each)
    with pytest.raises(Failure) as caught:
        patched(text)
    told = str(caught.value)
    assert told.count("Found:") == told.count("Expected:") == 1
    assert f"web_demo.py, line {line}: an edit here would break the script: Python cannot parse it" in told
    assert len(text.splitlines()) >= line


def test_the_line_of_a_refusal_is_counted_before_the_edits():
    text = PAGE.replace("gr.State([])", "gr.State([ ])") + "demo.queue(1)\n"
    lines = text.encode().splitlines(keepends=True)
    edits, _ = plan(text.encode(), CUDA)
    patched_text = apply(text.encode(), edits)
    for number, line in enumerate(patched_text.splitlines(keepends=True), 1):
        before = line_before(text.encode(), edits, number)
        if lines.count(line) == 1:
            assert lines[before - 1] == line
