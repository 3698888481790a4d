"""`sural pack show`: a pack as pages, in a folder or on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploy.local.pack_folders import forms, load, only_folder
from services.triage.knowledge.review.pages.book import pages


def show_pack(folder: Path | None, out: Path | None, questionnaires: Sequence[Path]) -> None:
    """Write the pages into `out`, or print them one after the other. Raises StartError for a faulty pack."""
    edition = load(only_folder(folder))
    known = forms(questionnaires)
    form = next((known[name] for name in edition.pack.head.questionnaires if name in known), None)
    written = pages(edition, form, linked=out is not None)
    if out is None:
        print(*written.values(), sep="\n")
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (out / name).write_text(text, encoding="utf-8")
    print(f"{len(written)} pages written to {out}; begin with {out / next(iter(written))}.")
