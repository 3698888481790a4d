"""Intake: receives answers and promises not to lose them.

A QuestionnaireResponse is either refused with every reason at once, or stored byte for byte in one transaction with
the note that triage must hear of it. A 201 means that it is durable. The same response sent twice is stored once.
Intake holds the Questionnaires and judges responses against them; it draws no clinical conclusion.
"""
