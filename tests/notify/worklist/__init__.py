"""The worklist and what all pages share."""
