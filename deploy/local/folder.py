"""The data folder: everything that Sural keeps on this machine.

postgres/  valkey/   what the two servers store
logs/                one file for each process, the previous one beside it
secrets/             passwords and tokens, one a file, readable by the owner only
state/               ports and locks
programs/            a copy of the server programs, only where their user cannot read the installed ones
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StartError
from deploy.local.users import blocked_at, server_user

CHECKOUT = Path(__file__).resolve().parents[2]
LOG_LIMIT_BYTES = 10_000_000
FREE_SPACE_BYTES = 300_000_000
# Below the kernel's range for outgoing connections, so that a port is still free when its server comes back.
SERVER_PORTS = range(20_000, 30_000)


def default_data_folder() -> Path:
    """`.sural` in the checkout; a folder below /var/lib/sural where PostgreSQL's user cannot reach that.

    The latter is for root with a checkout below a private folder such as /root. It carries a digest of the
    checkout's path, so that two checkouts never share data.
    """
    user = server_user()
    if user is None or blocked_at(CHECKOUT, user) is None:
        return CHECKOUT / ".sural"
    digest = hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:8]
    return Path("/var/lib/sural") / f"{CHECKOUT.name}-{digest}"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths, secrets and ports below one folder."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> DataFolder:
        """The folder, made with its parts where missing. Raises StartError if that is impossible."""
        folder = cls(path.absolute())
        try:
            # PostgreSQL's own user must pass through; what lies inside is private part by part.
            make_folder(folder.path, 0o711 if server_user() else 0o700)
            for part in ("logs", "secrets", "state"):
                make_folder(folder.path / part, 0o700)
        except OSError as error:
            raise StartError(
                f"The data folder {path} cannot be used: {error.strerror}.",
                "Choose one that you may write to with --data.",
            ) from None
        return folder

    @property
    def state(self) -> Path:
        return self.path / "state"

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self.path / "logs" / f"{name}.log"

    def log_for_start(self, name: str) -> Path:
        """The same for a process about to start: a log that has grown too long replaces the one put aside."""
        path = self.log(name)
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path

    def secret(self, name: str) -> str:
        """The secret of that name; made at the first call, the same ever after."""
        path = self.path / "secrets" / name
        if not path.exists():
            write_whole(path, secrets.token_hex(24))
        return path.read_text()

    def has_secret(self, name: str) -> bool:
        return (self.path / "secrets" / name).exists()

    def secret_file(self, name: str) -> Path:
        """The file that holds the secret, for those who take a path."""
        self.secret(name)
        return self.path / "secrets" / name

    def port(self, name: str) -> int:
        """The port remembered for a server; a free one at the first call."""
        path = self.state / f"{name}-port"
        if not path.exists():
            return self.new_port(name)
        return int(path.read_text())

    def new_port(self, name: str) -> int:
        """Choose a free loopback port for a server and remember it."""
        port = free_port()
        write_whole(self.state / f"{name}-port", str(port))
        return port

    def failpoint(self, name: str) -> dict[str, str]:
        """Where the next start of this process shall fail (`shared.failpoint`), if `./sural faults` says so here."""
        path = self.state / f"failpoint-{name}"
        return {"SURAL_FAILPOINT": path.read_text()} if path.exists() else {}

    def require_space(self) -> None:
        """Raises StartError when the disk is so full that a database should not be started on it."""
        free = shutil.disk_usage(self.path).free
        if free < FREE_SPACE_BYTES:
            raise StartError(
                f"The disk of {self.path} has only {free // 1_000_000} MB left.",
                f"Free at least {FREE_SPACE_BYTES // 1_000_000} MB, or choose another folder with --data.",
            )


def make_folder(path: Path, mode: int) -> None:
    """Make a folder with exactly this mode, whatever the umask, and missing parents. Existing ones stay."""
    if path.is_dir():
        return
    if not path.parent.exists():
        make_folder(path.parent, 0o711)
    path.mkdir(exist_ok=True)
    path.chmod(mode)


def write_whole(path: Path, text: str) -> None:
    """Write a file for the owner only; a reader sees the old text or the new, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    while True:
        port = secrets.choice(SERVER_PORTS)
        if port_is_free(port):
            return port


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
