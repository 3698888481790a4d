"""The answer options of our Questionnaires as CodeSystem tables: read from the Questionnaires, written for triage.

`python -m tests.answer_codes --write` writes services/triage/answers.toml.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from services.intake.questionnaires import shipped
from services.triage.terminology import ANSWERS
from shared.fhir.codes import CANONICAL

COMMAND = "python -m tests.answer_codes --write"
HEADER = f"""# The answer options of our Questionnaires: code, display, and other words for the same code if there are
# any. Written from the Questionnaires by `{COMMAND}`; do not edit.
"""


def tables() -> str:
    """The text of the file. A code whose words never appear in a Questionnaire is shown by the code itself."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    about: dict[str, dict[str, Any]] = {}
    for path in shipped():
        form = json.loads(path.read_bytes())
        for coding in _codings(form):
            system = str(coding.get("system", ""))
            if system.startswith(f"{CANONICAL}/CodeSystem/"):
                about[system] = form
                words = found.setdefault(system, {}).setdefault(coding["code"], {})
                if "display" in coding:
                    words[coding["display"]] = None
    return HEADER + "".join(_table(system, about[system], concepts) for system, concepts in sorted(found.items()))


def _codings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "system" in value and "code" in value:
            yield value
        for part in value.values():
            yield from _codings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _codings(part)


def _table(system: str, form: dict[str, Any], concepts: dict[str, dict[str, None]]) -> str:
    lines = ["", f"[{system.rpartition('/')[2]}]", f"version = {_text(form['version'])}"]
    lines.append(f"title = {_text('Answers: ' + form['title'])}")
    lines.append(f"description = {_text('Answer options of the Questionnaire of the same name.')}")
    lines.append("concepts = [")
    for code, words in concepts.items():
        lines.append(f"  [{', '.join(map(_text, [code, *(words or {code: None})]))}],")
    return "\n".join([*lines, "]", ""])


def _text(value: str) -> str:
    """A TOML basic string."""
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        ANSWERS.write_text(tables(), encoding="utf-8")
