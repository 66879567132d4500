# SPDX-License-Identifier: BSD-3-Clause
"""Runs a command, and says in JSON what it printed and took.

usage: COMMAND...
A process of its own, and a small one: Linux counts what the parent had in memory as a child's peak.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

with tempfile.TemporaryFile("w+") as errors:
    start = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=errors, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    errors.seek(0)
    failed = errors.read().strip() or "failed" if status else ""
print(
    json.dumps(
        {
            "failed": failed,
            "out": out,
            "seconds": seconds,
            "processor": usage.ru_utime + usage.ru_stime,
            "peak_rss_mb": usage.ru_maxrss / 1024,
        }
    )
)
