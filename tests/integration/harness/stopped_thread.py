"""One thread of another process that stands still, as one that hangs: by ptrace."""

import ctypes
import os
import pathlib

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000  # waits for threads, too

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class StoppedThread:
    """From its making until resume(), which is for the same thread of this process, and no error if the other is gone."""

    def __init__(self, thread):
        self.thread = thread
        for request in (SEIZE, INTERRUPT):
            if _libc.ptrace(request, thread, None, None) != 0:
                raise OSError(ctypes.get_errno(), f"the thread {thread} cannot be stopped")
        os.waitpid(thread, WALL)

    @staticmethod
    def named(process, begin, end):
        """The one thread of the process whose name begins and ends so."""
        found = []
        for task in pathlib.Path(f"/proc/{process}/task").iterdir():
            name = (task / "comm").read_text().strip()
            if name.startswith(begin) and name.endswith(end):
                found.append(int(task.name))
        (thread,) = found
        return StoppedThread(thread)

    def resume(self):
        _libc.ptrace(DETACH, self.thread, None, None)
