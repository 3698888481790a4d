"""Stand-ins for the outside world; for the sandbox only."""
