"""One GET with credentials, retries, pace and bounds; all of httpx, libcurl and TLS.

In: an endpoint, a path, limits. Out: one answer whole, or an error that says what the server did and what to do.
Never knows: runs and steps, the disk, the warehouse.
"""
