"""Who is told: people, teams, rotas and escalation policies, as one document per tenant, and the chains made of it."""
