"""The verb `explain-change`: why one period cost more or less than another.

In: a warehouse, two periods. Out: the difference, its parts and its groups, as a table or as JSON.
Never knows: how the difference is taken apart.
"""
