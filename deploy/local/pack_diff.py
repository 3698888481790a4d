"""`sural pack diff`: what two packs say differently, and what they make of the same patients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path

from deploy.local.errors import StartError
from deploy.local.pack_folders import forms, load, two_folders
from deploy.local.pack_patients import Waiting, case_patients
from deploy.local.triage_output import wrapped
from services.triage.engine.content import PackHead
from services.triage.engine.model import Urgency
from services.triage.knowledge.review.comparison import Comparison, Difference, compare
from services.triage.knowledge.review.difference import FieldChange, Kind, TableChange, differences


def print_diff(before: str, after: str, files: Sequence[Path], url: str | None, questionnaires: Sequence[Path]) -> None:
    """Compare and print. Raises StartError for packs that cannot be compared."""
    folders = two_folders(before, after)
    old, new = (load(folder) for folder in folders)
    known = forms(questionnaires)
    shared = [name for name in new.pack.head.questionnaires if name in old.pack.head.questionnaires]
    if not shared:
        raise StartError(
            f"{_named(old.pack.head)} is for {', '.join(old.pack.head.questionnaires)}, {_named(new.pack.head)} for "
            f"{', '.join(new.pack.head.questionnaires)}: no response can be assessed by both.",
            "Compare packs for the same Questionnaire.",
        )
    print(f"{_named(old.pack.head)} -> {_named(new.pack.head)}", "", sep="\n")
    print(*packs_in_words(differences(old, new)), sep="\n")
    waiting = Waiting(known[name] for name in shared if name in known)
    responses = waiting.stored(url) if url else waiting.files(files) if files else waiting.examples()
    if url and files:
        responses = chain(responses, waiting.files(files))
    found = compare(old.pack, new.pack, chain(responses, case_patients(*folders)))
    print(*patients_in_words(found, waiting.left_out), sep="\n")


def packs_in_words(changes: Sequence[TableChange]) -> Iterator[str]:
    """What the packs say differently, by file."""
    if not changes:
        yield "The packs say the same."
        return
    yield "Differences between the packs: " + ", ".join(
        f"{sum(change.kind is kind for change in changes)} {kind}" for kind in Kind
    )
    for file, group in groupby(changes, key=lambda change: change.place.file):
        yield from ("", file)
        for change in group:
            yield f"  {change.kind:<8} {change.place.about}".rstrip()
            yield from chain.from_iterable(_field(change.kind, field) for field in change.fields)


def patients_in_words(found: Comparison, left_out: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Patients of whom the packs do not make the same, then how many there are."""
    for title, differing in _groups(found):
        yield from ("", f"{title}: {len(differing)}") if differing else ()
        for one in differing:
            yield from _patient(one)
    less, more, flags, _ = (len(differing) for _, differing in _groups(found))
    order = sum(one.before.first != one.after.first for one in found.differences)
    yield ""
    yield wrapped(
        f"{found.compared} patients compared: {less} less urgent, {more} more urgent, {flags} with other flags at the "
        f"same urgency; {order} with other conditions, or another order of them, among the first five."
    )
    reasons: dict[str, list[str]] = {}
    for name, reason in (*left_out, *found.not_compared):
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        yield wrapped(f"not compared: {', '.join(names)}: {reason}", first="  ", then="    ")


def _groups(found: Comparison) -> tuple[tuple[str, list[Difference]], ...]:
    """By what matters most: who waits longer, who is seen sooner, who gets other flags, another order."""
    less = [one for one in found.differences if one.less_urgent]
    more = [one for one in found.differences if one.more_urgent]
    same = [one for one in found.differences if one not in less and one not in more]
    flags = [one for one in same if one.before.flags != one.after.flags]
    order = [one for one in same if one not in flags]
    return (
        ("Less urgent", less),
        ("More urgent", more),
        ("Other flags at the same urgency", flags),
        ("Other conditions, or another order of them", order),
    )


def _patient(one: Difference) -> Iterator[str]:
    yield f"  {one.name}"
    before, after = one.before, one.after
    if before.urgency is not after.urgency:
        yield f"    urgency: {_urgency(before.urgency)} -> {_urgency(after.urgency)}"
        word = "no longer there" if one.less_urgent else "new"
        yield wrapped(f"{word}: {', '.join(one.responsible) or 'nothing by itself'}", first="      ", then="        ")
    if flags := list(_flags(one)):
        yield wrapped(f"flags: {', '.join(flags)}", first="    ", then="      ")
    if before.first[:1] != after.first[:1]:
        yield f"    first condition: {_first(before.first)} -> {_first(after.first)}"
    if before.first != after.first:
        for word, ids in (("was", before.first), ("is", after.first)):
            yield wrapped(f"order {word}: {', '.join(ids) or 'none'}", first="    ", then="      ")


def _flags(one: Difference) -> Iterator[str]:
    before, after = one.before.flags, one.after.flags
    for flag in dict.fromkeys((*before, *after)):
        if flag not in after:
            yield f"{flag} no longer"
        elif flag not in before:
            yield f"{flag} new"
        elif before[flag] is not after[flag]:
            yield f"{flag} {_urgency(before[flag])} -> {_urgency(after[flag])}"


def _field(kind: Kind, field: FieldChange) -> Iterator[str]:
    match kind:
        case Kind.ADDED:
            yield wrapped(f"{field.name}: {field.after}", first="    ", then="      ")
        case Kind.REMOVED:
            yield wrapped(f"{field.name}: {field.before}", first="    ", then="      ")
        case Kind.CHANGED:
            yield wrapped(f"{field.name} was: {field.before or 'nothing'}", first="    ", then="      ")
            yield wrapped(f"{' ' * len(field.name)}  is: {field.after or 'nothing'}", first="    ", then="      ")


def _named(head: PackHead) -> str:
    return f"{head.name} {head.version} ({head.status}, {head.sha256[:12]})"


def _urgency(urgency: Urgency | None) -> str:
    return "none" if urgency is None else urgency.value


def _first(ids: Sequence[str]) -> str:
    return ids[0] if ids else "none"
