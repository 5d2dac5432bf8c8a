"""Which threads a sync takes.

In: arguments, files, SQL, the server's list, the warehouse's registry. Out: thread ids, once each, of one shard and
age.
Never knows: what is fetched of them.
"""
