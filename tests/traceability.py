"""From hazards to requirements to tests: reads docs/safety, checks that no link dangles, writes the page.

Tests are linked by ``@pytest.mark.requirement("SR-03", ...)``, found in the source without running anything.

    python -m tests.traceability            says what is wrong; exit status 1 if anything is
    python -m tests.traceability --write    writes docs/safety/traceability.md too
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAPERS = Path("docs/safety")
PAGE = PAPERS / "traceability.md"
COMMAND = "python -m tests.traceability --write"

SEVERITY = ("minor", "significant", "considerable", "major", "catastrophic")
LIKELIHOOD = ("very low", "low", "medium", "high", "very high")
RISK = (
    (1, 1, 2, 2, 3),
    (1, 2, 2, 3, 4),
    (2, 2, 3, 3, 4),
    (2, 3, 3, 4, 5),
    (3, 4, 4, 5, 5),
)
"""Risk by likelihood (rows) and severity (columns), each from the least on."""
NEEDS_MORE = 3
"""From this residual risk on, a hazard must say what is still to be done before clinical use."""


@dataclass(frozen=True, slots=True)
class Rating:
    """How bad, how likely, and the risk that follows."""

    severity: str
    likelihood: str

    @property
    def risk(self) -> int:
        """1 (acceptable) to 5 (unacceptable). Raises ValueError for a word that is not in the scheme."""
        return RISK[LIKELIHOOD.index(self.likelihood)][SEVERITY.index(self.severity)]

    def __str__(self) -> str:
        return f"{self.risk} ({self.severity}, {self.likelihood})"


@dataclass(frozen=True, slots=True)
class Hazard:
    """What may harm a patient, and the requirements that control it."""

    id: str
    title: str
    causes: tuple[str, ...]
    effect: str
    initial: Rating
    residual: Rating
    controls: tuple[str, ...]
    notes: str
    open: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """What must hold, which hazards that controls, and which files do it."""

    id: str
    text: str
    hazards: tuple[str, ...]
    implemented_in: tuple[str, ...]
    missing: str


@dataclass(frozen=True, slots=True)
class MarkedTest:
    """A test that names requirements. `path` is relative to the root."""

    path: str
    name: str
    requirements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Papers:
    """All that is traced."""

    hazards: tuple[Hazard, ...]
    requirements: tuple[Requirement, ...]
    tests: tuple[MarkedTest, ...]


def read_papers(root: Path = ROOT) -> Papers:
    """Everything below this root. Raises KeyError or tomllib.TOMLDecodeError for a table of another shape."""
    hazards = tomllib.loads((root / PAPERS / "hazards.toml").read_text(encoding="utf-8"))["hazard"]
    requirements = tomllib.loads((root / PAPERS / "requirements.toml").read_text(encoding="utf-8"))["requirement"]
    return Papers(
        tuple(
            Hazard(
                id=one["id"],
                title=one["title"],
                causes=tuple(one["causes"]),
                effect=one["effect"],
                initial=Rating(**one["initial"]),
                residual=Rating(**one["residual"]),
                controls=tuple(one["controls"]),
                notes=one.get("notes", ""),
                open=one.get("open", ""),
            )
            for one in hazards
        ),
        tuple(
            Requirement(
                id=one["id"],
                text=one["text"],
                hazards=tuple(one["hazards"]),
                implemented_in=tuple(one["implemented_in"]),
                missing=one.get("missing", ""),
            )
            for one in requirements
        ),
        tuple(marked_tests(root)),
    )


def marked_tests(root: Path = ROOT) -> Iterator[MarkedTest]:
    """Every test function with the marker, in the order of files and lines."""
    for path in sorted((root / "tests").rglob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        for node in module.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                named = tuple(name for decorator in node.decorator_list for name in _requirements(decorator))
                if named:
                    yield MarkedTest(path.relative_to(root).as_posix(), node.name, named)


def _requirements(decorator: ast.expr) -> Iterator[str]:
    """The ids in ``@pytest.mark.requirement(...)``; anything but a plain string is kept as its source text."""
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.requirement":
        for argument in decorator.args:
            plain = isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            yield argument.value if plain else ast.unparse(argument)


def problems(papers: Papers, root: Path = ROOT) -> Iterator[str]:
    """Every link that leads nowhere, one sentence each."""
    hazards = {hazard.id: hazard for hazard in papers.hazards}
    requirements = {requirement.id: requirement for requirement in papers.requirements}
    tested = {name for test in papers.tests for name in test.requirements}
    yield from _repeated([*(one.id for one in papers.hazards), *(one.id for one in papers.requirements)])
    for test in papers.tests:
        for name in test.requirements:
            if name not in requirements:
                yield f"{test.path}::{test.name} names {name}, which is no requirement"
    for hazard in papers.hazards:
        yield from _hazard_problems(hazard, requirements)
    for requirement in papers.requirements:
        yield from _requirement_problems(requirement, hazards, tested, root)


def _repeated(ids: Sequence[str]) -> Iterator[str]:
    yield from (f"{one} is there twice" for one in dict.fromkeys(ids) if ids.count(one) > 1)


def _hazard_problems(hazard: Hazard, requirements: dict[str, Requirement]) -> Iterator[str]:
    if not hazard.controls:
        yield f"{hazard.id} has no control"
    for name in hazard.controls:
        if name not in requirements:
            yield f"{hazard.id} is controlled by {name}, which is no requirement"
        elif hazard.id not in requirements[name].hazards:
            yield f"{hazard.id} is controlled by {name}, which does not say so"
    unknown = [
        word
        for rating in (hazard.initial, hazard.residual)
        for word, scheme in ((rating.severity, SEVERITY), (rating.likelihood, LIKELIHOOD))
        if word not in scheme
    ]
    if unknown:
        yield f"{hazard.id} is rated {unknown[0]!r}, which is not in the scheme"
    elif hazard.residual.risk > hazard.initial.risk:
        yield f"{hazard.id} is riskier with its controls than without"
    elif hazard.residual.risk >= NEEDS_MORE and not hazard.open:
        yield f"{hazard.id} keeps a risk of {hazard.residual.risk} and does not say what is still to be done"


def _requirement_problems(
    requirement: Requirement, hazards: dict[str, Hazard], tested: set[str], root: Path
) -> Iterator[str]:
    if not requirement.hazards:
        yield f"{requirement.id} controls no hazard"
    for name in requirement.hazards:
        if name not in hazards:
            yield f"{requirement.id} controls {name}, which is no hazard"
        elif requirement.id not in hazards[name].controls:
            yield f"{requirement.id} controls {name}, which does not say so"
    if requirement.id not in tested:
        yield f"{requirement.id} has no test"
    if not requirement.implemented_in:
        yield f"{requirement.id} is implemented nowhere"
    for path in requirement.implemented_in:
        if not (root / path).exists():
            yield f"{requirement.id} is implemented in {path}, which does not exist"


def page(papers: Papers) -> str:
    """The generated page."""
    lines = [
        "# Traceability",
        "",
        f"From hazards to requirements to tests. Generated by `{COMMAND}` from [hazards.toml](hazards.toml),",
        "[requirements.toml](requirements.toml) and the markers of the tests; do not edit. How risk is rated, and what",
        "the ratings are worth, stands at the top of hazards.toml.",
        "",
        "## Hazards",
        "",
        "| hazard | risk without controls | risk that is left | controls |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| [{one.id}](#{one.id.lower()}) {one.title} | {one.initial} | {one.residual} | {_links(one.controls)} |"
        for one in papers.hazards
    ]
    for hazard in papers.hazards:
        lines += ["", f"### {hazard.id}", "", f"**{hazard.title}.** {hazard.effect}", "", "Causes:", ""]
        lines += [f"- {cause}" for cause in hazard.causes]
        lines += ["", f"Controls: {_links(hazard.controls)}."]
        lines += ["", hazard.notes] if hazard.notes else []
        lines += ["", f"Before clinical use: {hazard.open}"] if hazard.open else []
    lines += ["", "## Requirements"]
    for requirement in papers.requirements:
        lines += ["", f"### {requirement.id}", "", requirement.text, ""]
        lines += [f"Not met yet: {requirement.missing}", ""] if requirement.missing else []
        lines += [f"Controls {_links(requirement.hazards)}. Implemented in {_files(requirement.implemented_in)}.", ""]
        lines += ["Shown by:", ""]
        lines += [
            f"- [{test.path.removeprefix('tests/')}](../../{test.path}) `{test.name}`"
            for test in papers.tests
            if requirement.id in test.requirements
        ]
    return "\n".join(lines) + "\n"


def _links(ids: Sequence[str]) -> str:
    return ", ".join(f"[{one}](#{one.lower()})" for one in ids)


def _files(paths: Sequence[str]) -> str:
    return ", ".join(f"[{path}](../../{path})" for path in paths)


def main(arguments: Sequence[str]) -> int:
    """Check, and write the page if asked to; returns the exit status."""
    papers = read_papers()
    found = list(problems(papers))
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    if "--write" in arguments:
        (ROOT / PAGE).write_text(page(papers), encoding="utf-8")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
