"""One module per competitor, each run as a child process."""
