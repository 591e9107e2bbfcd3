"""Carry messages between streamlit's page and its client's pipes; runs in the virtualenv's Python.

A line of standard input is a BackMsg, a line of standard output a ForwardMsg, both in protobuf's JSON form. The last
line holds ``refused``, the status that the handshake was answered with, or ``broken``, why the connection ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys


async def carry(url: str) -> dict[str, object]:
    """Connect to the websocket ``url`` and carry messages to its end; return why it ended. Pings are answered."""
    # In the virtualenv alone; where this source is read, they are not.
    from google.protobuf.json_format import MessageToJson, Parse  # noqa: PLC0415
    from streamlit.proto.BackMsg_pb2 import BackMsg  # noqa: PLC0415
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: PLC0415
    from tornado.httpclient import HTTPClientError, HTTPRequest  # noqa: PLC0415
    from tornado.websocket import WebSocketClosedError, websocket_connect  # noqa: PLC0415

    lines: asyncio.Queue[str] = asyncio.Queue()

    async def listen() -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            lines.put_nowait(line)
        os._exit(0)  # whoever asked is gone, also while the page does not answer

    listening = asyncio.create_task(listen())
    try:
        # How long that may take is the reader's affair.
        page = await websocket_connect(HTTPRequest(url, connect_timeout=0, request_timeout=0))
    except HTTPClientError as error:
        return {"refused": error.code} if error.response else {"broken": repr(error)}

    async def send() -> None:
        while True:
            message = Parse(await lines.get(), BackMsg()).SerializeToString()
            with contextlib.suppress(WebSocketClosedError):  # why, receive() tells
                await page.write_message(message, binary=True)

    async def receive() -> None:
        while (data := await page.read_message()) is not None:
            message = ForwardMsg.FromString(data)
            print(MessageToJson(message, preserving_proto_field_name=True, indent=None), flush=True)
        raise ConnectionError(f"the server closed it: {page.close_reason or 'no reason'}")

    await asyncio.gather(listening, send(), receive())
    return {}


async def main(url: str) -> None:
    """Carry, and tell how that ended."""
    try:
        last = await carry(url)
    except Exception as error:  # whatever it is, there is no way on
        last = {"broken": repr(error)}
    print(json.dumps(last), flush=True)
    os._exit(0)  # a thread still waits for the next line


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
