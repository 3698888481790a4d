"""What the database lets each service do, table by table, compared with what was reviewed (golden/privileges.txt).

A change is made on purpose: run this test with SURAL_GOLDEN=write, and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import psycopg

from tests.conftest import Database

GOLDEN = Path(__file__).parent.parent / "golden" / "privileges.txt"
ROLES = ("sural_intake", "sural_triage", "sural_notify")
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")

MATRIX = """
SELECT c.relnamespace::regnamespace::text || '.' || c.relname AS name,
       CASE WHEN c.relforcerowsecurity THEN 'rows of a tenant' ELSE 'all rows' END AS rows,
       array(SELECT p.polname::text FROM pg_policy AS p WHERE p.polrelid = c.oid ORDER BY 1) AS policies,
       array(SELECT r || ' ' || v FROM unnest(%(roles)s::text[]) AS r, unnest(%(verbs)s::text[]) AS v
             WHERE has_table_privilege(r, c.oid, v)) AS granted
FROM pg_class AS c
WHERE c.relnamespace::regnamespace::text IN ('intake', 'triage', 'notify', 'public')
  AND c.relkind IN ('r', 'p', 'v', 'm')
ORDER BY 1
"""


def matrix(owner: psycopg.Connection) -> str:
    lines = []
    for name, rows, policies, granted in owner.execute(MATRIX, {"roles": list(ROLES), "verbs": list(VERBS)}).fetchall():
        by_role: dict[str, list[str]] = {}
        for one in granted:
            role, verb = one.split(" ")
            by_role.setdefault(role, []).append(verb)
        rights = "; ".join(f"{role}: {' '.join(verbs)}" for role, verbs in sorted(by_role.items())) or "nobody"
        kind = "ids and states of all tenants" if "across_tenants" in policies else rows
        lines.append(f"{name} ({kind}): {rights}")
    return "\n".join(lines) + "\n"


def test_each_service_may_do_what_was_reviewed_and_nothing_more(migrated: Database) -> None:
    with psycopg.connect(migrated.owner_url) as owner:
        found = matrix(owner)
    if os.environ.get("SURAL_GOLDEN") == "write":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_no_service_has_any_right_in_the_schema_of_another(migrated: Database) -> None:
    with psycopg.connect(migrated.owner_url) as owner:
        for line in matrix(owner).splitlines():
            schema = line.partition(".")[0]
            assert set(ROLES) & {word.rstrip(":") for word in line.split()} <= {f"sural_{schema}"}, line
        for role in ROLES:
            for schema in ("intake", "triage", "notify", "public"):
                [(usage, create)] = owner.execute(
                    "SELECT has_schema_privilege(%(r)s, %(s)s, 'USAGE'), has_schema_privilege(%(r)s, %(s)s, 'CREATE')",
                    {"r": role, "s": schema},
                ).fetchall()
                assert (usage, create) == (role == f"sural_{schema}", False), (role, schema)
