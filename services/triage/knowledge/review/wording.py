"""Whether the words of a pack are all used, say nothing that must not be said, and can be read in one breath."""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.triage.engine.model import Urgency
from services.triage.knowledge.required_texts import OPTIONAL_TEXTS, REQUIRED_TEXTS
from services.triage.knowledge.review.edition import Edition
from services.triage.knowledge.review.places import sentences, text_keys, texts_file
from services.triage.knowledge.review.remarks import Remark, error, note

LONGEST = 45
"""Words in a sentence; a longer one is read twice or not at all."""
_END = re.compile(r"(?<=[.!?])\s+")


def check_wording(edition: Edition) -> Iterator[Remark]:
    """Remarks on every text and on everything else that readers see (SR-11)."""
    content = edition.content
    used = {*REQUIRED_TEXTS, *OPTIONAL_TEXTS, *(key for _, key in text_keys(content))}
    used |= {f"{floor.text}.{urgency.value}" for floor in content.safety.floors for urgency in Urgency}
    for key in content.texts:
        if key not in used:
            yield note(texts_file(content), key, "nothing uses this text")
    for place, text in sentences(content):
        for phrase in edition.never_say:
            if phrase.casefold() in text.casefold():
                yield error(place.file, place.about, f"says {phrase!r}, which this pack must never say")
        length = max((len(part.split()) for part in _END.split(text)), default=0)
        if length > LONGEST:
            yield note(place.file, place.about, f"a sentence of {length} words; {LONGEST} is long")
