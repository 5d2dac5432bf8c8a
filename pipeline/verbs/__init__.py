"""What each verb does and tells a person.

In: settings and what was asked. Out: results on stdout, progress and reasons on stderr, an exit code.
Never knows: options and their spelling.
"""
