"""What a service of our kind would be without us: FastAPI, fhir.resources for the checks, a table in PostgreSQL.

    uvicorn plain:app; PEERS_DATABASE_URL names the database.

The bytes are stored as they came: writing the model out again would take longer than reading it.
"""

import os
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from fhir.resources.R4B.questionnaireresponse import QuestionnaireResponse
from psycopg_pool import ConnectionPool
from pydantic import ValidationError

POOL = ConnectionPool(os.environ["PEERS_DATABASE_URL"], min_size=4, max_size=8, kwargs={"autocommit": True}, open=True)
with POOL.connection() as start:
    start.execute("CREATE TABLE IF NOT EXISTS plain (id uuid PRIMARY KEY, at timestamptz DEFAULT now(), body jsonb)")

app = FastAPI()


@app.post("/QuestionnaireResponse")
async def create(request: Request) -> Response:
    """Check and store."""
    body = await request.body()
    return await run_in_threadpool(check_and_store, body)


def check_and_store(body: bytes) -> Response:
    """201, or 400 with what is wrong."""
    try:
        QuestionnaireResponse.model_validate_json(body)
    except ValidationError as error:
        problems = [{"severity": "error", "code": "invalid", "diagnostics": each["type"]} for each in error.errors()]
        return JSONResponse({"resourceType": "OperationOutcome", "issue": problems}, 400)
    new_id = uuid4()
    with POOL.connection() as connection:
        connection.execute("INSERT INTO plain (id, body) VALUES (%s, %s)", (new_id, body.decode()))
    return Response(status_code=201, headers={"Location": f"QuestionnaireResponse/{new_id}"})
