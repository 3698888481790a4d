"""People who sign in: accounts, sessions, roles."""
