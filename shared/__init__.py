"""Technical vocabulary that at least two services use; no clinical or alerting judgement."""
