# SPDX-License-Identifier: BSD-3-Clause
"""What the peers' workers share: jobs come one a line (`decode 512 64`), each is answered with one
line of JSON, as xlens_worker does.

usage: NAME_worker.py MODEL IDS THREADS
"""

import json
import sys
import time
from pathlib import Path

TOLD = 16  # every how many vectors or positions an answer tells what came out
REPEATS = 20  # of an unembedding

MODEL, THREADS = sys.argv[1], int(sys.argv[3])
FOLDER = Path(sys.argv[2]).parent  # for what is written
IDS = [int(word) for word in Path(sys.argv[2]).read_text().split()]


class Stopwatch:
    """with Stopwatch() as watch: ...; watch.seconds"""

    def __enter__(self):
        self.start = time.perf_counter()
        return self

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.start


def answer(seconds, ids=(), **values):
    flat = {name: [float(x) for x in numbers] for name, numbers in values.items()}
    return {"seconds": seconds, "ids": [int(i) for i in ids], "values": flat}


def serve(**jobs):
    for line in sys.stdin:
        name, *numbers = line.split()
        print(json.dumps(jobs[name](*map(int, numbers))), flush=True)
