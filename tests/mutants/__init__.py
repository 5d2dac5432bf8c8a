"""Faults planted into the product on purpose, each with the tests that must catch it: `make mutants`."""
