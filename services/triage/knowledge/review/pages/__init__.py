"""A pack as pages of Markdown, for people who read it rather than TOML."""
