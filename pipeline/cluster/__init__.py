"""More processes, more machines: shares of an extraction or of archives, on this machine or on Ray.

In: an assignment. Out: the same raw parts as one process would land.
Never knows: what a person is told.
"""
