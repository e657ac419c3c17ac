"""What a person's own browser gets as they scroll, listened to over its debugging port: the replies of the site's list, as a recording.

The browser makes the requests, signed by the site's own page; here nothing is sent to the site and nothing forged. Only a browser on this
machine is spoken to (DevTools protocol: chromedevtools.github.io/devtools-protocol, domain Network), and of all it gets only the pages of
the account's list are kept, without cookies or headers. `ghostwriter.collecting.sources.har` reads the recording.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp

from ghostwriter.collecting.sources.errors import SourceFileUnusable
from ghostwriter.collecting.sources.har import HOSTS, LIST_PATH
from ghostwriter.files import write_durably

HOST = "127.0.0.1"
QUIET_SECONDS = 600.0
"""Without a further page for so long, the person has stopped scrolling."""
LARGEST_MESSAGE = 2**26
START = (
    "Start it with `chromium --remote-debugging-port={port} --user-data-dir=FOLDER`, log in, open the writer's answers page,"
    " and run this again."
)
Json = dict[str, Any]
Say = Callable[[str], None]


def record(port: int, account: str, file: Path, say: Say, quiet_seconds: float = QUIET_SECONDS) -> int:
    """Write the pages that the browser gets into `file` until the list ends, the tab is closed, or nothing comes; returns how many.

    Raises SourceFileUnusable when no browser, or no page of the site, is there.
    """
    return asyncio.run(_record(port, account, file, say, quiet_seconds))


async def _record(port: int, account: str, file: Path, say: Say, quiet_seconds: float) -> int:
    entries: list[Json] = []
    async with aiohttp.ClientSession(trust_env=False) as session:
        tab = await _tab(session, port)
        url = f"http://{HOST}:{port}/devtools/page/{tab}"
        async with session.ws_connect(url, max_msg_size=LARGEST_MESSAGE) as socket:
            await socket.send_json({"id": 1, "method": "Network.enable"})
            say("Listening. Reload the page in the browser, then scroll slowly to its end. Close the tab to stop before.")
            with suppress(TimeoutError):
                async for entry in _entries(socket, account, quiet_seconds):
                    entries.append(entry)
                    write_durably(file, json.dumps({"log": {"entries": entries}}, ensure_ascii=False).encode())
                    count, is_end = _seen(entry)
                    say(f"Page {len(entries)}: {count} answers")
                    if is_end:
                        break
    return len(entries)


async def _tab(session: aiohttp.ClientSession, port: int) -> str:
    """The id of the first tab that shows the site."""
    try:
        async with session.get(f"http://{HOST}:{port}/json/list") as reply:
            targets = await reply.json(content_type=None)
        found = [one["id"] for one in targets if one["type"] == "page" and _host(one["url"]) in (*HOSTS, HOST, "localhost")]
    except (aiohttp.ClientError, OSError, ValueError, TypeError, KeyError) as error:
        raise SourceFileUnusable(f"No browser listens on port {port} ({type(error).__name__}). {START.format(port=port)}") from None
    if not found:
        raise SourceFileUnusable(f"The browser on port {port} shows no page of the site. Open the writer's answers page in it.")
    return str(found[0])


async def _entries(socket: aiohttp.ClientWebSocketResponse, account: str, quiet_seconds: float) -> AsyncIterator[Json]:
    """Each page of the account's list as an entry of a HAR, as its body arrives. Raises TimeoutError when none comes for a while."""
    urls: dict[str, tuple[str, int]] = {}
    asked: dict[int, tuple[str, int]] = {}
    loop = asyncio.get_running_loop()
    until = loop.time() + quiet_seconds
    while True:
        async with asyncio.timeout_at(until):
            message = await socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            return  # the tab was closed, or the browser
        event = json.loads(message.data)
        method, values = event.get("method"), event.get("params", {})
        if method == "Network.responseReceived" and _is_list(values["response"]["url"], account):
            urls[values["requestId"]] = (values["response"]["url"], int(values["response"]["status"]))
        elif method == "Network.loadingFinished" and values["requestId"] in urls:
            number = len(asked) + 2
            asked[number] = urls.pop(values["requestId"])
            ask = {"id": number, "method": "Network.getResponseBody", "params": {"requestId": values["requestId"]}}
            await socket.send_json(ask)
        elif event.get("id") in asked and "result" in event:
            until = loop.time() + quiet_seconds
            yield _entry(*asked[event["id"]], event["result"])


def _entry(url: str, status: int, result: Json) -> Json:
    encoding = {"encoding": "base64"} if result.get("base64Encoded") else {}
    content = {"mimeType": "application/json", "text": result["body"], **encoding}
    return {"request": {"method": "GET", "url": url}, "response": {"status": status, "content": content}}


def _is_list(url: str, account: str) -> bool:
    found = LIST_PATH.fullmatch(urlsplit(url).path)
    return bool(found and unquote(found[1]).lower() == account.lower() and _host(url) in (*HOSTS, HOST, "localhost"))


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _seen(entry: Json) -> tuple[int, bool]:
    """How many answers a page holds, and whether the list ends with it; the parser judges it later."""
    try:
        page = json.loads(entry["response"]["content"]["text"])
        return len(page["data"]), bool(page["paging"]["is_end"])
    except (ValueError, KeyError, TypeError):
        return 0, False
