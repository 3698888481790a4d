"""What every service works out when it starts, and thousands of tests start one: worked out once for the whole run.

Only what says the same for the same values, and kept by all that it is made of. Tests of these things themselves get
what any other test would get.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import httpx

from services.triage import assess_response, refused
from services.triage.engine.model import FactDefinition
from services.triage.findings import FactReader
from shared.fhir.questionnaire import QuestionnaireIndex

MOST = 64
"""How many of each are kept: tests of forms make hundreds that nobody asks for again."""

Json = Mapping[str, Any]
_build: Callable[[Json, Json], QuestionnaireIndex] = QuestionnaireIndex.build


@dataclass(frozen=True, slots=True)
class _Form:
    """A Questionnaire with the value sets that it may name, equal to every other one that says the same."""

    words: str
    questionnaire: Json = field(compare=False)
    value_sets: Json = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Read:
    """A form and facts, equal to these very same ones only."""

    of: tuple[int, int]
    form: QuestionnaireIndex = field(compare=False)
    facts: Sequence[FactDefinition] = field(compare=False)


@functools.lru_cache(MOST)
def _compiled(form: _Form) -> QuestionnaireIndex:
    return _build(copy.deepcopy(form.questionnaire), copy.deepcopy(form.value_sets))


@functools.lru_cache(MOST)
def _reader(read: _Read) -> FactReader:
    return FactReader(read.form, read.facts)


def _form(questionnaire: Json, value_sets: Json = MappingProxyType({})) -> QuestionnaireIndex:
    value_sets = dict(value_sets)
    return _compiled(_Form(repr((questionnaire, value_sets)), questionnaire, value_sets))


def _fact_reader(form: QuestionnaireIndex, facts: Sequence[FactDefinition]) -> FactReader:
    return _reader(_Read((id(form), id(facts)), form, facts))


def keep() -> None:
    """From now on. An HTTP client reads the certificates of all authorities, which takes longer than most tests."""
    httpx._transports.default.create_ssl_context = functools.cache(httpx._transports.default.create_ssl_context)
    QuestionnaireIndex.build = staticmethod(_form)  # type: ignore[method-assign, assignment]
    for module in (assess_response, refused):
        module.FactReader = _fact_reader  # type: ignore[attr-defined, misc, assignment]
