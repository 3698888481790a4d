"""FHIRStarter with the handler that its documentation asks for: the checked model is stored in PostgreSQL.

uvicorn fhirstarter_app:app; PEERS_DATABASE_URL names the database, FHIR_SEQUENCE is R4B.
"""

import os
from uuid import uuid4

from fhir.resources.R4B.questionnaireresponse import QuestionnaireResponse
from fhirstarter import FHIRProvider, FHIRStarter, InteractionContext  # type: ignore[import-not-found]
from psycopg_pool import ConnectionPool

POOL = ConnectionPool(os.environ["PEERS_DATABASE_URL"], min_size=4, max_size=8, kwargs={"autocommit": True}, open=True)
with POOL.connection() as start:
    start.execute("CREATE TABLE IF NOT EXISTS starter (id uuid PRIMARY KEY, at timestamptz DEFAULT now(), body jsonb)")

app = FHIRStarter()
provider = FHIRProvider()


@provider.create(QuestionnaireResponse)  # type: ignore[untyped-decorator]
def create(context: InteractionContext, resource: QuestionnaireResponse) -> str:
    """Store what FHIRStarter has checked."""
    new_id = str(uuid4())
    with POOL.connection() as connection:
        connection.execute("INSERT INTO starter (id, body) VALUES (%s, %s)", (new_id, resource.model_dump_json()))
    return new_id


app.add_providers(provider)
