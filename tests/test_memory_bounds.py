"""What threads have freed does not stay with the process."""

import platform
import subprocess
import sys

import pytest

# Eight threads fill and free 64 MB each, in buffers below the size that always goes back, one after the other.
PROGRAM = """
import ctypes, sys, threading
from resources.memory import bound_memory, give_back_memory
if sys.argv[1] == "bound":
    assert bound_memory()
free = ctypes.CDLL(None).free
malloc = ctypes.CDLL(None).malloc
malloc.restype, free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def work():
    found = [malloc(100_000) for _ in range(640)]
    for one in found:
        ctypes.memset(one, 1, 100_000)
    last = malloc(64)  # what is still in use keeps all below it
    for one in found:
        free(one)
    freed.release()
    waiting.wait()
freed, waiting = threading.Semaphore(0), threading.Event()
for _ in range(8):
    threading.Thread(target=work).start()
    freed.acquire()
if sys.argv[1] == "given back":
    give_back_memory()
lines = dict(line.split(":", 1) for line in open("/proc/self/status") if line.startswith("VmRSS"))
print(int(lines["VmRSS"].split()[0]) // 1024)
waiting.set()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps a pool for each thread")
def test_threads_share_their_pools_and_can_give_back_what_lies_in_them() -> None:
    unbound, bound, given_back = (
        int(subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True).stdout)
        for how in ("unbound", "bound", "given back")
    )
    assert unbound - given_back > 400, "megabytes"
    assert unbound - bound > 200, "megabytes"
