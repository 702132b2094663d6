"""Routes served over real HTTP on a free port of this machine, for the length of a with block."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute


@contextmanager
def serve(routes: Sequence[BaseRoute]) -> Iterator[httpx.Client]:
    """A client whose base URL is a server of `routes`."""
    # asyncio switches off the 40 ms of Nagle's algorithm only where the protocol is named
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), log_level="warning", lifespan="off", ws="none")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.002)
    with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=20) as client:
        yield client
    server.should_exit = True
    thread.join(5)
    listener.close()
