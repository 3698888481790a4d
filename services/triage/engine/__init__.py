"""The triage engine: pure, standard library only, and without a single clinical fact of its own."""
