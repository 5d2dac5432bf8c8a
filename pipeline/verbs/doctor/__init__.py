"""The verb `doctor`: everything that a sync needs, looked at, one line each.

In: settings, a data folder. Out: findings with what to do about them.
Never knows: how to mend by itself.
"""
