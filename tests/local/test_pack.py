"""`sural pack` from outside: what it prints, and exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from deploy.local.cli import app
from deploy.local.errors import StartError
from deploy.local.pack_folders import two_folders
from deploy.local.pack_patients import Waiting
from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.triage.knowledge.files import folder_sha256
from tests.builders import a_response, posterior_lower_limb
from tests.conftest import Database
from tests.serving import served
from tests.triage.example_form import example_questionnaire, example_response
from tests.triage.packs import EXAMPLE, PACKS, edited


def pack(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["pack", *map(str, arguments)])


@pytest.fixture
def form(tmp_path: Path) -> Path:
    """The Questionnaire of the example pack, as a file."""
    path = tmp_path / "example-form.json"
    path.write_text(json.dumps(example_questionnaire()))
    return path


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A newer version of the example pack, in which a cold foot has to hurt more to be an emergency."""
    edited(tmp_path, "red_flags.toml", ("severity_0_10>=7", "severity_0_10>=9"))
    return edited(tmp_path, "pack.toml", ('version = "0.0.1"', 'version = "0.1.0"'))


# --- check ---------------------------------------------------------------------------------------


@pytest.mark.requirement("REQ-18", "REQ-19")
def test_the_packs_that_come_with_sural_have_no_error() -> None:
    result = pack("check")

    assert result.exit_code == 0, result.stdout
    assert "posterior-lower-limb 1.0.0 (draft)" in result.stdout
    assert "\n0 errors, " in result.stdout


def test_notes_alone_are_no_failure(form: Path) -> None:
    result = pack("check", EXAMPLE, "--questionnaire", form)

    assert result.exit_code == 0
    assert "facts.toml\n  note   derived facts that no rule uses: calf_pain\n" in result.stdout
    assert result.stdout.endswith("\n0 errors, 5 notes.\n")


def test_an_error_is_a_sentence_under_its_file_and_the_exit_code_is_1(tmp_path: Path, form: Path) -> None:
    folder = edited(tmp_path, "cases/rfx-02.toml", ('urgency = "emergency"', 'urgency = "routine"'))
    result = pack("check", folder, "--questionnaire", form)

    assert result.exit_code == 1
    assert "cases/rfx-02.toml\n  error  RFX-02a-sudden: urgency is emergency, expected routine\n" in result.stdout


def test_a_pack_that_does_not_load_is_no_traceback(tmp_path: Path, form: Path) -> None:
    folder = edited(tmp_path, "red_flags.toml", ('when = "chest_pain"', 'when = "chest pain"'))
    result = pack("check", folder, "--questionnaire", form)

    assert result.exit_code == 1
    assert "red_flags.toml\n  error  RFX-01: column 1: unknown fact 'chest'\n" in result.stdout
    assert result.stdout.endswith("\n1 error, 0 notes.\n")


def test_json_holds_every_remark_and_the_counts(form: Path) -> None:
    found = json.loads(pack("check", EXAMPLE, "--json", "--questionnaire", form).stdout)

    assert (found["errors"], found["notes"]) == (0, 5)
    (one,) = found["packs"]
    assert (one["name"], one["version"], one["sha256"]) == ("example", "0.0.1", folder_sha256(EXAMPLE))
    assert one["counts"]["cases"] == 34
    assert {
        "severity": "note",
        "file": "facts.toml",
        "about": "",
        "message": "derived facts that no rule uses: calf_pain",
    } in one["remarks"]


# --- diff ----------------------------------------------------------------------------------------


def test_two_packs_are_compared_on_responses_in_a_folder_and_on_their_cases(
    tmp_path: Path, newer: Path, form: Path
) -> None:
    responses = tmp_path / "responses"
    responses.mkdir()
    cold = example_response(foot_cold_pale_blue="Y", severity_0_10=8)
    (responses / "cold.json").write_text(json.dumps(cold))
    (responses / "other.json").write_text(json.dumps({**cold, "questionnaire": "https://example.org/other|1"}))
    (responses / "broken.json").write_text("{")
    result = pack("diff", EXAMPLE, newer, responses, "--questionnaire", form)

    assert result.exit_code == 0, result.stdout
    lines = result.stdout.splitlines()
    assert "  changed  RFX-02a" in lines
    assert "    when was: foot_cold_pale_blue & (sudden | numb_tingling | severity_0_10>=7)" in lines
    assert "          is: foot_cold_pale_blue & (sudden | numb_tingling | severity_0_10>=9)" in lines
    at = lines.index("Less urgent: 1")
    assert lines[at + 1 : at + 5] == [
        "  cold.json",
        "    urgency: emergency -> same_day",
        "      no longer there: line RFX-02a",
        "    flags: RFX-02 emergency -> same_day",
    ]
    assert "35 patients compared: 1 less urgent, 0 more urgent," in result.stdout
    assert "not compared: other.json: answers https://example.org/other|1" in result.stdout
    assert "not compared: broken.json: " in result.stdout


def test_a_response_that_intake_would_refuse_is_left_out(tmp_path: Path, newer: Path, form: Path) -> None:
    file = tmp_path / "impossible.json"
    file.write_text(json.dumps(example_response(severity_0_10=11)))

    assert "not compared: impossible.json: intake refuses it" in pack(
        "diff", EXAMPLE, newer, file, "--questionnaire", form
    ).stdout.replace("\n    ", " ")


def test_packs_for_different_questionnaires_are_not_compared() -> None:
    result = pack("diff", EXAMPLE, "posterior-lower-limb@1.0.0")

    assert isinstance(result.exception, StartError)
    assert "no response can be assessed by both. Compare packs for the same Questionnaire." in str(result.exception)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("released", "released"), "Both packs are the released one."),
        (("released", "example@0.0.1"), "No version of example has been released."),
        (("example@9.9.9", "example@0.0.1"), "example@9.9.9 is no pack."),
        (("example@0.0.1", "nowhere"), "nowhere is no pack."),
    ],
)
def test_what_is_no_pack_is_said(words: tuple[str, str], message: str) -> None:
    with pytest.raises(StartError, match=message):
        two_folders(*words, packs=PACKS)


def test_the_released_pack_is_the_newest_release_of_that_name(tmp_path: Path, newer: Path) -> None:
    released = newer.parent
    for version in ("0.0.9", "0.0.10"):
        shutil.copytree(EXAMPLE, released / version)
    (tmp_path / "RELEASED.toml").write_text(
        f'[released]\n"example/0.0.9" = "{"0" * 64}"\n"example/0.0.10" = "{"0" * 64}"\n'
    )

    assert two_folders("released", str(newer), packs=tmp_path) == (released / "0.0.10", newer)
    assert two_folders("example@0.0.9", "released", packs=tmp_path) == (released / "0.0.9", released / "0.0.10")


def test_stored_responses_are_read_page_by_page(database: Database) -> None:
    intake = create_intake(IntakeSettings(intake_database_url=database.intake_url))  # type: ignore[arg-type]
    with served(intake) as url:
        with httpx.Client(base_url=url, trust_env=False) as ehr:
            for number in range(5):
                body = a_response(patient=f"p-{number}", identifier=f"form-{number}")
                kind = {"Content-Type": "application/fhir+json"}
                answer = ehr.post("/fhir/QuestionnaireResponse", content=json.dumps(body), headers=kind)
                assert answer.status_code == 201, answer.text
        waiting = Waiting([posterior_lower_limb()])
        patients = list(waiting.stored(f"{url}/fhir", at_once=2))

    assert len({patient.name for patient in patients}) == 5
    assert waiting.left_out == []


def test_a_system_that_does_not_answer_is_said() -> None:
    with pytest.raises(StartError, match="Give the FHIR base of a running system"):
        list(Waiting([]).stored("http://127.0.0.1:1/fhir"))


# --- show ----------------------------------------------------------------------------------------


def test_show_writes_pages_and_says_where_to_begin(tmp_path: Path) -> None:
    result = pack("show", EXAMPLE, "--out", tmp_path / "pages")

    assert result.exit_code == 0
    assert result.stdout.startswith("9 pages written to ")
    assert (tmp_path / "pages" / "index.md").read_text().startswith("# Example\n")


def test_show_without_a_folder_prints_the_newest_shipped_pack() -> None:
    result = pack("show")

    assert result.exit_code == 0
    assert result.stdout.startswith("# Pain behind the knee, in the calf and behind the ankle\n")
    assert "\n# Red flags\n" in result.stdout


def test_show_of_a_pack_that_does_not_load_says_everything_that_is_wrong(tmp_path: Path) -> None:
    edited(tmp_path, "red_flags.toml", ('when = "chest_pain"', 'when = "chest"'))
    result = pack("show", edited(tmp_path, "texts.en.toml", ('"RFX-28"', '"RFX-29"')))

    assert isinstance(result.exception, StartError)
    assert "RFX-01: column 1: unknown fact 'chest'" in str(result.exception)
    assert "'RFX-28' is missing" in str(result.exception)
