"""How Sural is put together and run: on one machine, in the sandbox, in containers."""
