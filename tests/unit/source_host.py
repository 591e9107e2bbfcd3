"""A demo's repository for tests: its page, and git without the user's own settings."""

import os
import subprocess

# Written for these tests, in upstream's form.
PAGE = """\
import gradio as gr
from transformers import AutoModel, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True)
model = AutoModel.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True).cuda()
with gr.Blocks() as demo:
    gr.Chatbot()
demo.queue().launch(share=False, inbrowser=True)
"""


def git(where, *args):
    env = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.org",
    }
    return subprocess.run(
        ["git", "-C", str(where), *args], env=env, check=True, capture_output=True, text=True
    ).stdout.strip()
