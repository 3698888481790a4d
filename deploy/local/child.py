"""Become another program that ends when the process that started it ends, even if that one was killed -9.

Run as a script by `deploy.local.process`. Three steps in this order, between fork and exec: give up root (a
change of user clears the death signal), ask the kernel for the signal, see that the parent is still there.
A wrapper and not `preexec_fn`, which is unsafe in a parent with threads.

    child.py PARENT_PID SIGNAL UID GID PROGRAM ARGUMENT...     (UID -1: keep the user)
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15


def end_with_parent(parent: int, death_signal: int) -> None:
    """Have the kernel send us this signal when the thread that made us ends; end at once if it already has.

    Only Linux can do that. Elsewhere this does nothing, and a killed supervisor leaves its children behind.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def show_name(name: str) -> None:
    """Be called this in `ps -e` and `top` (Linux; at most 15 letters)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def become(command: list[str], *, parent: int, death_signal: int, uid: int, gid: int) -> None:
    """Replace this process by a program."""
    if uid != -1:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    end_with_parent(parent, death_signal)
    os.execv(command[0], command)  # noqa: S606 - a list, no shell, from our own parent


if __name__ == "__main__":
    parent, death_signal, uid, gid = (int(number) for number in sys.argv[1:5])
    become(sys.argv[5:], parent=parent, death_signal=death_signal, uid=uid, gid=gid)
