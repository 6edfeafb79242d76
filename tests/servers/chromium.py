"""A headless Chromium that a test looks at pages with, through its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
LONGEST_START_S = 60.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
)


def why_not() -> str | None:
    """Why pages cannot be looked at here; None if they can."""
    if any(shutil.which(name) for name in NAMES):
        return None
    return "Chromium is missing (Debian's package is called `chromium`)"


class Page:
    """One page; `show` opens an address in it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def show(self, address: str, stored: Iterable[tuple[str, str]] = ()) -> None:
        """Open an address, with items in its site's local storage from the beginning."""
        store = "".join(f"localStorage.setItem({k!r}, {v!r});" for k, v in stored)
        await self._call("Page.enable")
        await self._call("Page.addScriptToEvaluateOnNewDocument", source=store)
        await self._call("Page.navigate", url="about:blank")  # else a new fragment loads nothing
        await self._call("Page.navigate", url=address)

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression is in the page."""
        told = await self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        return told["result"].get("value")

    async def until(self, expression: str, limit_s: float = 60.0) -> None:
        """Wait until an expression holds; `AssertionError` with the page's text if it does not."""
        deadline = time.monotonic() + limit_s
        while not await self.value(expression):
            if time.monotonic() > deadline:
                text = await self.value("document.body.innerText")
                raise AssertionError(f"{expression} does not come to hold in: {text}")
            await asyncio.sleep(0.1)

    async def save_picture(self, file: Path) -> None:
        """Save what the window shows as a PNG."""
        picture = await self._call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(picture["data"]))

    async def _call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == number:  # and no event
                result: dict[str, Any] = answer["result"]
                return result


@asynccontextmanager
async def chromium(folder: Path, width: int = 1600, height: int = 1200) -> AsyncIterator[Page]:
    """A browser with its profile in `folder`, ended with the block."""
    program = next(found for name in NAMES if (found := shutil.which(name)))
    flags = (*FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}")
    with open(folder / "chromium.log", "wb") as log:
        process = subprocess.Popen(
            [program, *flags, "about:blank"], stdout=log, stderr=log, start_new_session=True
        )
    try:
        port = await _port(folder / "DevToolsActivePort", process)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [page for page in await answer.json() if page["type"] == "page"]
            address = pages[0]["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def _port(file: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + LONGEST_START_S
    while not file.exists() or not file.read_text().strip():
        assert process.poll() is None, "Chromium does not start"
        assert time.monotonic() < deadline, "Chromium does not come up"
        await asyncio.sleep(0.1)
    return file.read_text().splitlines()[0]
