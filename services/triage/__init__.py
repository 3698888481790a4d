"""Triage: turns answers into an assessment that a clinician can check.

Every accepted version of a response ends in one current RiskAssessment, whatever the broker does and however often a
worker dies. The engine is pure, the clinical content is a pack of data, and what cannot be assessed is said so to a
human rather than dropped. Nothing that is learned later lowers a red flag.
"""
