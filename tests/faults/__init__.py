"""The fault matrix: ways in which a server or a machine fails, at every stage of a sync; `python -m tests.faults`."""
