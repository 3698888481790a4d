"""Making the rows of searches anew for what is stored already, when the search parameters of a type have changed."""

from __future__ import annotations

from uuid import UUID

import orjson

from shared.fhir.resources import QUERIES, unpacked
from shared.fhir.search_index import rows
from shared.fhir.search_parameters import PARAMETERS, edition
from shared.postgres import DictConnection, all_tenants, set_tenant


def reindex(owner_url: str, *, schema: str) -> list[str]:
    """Bring the rows of one schema up to date, as its owner, who sees all tenants; returns what was done.

    Resources may be stored meanwhile. What an interrupted run left out, the next one does.
    """
    done = []
    with all_tenants(owner_url, schema=schema) as connection:
        for resource_type in PARAMETERS:
            key = {"type": resource_type, "edition": edition(resource_type)}
            held = connection.execute(QUERIES["edition"], key).fetchone()
            if held is None or held["edition"] != key["edition"]:
                if number := _index_type(connection, resource_type):
                    done.append(f"{number} {resource_type} indexed")
                connection.execute(QUERIES["note_edition"], key)
    return done


def _index_type(connection: DictConnection, resource_type: str) -> int:
    """Index all current resources of a type, some hundred at a time; returns how many there are."""
    number, after_tenant, after_id = 0, UUID(int=0), ""
    while True:
        place = {"type": resource_type, "after_tenant": after_tenant, "after_id": after_id}
        with connection.transaction():
            found = connection.execute(QUERIES["current_bodies"], place).fetchall()
            for row in found:
                index = rows(orjson.loads(unpacked(row["body"]))).as_json()
                set_tenant(connection, row["tenant_id"])
                key = {"tenant_id": row["tenant_id"], "type": resource_type, "id": row["id"]}
                connection.execute(QUERIES["index"], key | {"rows": index, "anew": True})
        if not found:
            return number
        number, after_tenant, after_id = number + len(found), found[-1]["tenant_id"], found[-1]["id"]
