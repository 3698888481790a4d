"""`./sural faults`: a whole sandbox is broken in every way that this machine allows, and nothing may be lost.

A seed makes the plan (`plan.py`). Each fault meets a system under load (`workload.py`, `posting.py`); every acceptance
is kept in a ledger outside of it (`ledger.py`), receivers of our own take what it sends (`receivers.py`), and a robot
acknowledges as clinicians do (`robot.py`). After each fault the system must come to rest (`quiet.py`), and the judge
(`judge.py`) compares it with the ledger.
"""
