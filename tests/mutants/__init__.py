"""Proof that the tests bite: the system is broken on purpose, one way at a time, and a named test must notice.

`python -m tests.mutants` breaks a copy of the tree, runs the one test and writes docs/mutants.md. It takes minutes, so
it is no part of the daily run; a cheap test there checks that each break still applies and each named test exists.
"""
