"""Server-sent events as they come in.

Lines end at line feeds alone: httpx2's own lines also end within a JSON string, at U+2028 and U+0085, which models do write.
"""

from collections.abc import AsyncIterator

import httpx2


async def data_of(response: httpx2.Response) -> AsyncIterator[str]:
    """The data of each event. Raises httpx2.HTTPError when the stream breaks off."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip().decode("utf-8", errors="replace")
