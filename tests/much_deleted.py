"""Tables that held much, of which nothing is left: what the planner makes of them it keeps."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from shared.ids import DEFAULT_TENANT
from tests.conftest import Database

SIZES = range(15, 135, 15)
"""An index of as many scattered ids may be a level higher than another one, which then seems cheaper for a few rows."""


def delete_much(database: Database, tables: Sequence[str], fill: str) -> None:
    """Fill tables with `fill`, which makes rows of the default tenant, and delete them after the planner saw them.

    `tables`: those that others refer to first.
    """
    names = ", ".join(tables)
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(f"VACUUM FULL {names}".encode())  # what earlier tests left
        with owner.transaction():
            owner.execute(fill.encode())
        owner.execute(f"VACUUM ANALYZE {names}".encode())
        with owner.transaction():
            for table in reversed(tables):
                owner.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE TRIGGER USER".encode())
                owner.execute(f"DELETE FROM {table} WHERE tenant_id = '{DEFAULT_TENANT}'".encode())
                owner.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY, ENABLE TRIGGER USER".encode())
