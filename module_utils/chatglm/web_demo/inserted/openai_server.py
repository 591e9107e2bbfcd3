"""What openai_api.py gets before its endpoint: limits, turns, errors as OpenAI's, and a guard at the door.

Upstream's script ignores the request's limits, generates in the event loop (nothing else is answered meanwhile), lets
two answers share the GPU's memory, goes on after the client has left, and asks nobody for a key, nor any web page.

In ASCII, for scripts in any encoding. The head stands in for what the script itself has, and for settings.
"""

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
HOSTS = ["*"]
KEY_FILE = ""


class ChatMessage(BaseModel):
    """A message, as far as it is looked at here."""

    role: str
    content: str


class ChatCompletionRequest(BaseModel):
    """A request, as far as it is looked at here."""

    model: str
    messages: list[ChatMessage]


# What follows goes into the script.
# The following, up to LimitedRequest, was put here by Ansible (patch_web_demo), and what uses it.
import asyncio
import json
import secrets
from typing import List, Optional

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field, model_validator
from starlette.background import BackgroundTask
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from transformers import LogitsProcessorList


def failure(message, **more):
    """Return what is wrong in the form of OpenAI's API: its client shows nothing of another."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}


FAILED = failure("the model failed; the log says why", type="server_error")


@app.exception_handler(AnyHTTPException)
async def refuse(request, error):
    more = error.detail if isinstance(error.detail, dict) else {"message": error.detail}
    return JSONResponse(failure(**more), error.status_code, error.headers)


@app.exception_handler(RequestValidationError)
async def refuse_values(request, error):
    found = error.errors()[0]
    param = "" if found["type"] == "json_invalid" else ".".join(map(str, found["loc"][1:]))
    return JSONResponse(failure(f"{param}: {found['msg']}" if param else found["msg"], param=param or None), 400)


@app.exception_handler(Exception)
async def failed(request, error):
    return JSONResponse(FAILED, 500, {"Connection": "close"})  # as uvicorn does after an error, without saying so


class Guard:
    """Let in who has the key, where there is one. That something is here may be seen without it."""

    def __init__(self, app, key_file):
        self.app = app
        self.key = open(key_file, "rb").read().strip() if key_file else None
        if self.key == b"":
            raise ValueError(f"{key_file} is empty")

    async def __call__(self, scope, receive, send):
        app = self.app
        if self.key and scope["type"] != "lifespan" and scope["path"] != "/":
            scheme, _, key = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not secrets.compare_digest(key.strip(), self.key):
                told = failure("a wrong API key, or none", code="invalid_api_key")
                app = JSONResponse(told, 401, {"WWW-Authenticate": "Bearer"})
        await app(scope, receive, send)


app.add_middleware(Guard, key_file=KEY_FILE)
# A web page whose name was made to point here (DNS rebinding) is no other origin, but it gives its own name.
app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)


@app.get("/", include_in_schema=False)
async def where():
    """Answer who opens the address in a browser, or asks whether anything is here."""
    return {"message": "OpenAI's API: its base address is this one with /v1 behind it"}


TURN = asyncio.Lock()  # one answer at a time: the GPU has no memory for two


class Answer:
    """One answer: in its turn, in a thread, within the request's limits, and only while its client listens."""

    def __init__(self, model, tokenizer, request, query, history):
        prompt = len(tokenizer(tokenizer.build_prompt(query, history))["input_ids"])
        self.limit = request.max_length or 8192
        if prompt >= self.limit:
            told = f"the messages have {prompt} tokens, and max_length is {self.limit}"
            raise HTTPException(400, {"message": told, "param": "messages", "code": "context_length_exceeded"})
        self.limit = min([self.limit, *(prompt + n for n in (request.max_tokens, request.max_completion_tokens) if n)])
        settings = {"max_length": self.limit, "top_p": request.top_p, "temperature": request.temperature}
        if request.temperature is not None and request.temperature < 0.01:  # the most likely token, always
            settings.update(do_sample=False, temperature=None)
        self.settings = {name: value for name, value in settings.items() if value is not None}
        self.finish_reason = "stop"
        self.parts = self.stream(model, tokenizer, query, history)

    def __call__(self, ids, scores):
        """Look on as a logits processor: is the token that comes now the last one allowed?"""
        if ids.shape[-1] + 1 >= self.limit:
            self.finish_reason = "length"
        return scores

    async def stream(self, model, tokenizer, query, history):
        async with TURN:
            limits = {**self.settings, "logits_processor": LogitsProcessorList([self])}
            async for part in iterate_in_threadpool(model.stream_chat(tokenizer, query, history, **limits)):
                yield part

    async def whole(self, connection):
        part = "", []
        try:
            async for part in self.parts:
                if await connection.is_disconnected():
                    raise HTTPException(499, "the client has left")
        finally:
            await self.parts.aclose()
        return part

    async def told(self, generate):
        """Say as an event what goes wrong when the status is sent already: OpenAI's client raises it."""
        try:
            async for event in generate:
                yield event
        except Exception:
            yield json.dumps(FAILED)
            raise

    async def close(self, generate):
        await generate.aclose()
        await self.parts.aclose()


class LimitedRequest(ChatCompletionRequest):
    messages: List[ChatMessage] = Field(min_length=1)
    temperature: Optional[float] = Field(None, ge=0, le=2)
    top_p: Optional[float] = Field(None, ge=0, le=1)
    max_length: Optional[int] = Field(None, ge=1, le=32768)
    max_tokens: Optional[int] = Field(None, ge=1, le=32768)
    max_completion_tokens: Optional[int] = Field(None, ge=1, le=32768)

    @model_validator(mode="after")
    def is_text(self):
        for text in [self.model, *(message.content for message in self.messages)]:
            text.encode()  # JSON can hold half a character; no tokenizer takes it
        return self
