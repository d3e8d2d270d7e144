"""`python -m benchmarks.servers` runs the comparison, like `make bench ARGS=servers`."""

import sys

from benchmarks.servers.comparison import main

if __name__ == "__main__":
    sys.exit(main())
