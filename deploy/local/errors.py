"""What the operator is told when this machine cannot run Sural."""

from __future__ import annotations


class StartError(Exception):
    """Something cannot start. `message` says what was found, `remedy` what to do; a sentence each."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy
