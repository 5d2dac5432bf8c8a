"""`python -m pipeline`."""

if __name__ == "__main__":
    # In here, because the processes of a fleet import this module again and need no command line.
    from pipeline.cli.main import main

    main()
