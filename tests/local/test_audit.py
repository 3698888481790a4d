"""`./sural audit verify` on a database that was tampered with, and on one that was not."""

from __future__ import annotations

import psycopg
import pytest

from deploy.local.audit import show, verify_all
from deploy.local.errors import StartError
from shared.audit.act import Act, Asker, Interaction, record
from shared.ids import DEFAULT_TENANT
from shared.postgres import open_pool, tenant_transaction
from tests.conftest import Database


@pytest.fixture
def variables(database: Database) -> dict[str, str]:
    for service in ("intake", "notify"):
        with (
            open_pool(getattr(database, f"{service}_url"), schema=service) as pool,
            tenant_transaction(pool, DEFAULT_TENANT) as connection,
        ):
            record(connection, DEFAULT_TENANT, Act(Interaction.READ, "Task", id="t-1"), Asker("ehr-1"))
    return {
        "SURAL_INTAKE_DATABASE_URL": database.intake_url,
        "SURAL_TRIAGE_DATABASE_URL": database.triage_url,
        "SURAL_NOTIFY_DATABASE_URL": database.notify_url,
    }


def test_a_whole_audit_is_said_to_be_whole_with_its_heads(
    variables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(verify_all(variables, []))

    lines = capsys.readouterr().out.splitlines()
    assert [line.split("/")[0] for line in lines] == ["intake", "notify"]
    assert all(line.endswith("1 events, whole") for line in lines)
    assert show(verify_all(variables, [line.split(" ")[0] for line in lines]))


def test_a_changed_event_is_named(
    variables: dict[str, str], database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(verify_all(variables, []))
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE notify.audit_event DISABLE TRIGGER USER")
        owner.execute("UPDATE notify.audit_event SET agent = 'somebody else'")
        owner.execute("ALTER TABLE notify.audit_event ENABLE TRIGGER USER")

    assert not show(verify_all(variables, []))
    assert "was changed" in capsys.readouterr().out


def test_a_head_that_cannot_be_read_is_refused(variables: dict[str, str]) -> None:
    with pytest.raises(StartError, match="no head"):
        list(verify_all(variables, ["intake=1:2"]))
