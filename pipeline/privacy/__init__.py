"""What may stay of contents, what is hashed in its place, and who was forgotten.

In: JSON values, a key, thread ids. Out: the same values with texts hidden by rule; a record of hashes.
Never knows: where contents come from or go.
"""
