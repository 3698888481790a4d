"""Tables that held much, of which nothing is left: what the planner makes of them it keeps."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from tests.conftest import Database, empty

SIZES = range(15, 135, 15)
"""An index of as many scattered ids may be a level higher than another one, which then seems cheaper for a few rows."""


def delete_much(database: Database, tables: Sequence[str], fill: str) -> None:
    """Fill tables with `fill`, which makes rows of the default tenant, and delete them after the planner saw them."""
    names = ", ".join(tables)
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(f"VACUUM FULL {names}".encode())  # what earlier tests left
        with owner.transaction():
            owner.execute(fill.encode())
        owner.execute(f"VACUUM ANALYZE {names}".encode())
    empty(database.owner_url)
