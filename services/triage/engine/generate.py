"""Many criteria as one function: what `compile.py` does one by one, written out as straight-line Python.

A pack asks about a thousand questions of one set of values. As closures each costs several calls; written out, each
and/or is one look-up in a table, and a part that occurs in several criteria is computed once (measured: a fifth of the
time). The source is made of whole numbers and of names given here, never of text from a pack, and it is made once per
pack. Both ways must agree; tests compare them on every criterion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from services.triage.engine.compile import Compiler, Slots, Test, Values
from services.triage.engine.criteria import All, AnyOf, Compare, Criterion, Fact, Not, OrUnknown
from services.triage.engine.keeping import keep
from services.triage.engine.truth import AND, NO, NOT, OR, OR_UNKNOWN, UNKNOWN_IS_NO, YES

_TABLES: Final = {"A": AND, "O": OR, "N": NOT, "U": OR_UNKNOWN, "Z": UNKNOWN_IS_NO}
_REMEMBERED: Final = 500
"""For how many values of one fact the truths are kept."""
_NOTHING: Final[Mapping[Compare, int]] = MappingProxyType({})


class Generator:
    """Collects statements over `v`, the list of all values, and makes one function of them."""

    def __init__(self, slots: Slots, compiler: Compiler, compared: Mapping[Compare, int] = _NOTHING) -> None:
        """`compared`: comparisons whose truths are in the values already, with their places."""
        self._slots = slots
        self._compiler = compiler
        self._compared = compared
        self._names: dict[str, Any] = dict(_TABLES)
        self._lines: list[str] = []
        self._known: dict[Criterion, str] = {}
        self._read: dict[int, str] = {}

    def truth(self, criterion: Criterion) -> str:
        """An expression for the criterion's set of truths. Raises KeyError for a fact that has no slot."""
        if isinstance(criterion, Fact):
            return self._value(self._slots[criterion.name])
        if isinstance(criterion, Compare) and criterion in self._compared:
            return self._value(self._compared[criterion])
        if criterion not in self._known:
            self._known[criterion] = self.keep(self._expression(criterion))
        return self._known[criterion]

    def compute(self, comparison: Compare) -> str:
        """An expression that makes the comparison."""
        return f"{self.constant(self._compiler.compile(comparison))}(v)"

    def keep(self, expression: str) -> str:
        """A local variable that holds the expression's value."""
        name = f"x{len(self._lines)}"
        self._lines.append(f"{name}={expression}")
        return name

    def _value(self, slot: int) -> str:
        """A local variable that holds what is in the slot now."""
        if slot not in self._read:
            self._read[slot] = self.keep(f"v[{slot}]")
        return self._read[slot]

    def store(self, slot: int, expression: str) -> None:
        """Put the expression's value into a slot of the values."""
        self._read.pop(slot, None)
        self._lines.append(f"v[{slot}]={expression}")

    def store_all(self, first: int, name: str, comparisons: Sequence[Compare]) -> None:
        """Put the truths of all comparisons with one fact into the slots from `first` on."""
        for slot in range(first, first + len(comparisons)):
            self._read.pop(slot, None)
        truths = _Remembered([self._compiler.compile(one) for one in comparisons], self._slots[name])
        self._lines.append(f"v[{first}:{first + len(comparisons)}]={self.constant(truths)}(v)")

    def constant(self, value: Any) -> str:
        """A name for a value that the function may use: a table, or another function."""
        name = f"c{len(self._names)}"
        self._names[name] = value
        return name

    def function(self, results: Sequence[str]) -> Callable[..., list[Any]]:
        """The function from the values (and one more argument, `k`) to the list of these expressions' values."""
        body = "\n ".join([*self._lines, f"return [{','.join(results)}]"])
        namespace = dict(self._names)
        constants = "".join(f",{name}={name}" for name in self._names)  # as arguments they are found fastest
        exec(compile(f"def f(v,k=None{constants}):\n {body}\n", "<criteria>", "exec"), namespace)  # noqa: S102 - see above
        made: Callable[..., list[Any]] = namespace["f"]
        return made

    def _expression(self, criterion: Criterion) -> str:
        match criterion:
            case OrUnknown(part):
                return f"U[{self.truth(part)}]"
            case Not(part):
                return f"N[{self.truth(part)}]"
            case All(parts):
                return self._folded("A", parts, YES)
            case AnyOf(parts):
                return self._folded("O", parts, NO)
            case Compare():
                return self.compute(criterion)
        raise TypeError(f"not a criterion: {criterion!r}")

    def _folded(self, table: str, parts: Sequence[Criterion], neutral: int) -> str:
        if not parts:
            return str(neutral)
        first, *others = [self.truth(part) for part in parts]
        for other in others:
            first = self.keep(f"{table}[{first}<<4|{other}]")
        return first


class _Remembered:
    """Truths of all comparisons with one fact. They depend on its value alone, and few values occur again and again."""

    __slots__ = ("_known", "_slot", "_tests")

    def __init__(self, tests: Sequence[Test], slot: int) -> None:
        self._tests = tests
        self._slot = slot
        self._known: dict[Any, list[int]] = {}

    def __call__(self, values: Values) -> list[int]:
        value = values[self._slot]
        truths = self._known.get(value)
        if truths is None:
            truths = [test(values) for test in self._tests]
            if len(value) == 1:  # an answer in several ways may be as long as it likes, and hardly ever comes again
                keep(self._known, value, truths, room=_REMEMBERED)
        return truths


def truths_of(criteria: Sequence[Criterion], generator: Generator) -> Callable[[Values], list[int]]:
    """A function from the values to the sets of truths of all criteria, in order."""
    return generator.function([generator.truth(criterion) for criterion in criteria])
