"""`CapabilityStatement.rest.security`: how a client may sign in."""

from __future__ import annotations

from typing import Any

SERVICES = "http://terminology.hl7.org/CodeSystem/restful-security-service"
OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"


def security(public_url: str, *, tokens: bool) -> dict[str, Any]:
    """SMART Backend Services with the address of the token endpoint; without `tokens` the words that none is asked."""
    if not tokens:
        return {"description": "Sandbox: no access token is asked. Send test data only."}
    return {
        "extension": [
            {
                "url": OAUTH_URIS,
                "extension": [{"url": "token", "valueUri": f"{public_url.rstrip('/')}/auth/token"}],
            }
        ],
        "service": [
            {
                "coding": [{"system": SERVICES, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}],
                "text": "SMART Backend Services: client credentials with private_key_jwt (RS384, ES384)",
            }
        ],
        "description": "Every request but this one needs a Bearer token; see .well-known/smart-configuration.",
    }
