"""The protocol as servers really speak it: objects, pages, cursors, kinds of servers as data; pure.

In: bytes and values of a server's answer. Out: typed structs, walks along cursors, endpoints.
Never knows: how an answer was fetched, where it is kept, what DuckDB is.
"""
