"""Memory that holds nothing but zeros, given back to the system until somebody writes there.

llama.cpp fills the whole cache of its conversations with zeros when it starts: 720 MiB for eight of 4,096 tokens of SmolLM2-135M, of which
a few short conversations use a tenth. A private page that was given back reads as zeros, as it did before.
"""

import ctypes
import mmap
from pathlib import Path

MAPPINGS = Path("/proc/self/maps")
LEAST_BYTES = 16 * 2**20
"""Of a mapping that is looked at: smaller ones are not worth it, and stacks are smaller."""
CHUNK = 2 * 2**20
"""A huge page, the largest unit the system gives memory out in."""


def give_back_zeros() -> int:
    """Give back what is all zeros in this process's large private mappings; returns the bytes. Nobody may write there meanwhile.

    Does nothing where the system does not say which mappings there are.
    """
    if not MAPPINGS.exists():
        return 0
    libc, zeros = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(CHUNK)
    given = 0
    for start, end in _large_private(MAPPINGS.read_text()):
        for place in range(start, end, CHUNK):
            size = min(CHUNK, end - place)
            at, length = ctypes.c_void_p(place), ctypes.c_size_t(size)
            if libc.memcmp(at, zeros, length) == 0 and libc.madvise(at, length, mmap.MADV_DONTNEED) == 0:
                given += size
    return given


def _large_private(listing: str) -> list[tuple[int, int]]:
    """Where private writable memory begins and ends that is no file's, from aligned chunk to aligned chunk."""
    found = []
    for line in listing.splitlines():
        place, rights, *_, inode = (fields := line.split())[:5]
        start, end = (int(number, 16) for number in place.split("-"))
        if rights == "rw-p" and inode == "0" and len(fields) == 5 and end - start >= LEAST_BYTES:
            found.append((-(-start // CHUNK) * CHUNK, end // mmap.PAGESIZE * mmap.PAGESIZE))
    return found
