"""Who may do what: SMART scopes, what a request needs, tokens and the keys that sign them."""
