"""What patients send while the system is being broken: drawn with a seed, so that a run can be repeated.

Answers of all urgencies, forms that are wrong, the same form several times at once, amended and withdrawn versions.
Names and free text hold a mark that must be found in the database and nowhere else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from deploy.local.demo import EXAMPLES, expectations
from services.intake.questionnaires import shipped
from shared.fhir.codes import Urgency

MARK = "ZZCANARY"
PATIENT, FORM = b"@@PATIENT@@", b"@@FORM@@"
EMERGENCIES = ("cold-pale-foot", "cauda-equina", "compartment-syndrome", "dvt-with-chest-pain", "hot-swollen-joint")
SAME_DAY = ("dvt-after-surgery", "achilles-rupture", "ruptured-bakers-cyst", "incomplete")
CALM = ("calf-strain", "hamstring-strain", "achilles-tendinopathy")
INVALID = ("invalid",)
SHARES: Mapping[str, float] = {
    "calm": 0.66,
    "emergency": 0.06,
    "same_day": 0.04,
    "page_1": 0.01,
    "invalid": 0.04,
    "invalid_emergency": 0.02,
    "repeated": 0.08,
    "amended_worse": 0.02,
    "amended_better": 0.02,
    "withdrawn": 0.02,
    "same_patient": 0.03,
}
"""How often each kind of submission comes while something is broken: every kind soon."""
EXPECTED_SHARES: Mapping[str, float] = {
    "calm": 0.82,
    "emergency": 0.03,
    "same_day": 0.02,
    "page_1": 0.005,
    "invalid": 0.02,
    "invalid_emergency": 0.005,
    "repeated": 0.05,
    "amended_worse": 0.01,
    "amended_better": 0.01,
    "withdrawn": 0.01,
    "same_patient": 0.02,
}
"""The same for a long time: one in nine alerts, as is expected of a large site."""
MOST_AT_ONCE = 5


@dataclass(frozen=True, slots=True)
class Version:
    """One body of a form. `urgency`: what it must at least lead to; None where it is withdrawn."""

    body: bytes
    urgency: str | None


@dataclass(frozen=True, slots=True)
class Submission:
    """One form with its versions, in order. `copies`: how often the first is sent at the same time.

    `valid`: it has to be accepted; else it has to be refused. `alone`: nobody else's answers have a part in its alert.
    """

    kind: str
    versions: Sequence[Version]
    copies: int = 1
    valid: bool = True
    alone: bool = True


@dataclass(frozen=True, slots=True)
class Template:
    """A shipped example with room for another patient and another form."""

    name: str
    body: bytes
    urgency: str | None

    def filled(self, patient: str, form: str, *, status: str | None = None) -> bytes:
        """The example as this patient's form."""
        body = self.body.replace(PATIENT, patient.encode()).replace(FORM, form.encode())
        return body.replace(b'"status":"completed"', f'"status":"{status}"'.encode()) if status else body


@cache
def templates() -> dict[str, Template]:
    """All shipped examples, by name."""
    return {
        expected.name.replace(" ", "-"): Template(
            expected.name, _marked((EXAMPLES / expected.file).read_bytes()), expected.urgency
        )
        for expected in expectations()
    }


def submissions(seed: int | str, *, prefix: str = "", shares: Mapping[str, float] = SHARES) -> Iterator[Submission]:
    """An endless line of them; the same for the same seed. `prefix` keeps patients of several lines apart."""
    chance = random.Random(str(seed))  # noqa: S311 - it has to be the same again, not secret
    examples = templates()
    kinds, weights = list(shares), list(shares.values())
    number = 0
    while True:
        number += 1
        mark = f"{prefix}{seed}-{number}"
        yield _drawn(chance, examples, chance.choices(kinds, weights)[0], mark)


def emergencies(seed: int | str, *, prefix: str = "") -> Iterator[Submission]:
    """An endless line of emergencies, each of another patient."""
    chance = random.Random(str(seed))  # noqa: S311 - as above
    examples, number = templates(), 0
    while True:
        number += 1
        yield _drawn(chance, examples, "emergency", f"{prefix}{seed}-e{number}")


def _drawn(chance: random.Random, examples: Mapping[str, Template], kind: str, mark: str) -> Submission:
    def one(names: Sequence[str]) -> Template:
        return examples[chance.choice(names)]

    patient, form = f"p-{mark}", f"f-{mark}"
    match kind:
        case "emergency" | "same_day" | "calm" | "page_1":
            names = {"emergency": EMERGENCIES, "same_day": SAME_DAY, "calm": CALM, "page_1": ("page-1-chest-pain",)}
            return Submission(kind, [_version(one(names[kind]), patient, form)])
        case "invalid":
            return Submission(kind, [_version(one(INVALID), patient, form)], valid=False)
        case "invalid_emergency":  # refused, and yet somebody has to be told
            return Submission(kind, [_version(one(EMERGENCIES), patient, form, status="finished")], valid=False)
        case "repeated":
            copies = chance.randint(2, MOST_AT_ONCE)
            return Submission(kind, [_version(one((*CALM, *EMERGENCIES[:1])), patient, form)], copies=copies)
        case "same_patient":
            shared = f"p-{mark.rpartition('-')[0]}-{chance.randint(1, 5)}"
            return Submission(kind, [_version(one((*CALM, *EMERGENCIES)), shared, form)], alone=False)
        case "amended_worse":
            before, after = one(CALM), one(EMERGENCIES)
        case "amended_better":
            before, after = one(EMERGENCIES), one(CALM)
        case _:
            before = after = one((*CALM, *SAME_DAY))
    if kind == "withdrawn":
        then = Version(after.filled(patient, form, status="entered-in-error"), None)
    else:
        then = _version(after, patient, form, status="amended")
    return Submission(kind, [_version(before, patient, form), then])


def _version(template: Template, patient: str, form: str, *, status: str | None = None) -> Version:
    return Version(template.filled(patient, form, status=status), template.urgency)


def _marked(text: bytes) -> bytes:
    """The example with our mark in the patient's name and in the free text, written tightly."""
    response = json.loads(text)
    response["identifier"] = {"system": "https://faults.example/form", "value": FORM.decode()}
    response["subject"] = {"reference": f"Patient/{PATIENT.decode()}", "display": f"{MARK} {PATIENT.decode()}"}
    page: dict[str, Any] = next(
        (page for page in response.get("item", []) if page.get("linkId") == _page_with_free_text()), {"item": []}
    )
    page.setdefault("item", []).append({"linkId": "other_concerns", "answer": [{"valueString": f"{MARK} worries me"}]})
    return json.dumps(response, separators=(",", ":")).encode()


@cache
def _page_with_free_text() -> str:
    questionnaire: dict[str, Any] = json.loads(shipped()[-1].read_bytes())
    for page in questionnaire["item"]:
        if any(item["linkId"] == "other_concerns" for item in page.get("item", [])):
            return str(page["linkId"])
    raise LookupError("the Questionnaire has no other_concerns on its pages")


def rank(urgency: str | None) -> int:
    """0 the most urgent; what was withdrawn comes last."""
    return Urgency(urgency).rank if urgency else len(Urgency)
