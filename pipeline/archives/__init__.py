"""Dumps and recordings that people kept, to raw parts.

In: files of JSON, lines, HAR, compressed or not. Out: walks of runs and steps in raw parts; what was not recognised,
by file, line and reason.
Never knows: the network, the warehouse.
"""
