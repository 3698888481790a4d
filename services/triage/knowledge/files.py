"""Files of a pack: reading one strictly, and the hash of a whole folder."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from services.triage.knowledge.schema import Strict

Table = TypeVar("Table", bound=Strict)


class PackError(Exception):
    """A pack that must not be used, with everything that is wrong in words for its authors."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def read_table(path: Path, shape: type[Table]) -> Table:
    """The file in that shape, decimals exact. Raises PackError for a missing file or any misfit."""
    try:
        with path.open("rb") as file:
            return shape.model_validate(tomllib.load(file, parse_float=Decimal))
    except OSError as error:
        raise PackError([f"{path.name}: cannot be read ({error.strerror})"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackError([f"{path.name}: not TOML ({error})"]) from error
    except ValidationError as error:
        raise PackError([_misfit(path, dict(one)) for one in error.errors()]) from error


def folder_sha256(folder: Path) -> str:
    """SHA-256 (hexadecimal) over names, lengths and bytes of all TOML files below, in name order."""
    digest = hashlib.sha256()
    for name, content in folder_files(folder).items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def folder_files(folder: Path) -> dict[str, bytes]:
    """The bytes of all TOML files below, by their name in the folder (``cases/RFX-01.toml``), in name order."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.toml")}
    return {name: paths[name].read_bytes() for name in sorted(paths)}


def _misfit(path: Path, error: dict[str, object]) -> str:
    place = error["loc"]
    where = ".".join(str(part) for part in place) if isinstance(place, tuple) else ""
    return f"{path.name}: {where}: {error['msg']}"
