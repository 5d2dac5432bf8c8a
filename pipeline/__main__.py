"""`python -m pipeline`."""

import sys

if __name__ == "__main__":
    # In here, because the processes of a fleet import this module again and need no command line.
    try:
        from pipeline.cli.main import main
    except ModuleNotFoundError as error:
        from pipeline.program import missing_package

        if (found := missing_package(error)) is None:
            raise
        print(f"error: {found}", file=sys.stderr)
        sys.exit(2)
    main()
