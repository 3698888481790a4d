"""What `sural evaluate` prints: the measures, by part of the collection, and every miss; or one JSON object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deploy.local.evaluation.measures import (
    Judge,
    Share,
    groups,
    is_acceptable,
    is_false_alarm,
    is_under_triage,
    tiers_over,
    wrong_scores,
)
from deploy.local.evaluation.robustness import Fall
from deploy.local.evaluation.run import Reading, Result
from shared.fhir.codes import Urgency

EXPLAINED = {
    Reading.COMPLETED: "As on a finished form: a required yes/no safety question that the record does not mention "
    "counts as denied. What the person would have had to try stays unknown, and so do examination, scores and numbers. "
    "The floor for an incomplete screen (SR-04) is left out.",
    Reading.AS_GIVEN: "What the record does not mention is unknown, with the floor for an incomplete screen (SR-04).",
    Reading.WITHOUT_FLOOR: "The same without that floor.",
}


def as_json(judge: Judge, results: Mapping[Reading, Sequence[Result]]) -> dict[str, Any]:
    """One object: for each reading its measures as rates from 0 to 1 (null: nothing to count), and every case."""
    return {
        str(reading): {
            "n": len(found),
            **{name: share.rate for name, share in judge.measures(found).items()},
            "cases": [_case(result) for result in found],
        }
        for reading, found in results.items()
    }


def _case(result: Result) -> dict[str, Any]:
    return {
        "id": result.case.id,
        "urgency": str(result.urgency),
        "red_flags": list(result.red_flags),
        "differential": list(result.differential),
        "scores": dict(result.scores),
    }


def in_words(judge: Judge, reading: Reading, results: Sequence[Result]) -> Iterator[str]:
    """The measures of one reading, whole and in parts, and every miss, those in urgency first."""
    yield f"== {reading}: {len(results)} cases =="
    yield EXPLAINED[reading]
    yield ""
    yield from _table(judge, results)
    yield ""
    yield from _section("Under-triage", (_urgency_miss(one) for one in results if is_under_triage(one)))
    over = sorted((one for one in results if tiers_over(one)), key=lambda one: -tiers_over(one))
    yield from _section("Over-triage", map(_urgency_miss, over))
    beside = (one for one in results if not (is_acceptable(one) or is_under_triage(one) or tiers_over(one)))
    yield from _section("Between the accepted urgencies", map(_urgency_miss, beside))
    yield from _section("Red flags not raised", _flag_misses(results))
    yield from _section("Alarms on benign cases", (_false_alarm(one) for one in results if is_false_alarm(one)))
    yield from _section("Scores", (f"{one.case.id}: {words}" for one in results for words in wrong_scores(one)))
    yield from _section("Diagnoses not first", _rank_misses(judge, results))


def _table(judge: Judge, results: Sequence[Result]) -> Iterator[str]:
    """One line a measure: all cases with the 95 % interval, then hits and totals in each part."""
    parts = {name: judge.measures(part) for name, part in groups(results).items() if part}
    yield f"{'':<28}{'all cases (95 % interval)':<36}" + "".join(f"{name:>14}" for name in parts)
    for measure, share in judge.measures(results).items():
        counts = (f"{part[measure].hits}/{part[measure].total}" for part in parts.values())
        yield f"{measure:<28}{_words(share):<36}" + "".join(f"{count:>14}" for count in counts)


def remarks(results: Sequence[Result]) -> Iterator[str]:
    """What of the records could not be put into the form as it stands."""
    yield from _section(
        "Not, or not wholly, in the form", (f"{one.case.id}: {remark}" for one in results for remark in one.remarks)
    )


def falls(found: Mapping[Reading, Sequence[Fall]], dropped: int) -> Iterator[str]:
    """What dropping each fact in turn leads to."""
    for reading, some in found.items():
        yield from _section(
            f"Below the accepted urgencies without one fact, {reading} ({dropped} facts dropped in turn)",
            (f"{one.case.id} without {one.fact}: {one.before} becomes {one.after}" for one in some),
        )


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = [*lines]
    yield f"{title}: {len(found) or 'none'}"
    yield from (f"  {line}" for line in found)
    yield ""


def _words(share: Share) -> str:
    rate, interval = share.rate, share.interval
    if rate is None or interval is None:
        return "nothing to count"
    low, high = interval
    return f"{100 * rate:5.1f} %  ({100 * low:.1f} to {100 * high:.1f})"


def _urgency_miss(result: Result) -> str:
    gold = result.case.gold
    accepted = ", ".join(tier for tier in Urgency if tier in gold.tiers)
    floors = f"; floors {', '.join(result.floors)}" if result.floors else ""
    return (
        f"{result.case.id} {gold.diagnosis}: expected {accepted}, came {result.urgency}; "
        f"fired {_listed(result.lines)}{floors}; first {_listed(result.differential[:1])}"
    )


def _flag_misses(results: Sequence[Result]) -> Iterator[str]:
    for one in results:
        if missing := [name for name in one.case.gold.expected_red_flags if name not in one.red_flags]:
            yield f"{one.case.id} {one.case.gold.diagnosis}: {_listed(missing)}; fired {_listed(one.lines)}"


def _false_alarm(result: Result) -> str:
    gold = result.case.gold
    return f"{result.case.id} {gold.diagnosis} ({gold.urgency}): fired {_listed(result.lines)}"


def _rank_misses(judge: Judge, results: Sequence[Result]) -> Iterator[str]:
    for one in results:
        if not judge.hits(one, 1):
            wanted = judge.wanted(one)
            place = next((str(n) for n, name in enumerate(one.differential, 1) if name in wanted), "not ranked")
            yield f"{one.case.id} {one.case.gold.diagnosis}: {place}; first {_listed(one.differential[:5])}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"
