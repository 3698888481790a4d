"""Free text as it is compared with words."""

from __future__ import annotations

import re
import unicodedata

_APOSTROPHES = str.maketrans({"‘": "'", "’": "'", "`": "'", "´": "'"})


def plain_text(text: str) -> str:
    """Lower case, straight apostrophes, single spaces in place of all other punctuation, and one at either end."""
    straight = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).casefold()
    words = " ".join(re.findall(r"[\w']+", straight))
    return f" {words} "
