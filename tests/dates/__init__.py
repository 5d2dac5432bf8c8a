"""The suite with the machine's calendar moved on, in every process that a test starts: `make test-dates`."""
