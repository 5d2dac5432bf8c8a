"""The verb `query`.

In: a name or SQL. Out: rows on stdout or in a file.
Never knows: how tables came about.
"""
