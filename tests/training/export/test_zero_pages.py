"""What is all zeros is given back, and nothing else is."""

import mmap
from pathlib import Path

from training.export.zero_pages import CHUNK, give_back_zeros

SIZE = 16 * CHUNK


def resident(start: int) -> int:
    """KiB in memory of the private mapping that holds this address."""
    is_it = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        place = line.split()[0].split("-")
        if len(place) == 2 and not line.startswith("VmFlags"):
            is_it = int(place[0], 16) <= start < int(place[1], 16)
        elif is_it and line.startswith("Rss:"):
            return int(line.split()[1])
    raise AssertionError


def test_pages_of_zeros_are_given_back_and_all_reads_as_before() -> None:
    import ctypes

    with mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory[:] = bytes(SIZE)
        memory[SIZE // 2] = 7
        place = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        before = resident(place)
        assert give_back_zeros() >= SIZE - 3 * CHUNK
        assert before - resident(place) >= (SIZE - 3 * CHUNK) // 1024
        assert memory[SIZE // 2] == 7
        assert sum(memory[:]) == 7
        memory[0] = 1
        assert memory[0] == 1
