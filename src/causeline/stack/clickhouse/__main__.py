"""`python -m causeline.stack.clickhouse`: serve until SIGTERM. Exit codes as in causeline.schemas.errors."""

import sys

from causeline.stack.clickhouse.server import main

if __name__ == "__main__":
    sys.exit(main())
