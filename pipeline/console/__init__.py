"""Tables and texts as a person likes to read them.

In: frames and texts of others. Out: lines for a terminal, cells for a spreadsheet, nothing that either would obey.
Never knows: where the values come from.
"""
