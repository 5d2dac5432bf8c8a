"""What a price is and why, repricing, budgets, and the provider's bills.

In: the warehouse, the price book, `budgets.toml`, bills. Out: explanations, breaches, new costs of ended runs, landed
bills.
Never knows: how runs were fetched.
"""
