"""Real FHIR clients, as their users get them."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.environments import Environment

KIT_CLIENT = Environment(Path(__file__).resolve().parent, "walk.mjs")
"""fhir-kit-client under Node; walk.mjs is the program that uses it."""
