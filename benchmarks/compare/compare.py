# SPDX-License-Identifier: BSD-3-Clause
"""Measures xlens and its peers by turns. Started by `run`, which prepares what it needs."""

import argparse
import json
import re
import statistics
import sys
from pathlib import Path

import machine
import plot
import report
import store
from answers import compare
from contenders import Failed, start
from rows import ALL, GROWTH, QUICK, ROWS


def say(text):
    print(text, file=sys.stderr, flush=True)


def spread(numbers):
    return {"min": min(numbers), "median": statistics.median(numbers), "max": max(numbers)}


def turns(row, ours, theirs, options):
    """What the turns of both give, after one for warming up."""
    pairs = []
    for turn in range(options.rounds + row.warmed):
        pair = (ours.ask(row.job), theirs.ask(row.peer_job or row.job))
        if turn >= row.warmed:
            pairs.append(pair)
    right, said = compare(row, *pairs[-1])
    time = "processor" if options.processor else "seconds"
    timed = [(a[time], b[time] * row.peer_part) for a, b in pairs]
    return {
        "xlens": statistics.median(row.figure(a) for a, _ in timed),
        "peer": statistics.median(row.figure(b) for _, b in timed),
        "ratio": spread([b / a for a, b in timed]),
        "rss": [max(p[side]["peak_rss_mb"] for p in pairs) for side in (0, 1)],
        "right": right,
        "same": said,
    }


def measure(row, options):
    """A row's result, or {"missing": why}."""
    threads = row.threads or options.threads
    running = []
    try:
        for who in (row.xlens, row.peer):
            running.append(start(who, options.folder, options.model, threads, options.processor))
        result = turns(row, *running, options)
    except Failed as why:
        result = {"missing": str(why)}
    finally:
        for contender in running:
            contender.close()
    say(f"{row.name:26} {line(row, result)}")
    return result


def line(row, result):
    if "missing" in result:
        return f"not measured: {result['missing']}"
    ratio = result["ratio"]
    return (
        f"xlens {result['xlens']:.4g} {row.unit}, {row.peer_name} {result['peer']:.4g}; "
        f"{ratio['median']:.2f}× ({ratio['min']:.2f} to {ratio['max']:.2f}); "
        f"{'' if result['right'] else 'NOT THE SAME: '}{result['same']}"
    )


def chosen(names):
    """The rows of these names, and those of growths; all where none is named."""
    known = {row.name: [row] for row in ROWS}
    known |= {growth.name: [row for _, row in growth.steps] for growth in GROWTH}
    steps = {name: [row] for name, row in ALL.items()}
    for name in names:
        if name not in known | steps:
            sys.exit(f"compare: no row {name}; there are: {' '.join(known)}")
    out = dict.fromkeys(row for name in names or known for row in (known | steps)[name])
    # Those of one model together: of the large ones only one file is kept.
    order = list(dict.fromkeys(row.xlens.model for row in out))
    return sorted(out, key=lambda row: order.index(row.xlens.model))


def positive(word):
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {number}")
    return number


def machine_name(word):
    if not re.fullmatch("[a-z0-9_]+", word):
        raise argparse.ArgumentTypeError(f"expected a-z, 0-9 and _ alone, got {word}")
    return word


def parse():
    parser = argparse.ArgumentParser(prog="benchmarks/compare/run", description=__doc__)
    parser.add_argument("--rounds", type=positive, default=7, help="turns of each row (7)")
    parser.add_argument("--threads", type=positive, default=2, help="threads of everyone (2)")
    parser.add_argument(
        "--processor",
        action="store_true",
        help="for a busy machine: processor time of all threads, which wait without spinning, in "
        "the place of the clock's",
    )
    parser.add_argument(
        "--machine",
        type=machine_name,
        metavar="NAME",
        help="keep what is measured in benchmarks/compare/results/NAME.json, and write "
        "docs/performance.md and .svg from all machines' files",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"one round of {len(QUICK)} rows, in less than three minutes; nothing is kept",
    )
    parser.add_argument("--folder", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="what to measure; all by default")
    options = parser.parse_args()
    if options.quick:
        if options.machine or options.rows:
            parser.error("--quick goes with neither --machine nor ROWs")
        options.rounds, options.rows = 1, QUICK
    return options


def keep(row, result, options, facts):
    """In the folder of the build, and for good if the machine has a name."""
    kept = options.folder / "results.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    kept.write_text(json.dumps(results | {row.name: result}, indent=1))
    if options.machine:
        store.merge(options.machine, facts, {row.name: result})


def main():
    options = parse()
    facts = machine.facts(options.threads)
    if options.machine and (why := store.mismatch(options.machine, facts)):
        sys.exit(f"compare: {why}")
    run = {"run": machine.run(options.rounds, options.processor)}
    for row in chosen(options.rows):
        result = measure(row, options)
        if not options.quick:
            keep(row, result | run, options, facts)
    if options.machine:
        report.write(store.machines())
        plot.write(store.machines())


if __name__ == "__main__":
    main()
