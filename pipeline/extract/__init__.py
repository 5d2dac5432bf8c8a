"""What is left to fetch of each thread, and fetching it.

In: thread ids, what the warehouse knows of them, a client. Out: finished walks, landed as they end.
Never knows: tables and SQL, but for the plan.
"""
