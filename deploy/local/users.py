"""The account that PostgreSQL runs under: it refuses to run as root, and must still reach its files."""

from __future__ import annotations

import os
import pwd
import subprocess
from functools import cache
from pathlib import Path

from deploy.local.errors import StartError
from deploy.local.process import User

CANDIDATES = ("postgres", "nobody")


@cache
def server_user() -> User | None:
    """An existing unprivileged account when we are root; None when we are somebody ourselves."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise StartError(
        "PostgreSQL refuses to run as root, and this machine has neither a user `postgres` nor `nobody`.",
        "Run as an ordinary user, or set SURAL_DATABASE_URL to a server.",
    )


def blocked_at(path: Path, user: User) -> Path | None:
    """The first folder on the way to `path`, itself included, that the user cannot enter; None if none.

    Parts that do not exist yet do not block. Asked of the kernel, as that user, so that access lists count.
    """
    existing = [folder for folder in reversed([path, *path.parents]) if folder.exists()]
    if _can("cd", existing[-1], user):
        return None
    return next(folder for folder in existing if not _can("cd", folder, user))


def can_run(program: Path, user: User) -> bool:
    """Whether the user may run this program."""
    return _can("test -x", program, user)


def _can(shell_test: str, path: Path, user: User) -> bool:
    answer = subprocess.run(
        ["/bin/sh", "-c", f'{shell_test} "$1"', "sh", path],
        user=user.uid,
        group=user.gid,
        extra_groups=[],
        cwd="/",
        env={},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return answer.returncode == 0
