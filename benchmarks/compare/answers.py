# SPDX-License-Identifier: BSD-3-Clause
"""Whether two answers are the same, and what to say of it."""

MOST = 0.99  # of ids in a long answer that must agree: neighbours in a ranking may be equal


def prefix(a, b):
    """How many ids agree from the start on."""
    for i, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return i
    return min(len(a), len(b))


def error(a, b):
    """The largest difference, relative to the largest of its kind."""
    worst = 0.0
    for name, numbers in a.items():
        size = max(map(abs, numbers))
        worst = max(worst, max(abs(x - y) for x, y in zip(numbers, b[name], strict=True)) / size)
    return worst


def compare(row, ours, theirs):
    """(as wanted?, what to say)"""
    if not row.alike:
        return True, "not compared"
    ids, other = ours["ids"], theirs["ids"]
    said, right = [], True
    if ids and row.job.startswith("decode"):
        same = prefix(ids, other)
        right = same == len(ids) or not row.exact
        said.append(f"first {same} of {len(ids)} tokens")
    elif ids:
        same = sum(x == y for x, y in zip(ids, other, strict=True))
        right = same >= MOST * len(ids) or not row.exact
        said.append(f"{same} of {len(ids)} ids")
    if ours["values"]:
        difference = error(ours["values"], theirs["values"])
        right = right and difference <= row.bound
        said.append(f"error {difference:.0e} (bound {row.bound:.0e})")
    return right, ", ".join(said)
