"""A pack folder as its reviewers see it: the loaded pack, and what only its files say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import exp
from pathlib import Path

from services.triage.engine.content import Content
from services.triage.engine.pack import Pack
from services.triage.knowledge.assemble_conditions import weight
from services.triage.knowledge.conditions_schema import DifferentialFile
from services.triage.knowledge.files import read_table
from services.triage.knowledge.loader import load_pack
from services.triage.knowledge.schema import PackFile, RedFlagsFile


@dataclass(frozen=True, slots=True)
class Edition:
    """One version of a pack.

    `marks`: the mark that stands for weights (present, absent, unknown). `general`: flags that guard against no one
    condition. `prior_weight`: how far priors are damped.
    """

    pack: Pack
    approved_by: str | None = None
    never_say: tuple[str, ...] = ()
    general: frozenset[str] = frozenset()
    prior_weight: float = 1
    marks: Mapping[tuple[int, int, int], str] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Edition:
        """Read the folder. Raises PackError with everything that is wrong."""
        pack = load_pack(folder)
        file = read_table(folder / "pack.toml", PackFile)
        flags = read_table(folder / "red_flags.toml", RedFlagsFile).flag
        method = folder / "differential.toml"
        differential = read_table(method, DifferentialFile) if method.is_file() else None
        return cls(
            pack=pack,
            approved_by=file.approved_by,
            never_say=tuple(file.never_say),
            general=frozenset(flag.id for flag in flags if flag.general),
            prior_weight=1 if differential is None else float(differential.method.prior_weight),
            marks={} if differential is None else _marks(differential),
        )

    @property
    def content(self) -> Content:
        """Everything that the pack says."""
        return self.pack.content

    def prior(self, weight: int) -> str:
        """The weight of a prior as the relative frequency that the pack gives, to two figures."""
        return ratio(weight / self.prior_weight, figures=2)


def ratio(weight: float, *, figures: int = 3) -> str:
    """A weight as the likelihood ratio that it stands for: "2.71", "0.00002"."""
    return format(Decimal(f"{exp(weight / 1000):.{figures}g}"), "f")


def _marks(file: DifferentialFile) -> dict[tuple[int, int, int], str]:
    """Plain, of a key feature (!), of an essential feature (!!)."""
    found = {}
    for name, mark in file.marks.items():
        found[weight(mark.yes), weight(mark.no), 0] = name
        found[weight(mark.yes), weight(mark.no_key), weight(file.unknown.key)] = f"{name}!"
        found[weight(mark.yes), weight(mark.no_essential), weight(file.unknown.essential)] = f"{name}!!"
    return found
