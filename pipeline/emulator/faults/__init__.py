"""Everything that can be made to go wrong with an answer, and when.

In: rules. Out: answers that are late, broken, wrong or lie.
Never knows: the product.
"""
