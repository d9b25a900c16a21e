"""`python -m benchmarks`."""

import sys

if __name__ == "__main__":
    try:
        # Here, as it takes a second, in which somebody may interrupt.
        from benchmarks.command import main

        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
