"""I9: words that only patients said stand in no log, no mail, no message and no address.

Whoever tests puts words into answers and names that nothing else says, and gives them here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from deploy.local.verify.violation import Violation

BLOCK = 1 << 20


def leaked(
    words: Sequence[str], *, files: Iterable[Path] = (), texts: Mapping[str, bytes] | None = None
) -> list[Violation]:
    """Where one of these words stands, in small letters or capitals: in files (folders are searched whole, such as
    logs, the mail store, the broker's dump), or in texts by name. What cannot be read is a violation too, as nobody
    knows what it holds; but what went from a folder while it was searched is not."""
    wanted = [word.upper().encode() for word in words]
    found: list[Violation] = []
    for path, is_named in _every(files):
        try:
            found += [_violation(word, str(path)) for word in wanted if _holds(path, word)]
        except OSError as error:
            if is_named or not isinstance(error, FileNotFoundError):
                found.append(Violation("I9", "cannot be read", str(path)))
    for name, text in (texts or {}).items():
        found += [_violation(word, name) for word in wanted if word in text.upper()]
    return found


def _violation(word: bytes, place: str) -> Violation:
    return Violation("I9", f"holds the canary {word.decode()}", place)


def _every(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Each file, and whether it was named itself."""
    for path in paths:
        if path.is_dir():
            yield from ((each, False) for each in sorted(path.rglob("*")) if each.is_file())
        else:
            yield path, True


def _holds(path: Path, word: bytes) -> bool:
    """Reads block by block, as a log may be large; a word across the border of two blocks is found too."""
    before = b""
    with path.open("rb") as file:
        while block := file.read(BLOCK).upper():
            if word in before + block:
                return True
            before = block[-len(word) + 1 :] if len(word) > 1 else b""
    return False
