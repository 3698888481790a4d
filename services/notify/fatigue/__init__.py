"""Against fatigue: a budget of messages per person, a daily digest, and what is measured."""
