"""How soon the package and its command line answer: import and --help, in new processes.

    python benchmarks/start.py

Prints the median of several runs of each, and whether torch was loaded.
"""

import subprocess
import sys
import time
from statistics import median

RUNS = 7
CODE = {
    "import spatialembed": "import spatialembed, sys; print('torch' in sys.modules)",
    "spatialembed --help": (
        "import sys, contextlib, io\n"
        "from spatialembed.cli.main import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main(['--help'])\n"
        "print('torch' in sys.modules)"
    ),
    "python alone": "print(False)",
}

for name, code in CODE.items():
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    torch = "with torch" if done.stdout.strip() == b"True" else "without torch"
    print(f"{name:22} {median(seconds):.2f} s (median of {RUNS}), {torch}")
