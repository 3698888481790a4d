"""Who looks at notify's pages: people with accounts, and what their roles let them do."""
