"""``python -m spatialembed`` is the command ``spatialembed``."""

import sys

from spatialembed.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
