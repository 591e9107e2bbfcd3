"""A pretended host for the smoke test: a launcher whose worker and page do what a test tells them.

Invented for these tests; the shapes of the page's answers are gradio 6.17.3's (captured from its /config and its
event stream, shortened).
"""

import json
import os
import runpy
import subprocess
import sys
import traceback
from pathlib import Path

from ansible.module_utils import basic

ROOT = Path(__file__).resolve().parents[2]

# What the worker reports on a healthy CPU host (captured from a run with the tiny model, shortened).
REPORT = {
    "answer": "你好！我是 ChatGLM2-6B。",
    "answer_seconds": 0.5,
    "devices": {"cpu": 26},
    "distinct_tokens": 7,
    "engine": {"name": "torch", "layers": 8, "worst": 0.06, "wrong": []},
    "first_token_seconds": 0.1,
    "int4": {"expected": 8, "packed": 8},
    "largest_logit": 75.6,
    "load_seconds": 1.6,
    "nonfinite_logits": 0,
    "partials": 7,
    "prompt_tokens": 14,
    "rss_peak": 291627008,
    "tokens": 8,
    "tokens_per_second": 20.0,
    "versions": {"torch": "2.13.0+cpu", "transformers": "4.41.2"},
}

LAUNCHER = """#!{python}
import http.server, json, os, signal, subprocess, sys, time, urllib.parse

sys.path += [{root!r}, {root!r} + "/tests/unit"]
import streamlit_host

plan = json.load(open({plan!r}))
with open({calls!r}, "a") as stream:
    stream.write(" ".join(sys.argv[1:2]) + "\\n")
    stream.write("pid " + str(os.getpid()) + "\\n")

def say(value):
    print("@@chatglm-smoke@@ " + json.dumps(value), flush=True)

def worker(kind, value):
    print("noise of a library", flush=True)
    say({{"phase": "load"}})
    if kind == "exit":
        sys.exit(value)
    if kind == "stderr":
        sys.exit(value)  # a text: written to standard error, status 1
    if kind == "kill":
        os.kill(os.getpid(), value)
    if kind == "hang":
        subprocess.Popen(["sleep", "300"])
        time.sleep(300)
    say({{"phase": "answer"}})
    if kind == "hang in answer":
        time.sleep(300)
    say({{"report": value}})

class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    turns = 0
    def log_message(self, *_):
        pass
    def handle(self):
        # A client that leaves is no news in the log, as in gradio's.
        try:
            super().handle()
        except ConnectionError:
            pass
    def send(self, status, value, kind="application/json"):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def refused(self):
        key = plan["page"].get("key")
        if not key or self.path == "/" or self.headers.get("Authorization") == "Bearer " + key:
            return False
        self.send(401, {{"error": {{"message": "a wrong API key, or none"}}}})
        return True
    def do_GET(self):
        kind = plan["page"]["kind"]
        if self.refused():
            return
        if self.path == "/_stcore/health":
            self.send(503 if kind == "ill" else 200, b"ok", "text/plain")
        elif self.path == "/crash":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.path in ("/", "/v1/models"):
            self.send(500 if kind == "500" else 200, b"<html></html>", "text/html")
        elif self.path == "/config":
            self.send(200, {{"api_prefix": "/gradio_api", "components": [
                {{"id": 1, "type": "chatbot", "props": {{"label": "Chatbot"}}}},
                {{"id": 2, "type": "textbox", "props": {{}}}},
                {{"id": 3, "type": "slider", "props": {{"label": "Maximum length", "minimum": 0, "value": 8192}}}},
                {{"id": 4, "type": "slider", "props": {{"label": "Top P", "minimum": 0, "value": 0.8}}}},
                {{"id": 5, "type": "slider", "props": {{"label": "Temperature", "minimum": 0, "value": 0.95}}}},
                {{"id": 6, "type": "state", "props": {{}}}}],
                "dependencies": [
                {{"id": 0, "api_name": "other" if kind == "other" else "predict", "targets": [[9, "click"]],
                  "inputs": [2, 1, 3, 4, 5, 6], "outputs": [1, 6]}}]}})
        else:
            self.stream(kind, plan["page"].get("answer", ""))
    def complete(self, kind, answer, body):
        # As openai_api.py answers.
        turn = len(body["messages"]) // 2
        assert body["temperature"] == 0 and body["max_tokens"] == 48 and body.get("stream", False) is not bool(turn)
        if kind == "silent":
            time.sleep(300)
        if kind == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "failed":
            return self.send(200, b'data: {{"error": {{"message": "the model failed"}}}}\\n\\n', "text/event-stream")
        if kind == "422":
            return self.send(422, {{"error": {{"message": "top_p: wrong"}}}})
        if turn:
            assert body["messages"][1] == {{"role": "assistant", "content": answer}}
            message = {{"role": "assistant", "content": "" if kind == "dead in the second turn" else answer}}
            choices = [] if kind == "odd" else [{{"message": message, "finish_reason": "stop"}}]
            return self.send(200, {{"choices": choices}})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        deltas = [{{"content": part}} for part in ([answer] if kind == "no growth" else answer)]
        for delta in [{{"role": "assistant"}}, *deltas]:
            self.event({{"choices": [{{"delta": delta, "finish_reason": None}}]}})
        if kind != "cut":
            self.event({{"choices": [{{"delta": {{}}, "finish_reason": "length"}}]}})
        self.wfile.write(b"e\\r\\ndata: [DONE]\\n\\n\\r\\n0\\r\\n\\r\\n")
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.refused():
            return
        if self.path == "/v1/chat/completions":
            return self.complete(plan["page"]["kind"], plan["page"].get("answer", ""), body)
        Page.asked = body["data"]
        self.send(200, {{"event_id": "e1"}})
    def event(self, value):
        data = b"data: " + json.dumps(value).encode() + b"\\n\\n"
        self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(data), data))
        self.wfile.flush()
    def stream(self, kind, answer):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        question, before, length, top_p = Page.asked[:4]
        assert top_p == 0 and length == 14 + 48, (top_p, length)
        self.event({{"msg": "process_starts", "event_id": "e1"}})
        if kind == "dead":
            print("ValidationError: Input should be a valid dictionary or instance of Message", file=sys.stderr)
            self.event({{"msg": "process_completed", "success": False, "output": {{"error": "ValidationError"}}}})
        if kind == "silent":
            time.sleep(300)
        if kind == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        Page.turns += 1
        if kind == "dead in the second turn" and Page.turns == 2:
            answer = ""
        ask = {{"role": "user", "content": [{{"type": "text", "text": question}}]}}
        def full(text):
            return before + [ask, {{"role": "assistant", "content": [{{"type": "text", "text": text}}]}}]
        if kind != "dead":
            cuts = [len(answer)] if kind == "no growth" else range(1, len(answer) + 1)
            for number, cut in enumerate(cuts):
                path = [len(before) + 1, "content", 0, "text"]
                data = [full(answer[:cut]), None] if not number else [[["append", path, answer[cut - 1]]], []]
                self.event({{"msg": "process_generating", "success": True, "output": {{"data": data}}}})
            if kind != "cut":
                self.event({{"msg": "process_completed", "success": True, "output": {{"data": [full(answer), None]}}}})
        self.event({{"msg": "close_stream"}})
        self.wfile.write(b"0\\r\\n\\r\\n")

if sys.argv[1:2] == ["python"]:
    url = sys.argv[-1].replace("ws", "http").removesuffix("/_stcore/stream")
    streamlit_host.Session(url, plan["page"]["kind"], plan["page"].get("answer", "")).serve()
elif len(sys.argv) > 1:
    worker(plan["model"]["kind"], plan["model"].get("value"))
else:
    kind = plan["page"]["kind"]
    if kind == "exit":
        sys.exit(plan["page"]["value"])
    if kind == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if kind == "never":
        time.sleep(300)
    http.server.ThreadingHTTPServer(("127.0.0.1", plan["port"]), Page).serve_forever()
"""

# Runs a module of library/ with this repository's module_utils, as AnsiballZ does, but in a moment.
RUNNER = """
import json, runpy, sys
import ansible.module_utils
import ansible.module_utils.basic as basic
root, name = sys.argv[1:3]
ansible.module_utils.__path__.append(root + "/module_utils")
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
basic._ANSIBLE_PROFILE = "legacy"
runpy.run_path(f"{root}/library/{name}.py", run_name="__main__")
"""


class Host:
    """A chatglm_home with a launcher that follows ``model`` and ``page``."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.calls = folder / "calls"
        self.proof = folder / "state" / "proof.json"
        self.model = {"kind": "report", "value": REPORT}
        self.page = {"kind": "good", "answer": REPORT["answer"]}
        (folder / "model").mkdir()
        (folder / "model" / "config.json").write_text("{}")
        self.launcher = folder / "bin" / "chatglm-run"
        self.launcher.parent.mkdir()
        self.launcher.write_text(
            LAUNCHER.format(
                python=sys.executable, root=str(ROOT), plan=str(folder / "plan.json"), calls=str(self.calls)
            )
        )
        self.launcher.chmod(0o755)

    def arguments(self, check: bool = False, **options: object) -> bytes:
        plan = {"port": self.port, "model": self.model, "page": self.page}
        (self.folder / "plan.json").write_text(json.dumps(plan))
        given = {
            "launcher": str(self.launcher),
            "python": sys.executable,
            "model_path": str(self.folder / "model"),
            "device": "cpu",
            "url": f"http://127.0.0.1:{self.port}",
            "expected": "ChatGLM2-6B",
            "proof": str(self.proof),
            "subject": {"weights": "a" * 64, "source": "b" * 40},
            "load_timeout": 20,
            "answer_timeout": 20,
            "_ansible_check_mode": check,
            "_ansible_remote_tmp": str(self.folder / "tmp"),
            **options,
        }
        return json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode()

    def start(self, **options: object) -> "subprocess.Popen[bytes]":
        child = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(ROOT), "int4_smoke_test"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        child.stdin.write(self.arguments(**options))
        child.stdin.close()
        child.stdin = None
        return child

    def run(self, **options: object) -> dict:
        """Run the module in a fork of this process: Ansible's imports take longer than all the rest."""
        given = self.arguments(**options)
        said = self.folder / "said"
        child = os.fork()
        if not child:
            with said.open("wb") as stream:
                os.dup2(stream.fileno(), 1)
                os.dup2(stream.fileno(), 2)
            sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
            sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
            basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = given, "legacy"
            try:
                runpy.run_path(str(ROOT / "library" / "int4_smoke_test.py"), run_name="__main__")
            except SystemExit:
                sys.stdout.flush()
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            os._exit(0)
        os.waitpid(child, 0)
        return json.loads(said.read_text())

    def started(self) -> list:
        """What was started: the worker (its Python), the page (an empty text)."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line for line in lines if not line.startswith("pid ")]

    def left_over(self) -> list:
        """The pids of started processes that still run."""
        pids = [int(line[4:]) for line in self.calls.read_text().splitlines() if line.startswith("pid ")]
        return [pid for pid in pids if Path(f"/proc/{pid}").exists() and not zombie(pid)]


def zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def group_members(group: int) -> list:
    """The pids of a process group that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == group and not zombie(int(folder.name)):
                found.append(int(folder.name))
        except OSError:
            continue
    return found
