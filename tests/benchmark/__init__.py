"""Measurements against a running system; run by hand, never as tests."""
