"""Who may import whom. The table is the house rule; ARCHITECTURE.md says why."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("intake", "triage", "notify")

DOORS = {
    "argon2": {"services.notify.sign_in.password"},
    "authlib": {"services.notify.sign_in.oidc"},
    "pyotp": {"services.notify.sign_in.totp"},
    "segno": {"services.notify.sign_in.totp", "services.intake.pages"},
    "fhir": {"shared.fhir.r4"},
    "re2": {"services.intake.patterns"},
    "celery": {
        "shared.broker",
        "shared.canary",
        "shared.command_line",
        *(f"services.{name}.{module}" for name in SERVICES for module in ("worker", "__main__")),
    },
    "kombu": {"shared.broker"},
    "redis": {"shared.broker"},
    "psycopg": {
        "shared.postgres",
        "shared.outbox",
        "shared.relay",
        "shared.jobs",
        "shared.loop_connection",
        "shared.canary",
        "shared.fhir.resources",
        "shared.fhir.search_sql",
        *(f"services.{name}.store" for name in SERVICES),
    },
    "psycopg_pool": {"shared.postgres", "shared.jobs"},
    "joserfc": {"shared.access.jose"},
    "httpcore": {"shared.outbound"},
    "apprise": {"services.notify.channels.apprise"},
    "fastapi": {
        "shared.description",
        "shared.fhir.http",
        "shared.fhir.rest",
        "shared.operations",
        "shared.service_app",
        "shared.audit.api",
        *(f"services.{name}.{module}" for name in SERVICES for module in ("app", "api", "pages")),
        # operations, one module each, so that api.py stays a list of interactions
        "services.intake.quarantine_api",
        "services.intake.questionnaire_api",
        "services.intake.registrations_api",
        "services.intake.operations_api",
        "services.intake.bundle_api",
        "services.intake.follow_up_api",
        "services.intake.definitions.api",
        "services.triage.operations_api",
        "services.triage.terminology_api",
        "services.notify.page",
        "services.notify.sign_in.opening",
    },
}
"""Library to the only modules of services and shared that may import it."""

ROOM_DOORS = {"psycopg": ("store",), "fastapi": ("pages", "api")}
"""Library to the names of the modules that may import it in any room of a service (`services.notify.on_call.store`)."""

PURE = ("services.triage.engine", "services.notify.alert", "services.notify.escalation")
"""Modules that import only the standard library, themselves, and one another."""


def modules(*roots: str) -> list[tuple[str, Path]]:
    """Dotted name and file of every module below these folders."""
    found = []
    for root in roots:
        for path in sorted((ROOT / root).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def imports(path: Path) -> set[str]:
    """Every module that this file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def violations(module: str, imported: set[str]) -> list[str]:
    """Sentences about what this module must not import."""
    found = []
    for name in sorted(imported):
        if within(module, "shared") and within(name, "services"):
            found.append(f"{module} imports {name}: shared never imports a service")
        for service in SERVICES:
            if within(name, f"services.{service}") and within(module, "services"):
                own = within(module, f"services.{service}")
                if not own:
                    found.append(f"{module} imports {name}: services do not import each other")
        if within(module, "services") or within(module, "shared"):
            if within(name, "deploy") or within(name, "tests"):
                found.append(f"{module} imports {name}: nothing imports deploy or tests")
            library = name.partition(".")[0]
            room_door = within(module, "services") and module.rpartition(".")[2] in ROOM_DOORS.get(library, ())
            if library in DOORS and module not in DOORS[library] and not room_door:
                found.append(f"{module} imports {name}: {library} has one door, {', '.join(sorted(DOORS[library]))}")
        for pure in PURE:
            if within(module, pure):
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and not any(within(name, other) for other in PURE):
                    found.append(f"{module} imports {name}: this part is pure, standard library only")
    return found


@pytest.mark.parametrize(("module", "path"), modules("services", "shared"), ids=lambda value: str(value))
def test_every_module_keeps_to_the_import_rules(module: str, path: Path) -> None:
    assert violations(module, imports(path)) == []


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("services.triage.api", "services.notify.api"),
        ("services.triage.engine.scores", "fastapi"),
        ("services.triage.engine.scores", "shared.problems"),
        ("services.notify.alert", "shared.postgres"),
        ("shared.jobs", "services.intake.store"),
        ("services.intake.receive", "psycopg"),
        ("services.intake.api", "deploy.local.web"),
        ("services.intake.conformance", "fhir.resources.R4B"),
    ],
)
def test_a_planted_violation_is_found(module: str, imported: str) -> None:
    assert violations(module, {imported}) != []


@pytest.mark.parametrize(
    "folder", sorted({path.parent for _, path in modules("services", "shared", "deploy", "tests")}), ids=str
)
def test_every_folder_with_python_files_is_a_package(folder: Path) -> None:
    assert (folder / "__init__.py").exists()
