"""Where somebody goes after signing in: only to pages of ours (CWE-601)."""

from __future__ import annotations

import re

HOME = "/worklist"
_OURS = re.compile(r"/(worklist|submission)([/?#][!-\[\]-~]{0,600})?")
"""Printable ASCII without spaces and without the backslash, which some browsers take for a slash."""


def way_back(wanted: str) -> str:
    """The path if it is one of our pages and not a step of the sign-in; else the worklist. Without the public base."""
    if _OURS.fullmatch(wanted) is None or wanted.startswith(("/worklist/sign-in", "/worklist/sign-out")):
        return HOME
    return wanted
