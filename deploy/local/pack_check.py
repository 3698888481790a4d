"""`sural pack check`: the check of one pack, or of all that come with Sural, as words or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from deploy.local.pack_folders import forms, shipped_folders
from deploy.local.pack_patients import Waiting
from deploy.local.triage_output import wrapped
from services.triage.knowledge.loader import PACKS, RELEASED, edited_releases
from services.triage.knowledge.review.check import Report, check_folder
from services.triage.knowledge.review.places import PACK
from services.triage.knowledge.review.remarks import Remark, Severity, error


def check_packs(folder: Path | None, questionnaires: Sequence[Path], *, as_json: bool) -> bool:
    """Check and print. True when there is no error."""
    known = forms(questionnaires)
    responses = list(Waiting(known.values()).examples())
    reports = [check_folder(one, known, responses) for one in ([folder] if folder else shipped_folders())]
    if folder is None:
        reports = [*(_in_its_folder(report) for report in reports), *_releases()]
    if as_json:
        print(orjson.dumps(_as_json(reports), option=orjson.OPT_INDENT_2).decode())
    else:
        print(*in_words(reports), sep="\n")
    return not any(report.of(Severity.ERROR) for report in reports)


def in_words(reports: Sequence[Report]) -> Iterator[str]:
    """Lines for a terminal: per pack what it holds, then what was found by file, then how much that is."""
    for report in reports:
        yield _title(report)
        if report.counts:
            yield wrapped(", ".join(f"{what} {number}" for what, number in report.counts.items()))
        for file, remarks in groupby(report.remarks, key=lambda one: one.place.file):
            yield from ("", file or "the pack as a whole")
            yield from (_line(remark) for remark in remarks)
        yield ""
    errors, notes = (sum(len(report.of(severity)) for report in reports) for severity in Severity)
    yield f"{_number(errors, 'error')}, {_number(notes, 'note')}."


def _title(report: Report) -> str:
    head = report.head
    return f"{head.name} {head.version} ({head.status})" if head is not None else str(report.folder)


def _line(remark: Remark) -> str:
    about = f"{remark.place.about}: " if remark.place.about else ""
    return wrapped(f"{about}{remark.message}", first=f"  {remark.severity:<7}", then=" " * 9)


def _number(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _in_its_folder(report: Report) -> Report:
    """With an error where a shipped pack lies in a folder of another name."""
    head, folder = report.head, report.folder
    if head is None or (folder.parent.name, folder.name) == (head.name, head.version):
        return report
    misplaced = error(PACK, "", f"the folder must be {head.name}/{head.version}, as this file says")
    return replace(report, remarks=(misplaced, *report.remarks))


def _releases() -> Iterator[Report]:
    """Released packs that were edited afterwards."""
    edited = edited_releases()
    if edited:
        yield Report(PACKS, None, {}, tuple(error(RELEASED, "", sentence) for sentence in edited))


def _as_json(reports: Sequence[Report]) -> dict[str, Any]:
    return {
        "packs": [
            {
                "folder": str(report.folder),
                "name": report.head and report.head.name,
                "version": report.head and report.head.version,
                "status": report.head and report.head.status,
                "sha256": report.head and report.head.sha256,
                "counts": dict(report.counts),
                "remarks": [
                    {
                        "severity": remark.severity.value,
                        "file": remark.place.file,
                        "about": remark.place.about,
                        "message": remark.message,
                    }
                    for remark in report.remarks
                ],
            }
            for report in reports
        ],
        "errors": sum(len(report.of(Severity.ERROR)) for report in reports),
        "notes": sum(len(report.of(Severity.NOTE)) for report in reports),
    }
