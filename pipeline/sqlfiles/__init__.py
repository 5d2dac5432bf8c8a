"""The SQL that ships with the package, a DuckDB connection, tables and views made from it, the price book.

In: `sql/` and `data/prices.csv`, a connection. Out: tables, views, named queries and checks with what their headers
declare; frames and results.
Never knows: raw parts, servers, the command line.
"""
