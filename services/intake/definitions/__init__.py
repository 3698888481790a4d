"""What intake publishes about the whole base, as tables and the resources that are made of them.

Profiles and extensions, search parameters of our own, operations, identifier systems. Terminology is triage's.
"""
