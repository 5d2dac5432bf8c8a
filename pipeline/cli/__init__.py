"""The command line: options of each verb, errors as text and exit codes.

In: arguments. Out: one call of a verb, an exit code.
Never knows: how a verb does its work.
"""
