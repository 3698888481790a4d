"""One way to break the system, by exact replacement of text."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Change:
    """In this file this text, which occurs exactly once, becomes that."""

    file: str
    old: str
    new: str

    def problem(self, root: Path = ROOT) -> str | None:
        """Why this cannot be done; None when it can."""
        path = root / self.file
        if not path.is_file():
            return f"there is no file {self.file}"
        text = path.read_text(encoding="utf-8")
        if (number := text.count(self.old)) != 1:
            return f"the text to replace occurs {number} times in {self.file}"
        if later := written_anew(path, text[: text.index(self.old)]):
            return f"what {self.file} says there is written anew in {later.relative_to(root)}"
        return None

    def apply(self, root: Path) -> None:
        """Do it. Raises ValueError when it cannot be done."""
        if problem := self.problem(root):
            raise ValueError(problem)
        path = root / self.file
        path.write_text(path.read_text(encoding="utf-8").replace(self.old, self.new), encoding="utf-8")


def written_anew(migration: Path, before: str) -> Path | None:
    """A later migration of the same folder that makes the SQL function anew whose text begins last in `before`."""
    made = re.findall(r"^CREATE (?:OR REPLACE )?FUNCTION (\w+)", before, re.M)
    if migration.suffix != ".sql" or not made:
        return None
    again = re.compile(rf"^CREATE (?:OR REPLACE )?FUNCTION {made[-1]}\b", re.M)
    later = (path for path in sorted(migration.parent.glob("*.sql"), reverse=True) if path.name > migration.name)
    return next((path for path in later if again.search(path.read_text(encoding="utf-8"))), None)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken system: what it would do to a patient, and the test that must notice (`file::test_name`)."""

    name: str
    harm: str
    test: str
    changes: tuple[Change, ...]

    def problems(self, root: Path = ROOT) -> list[str]:
        """Why this mutant cannot be made or caught any more; empty when it can."""
        found = [problem for change in self.changes if (problem := change.problem(root))]
        return found if has_test(self.test, root) else [*found, f"there is no test {self.test}"]

    def apply(self, root: Path) -> None:
        """Break the tree below this folder."""
        for change in self.changes:
            change.apply(root)


def has_test(test: str, root: Path = ROOT) -> bool:
    """Whether the file has a function of that name at its top; parameters in brackets are not looked at."""
    file, _, name = test.partition("::")
    path = root / file
    if not path.is_file():
        return False
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return re.sub(r"\[.*", "", name) in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
