"""A mail server that notes when it took which message, in a process of its own.

    python -m deploy.local.benchmark.mail_recorder PORT FILE

Each message becomes a line of FILE: the time of the machine's clock just before the server says 250, and the part of
the Message-ID that stands before the @, which is the delivery's id.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path

from deploy.local.child import end_with_parent

MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^@>]+)", re.IGNORECASE | re.MULTILINE)
END = b"\r\n.\r\n"


class Recorder:
    """Conversations by SMTP (RFC 5321), as far as a sender of ours goes."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        writer.write(b"220 recorder\r\n")
        try:
            while line := await reader.readline():
                word = line[:4].upper()
                if word == b"DATA":
                    writer.write(b"354 Go on\r\n")
                    self._note(await reader.readuntil(END))
                    writer.write(b"250 Taken\r\n")
                elif word == b"EHLO":
                    writer.write(b"250-recorder\r\n250 8BITMIME\r\n")
                elif word == b"QUIT":
                    writer.write(b"221 Bye\r\n")
                    break
                else:
                    writer.write(b"250 Yes\r\n")
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _note(self, message: bytes) -> None:
        found = MESSAGE_ID.search(message)
        os.write(self._file, b"%.6f %b\n" % (time.time(), found[1] if found else b"-"))


async def serve(port: int, file: Path) -> None:
    """Until the process ends."""
    server = await asyncio.start_server(Recorder(file).talk, "127.0.0.1", port, limit=2**20)
    async with server:
        await server.serve_forever()


def read_record(file: Path) -> list[tuple[float, str]]:
    """Times and ids of what came so far, in its order."""
    if not file.exists():
        return []
    lines = (line.split() for line in file.read_text().splitlines())
    return [(float(moment), name) for moment, name in lines]


if __name__ == "__main__":
    end_with_parent(os.getppid(), signal.SIGTERM)
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
