# SPDX-License-Identifier: BSD-3-Clause
"""What the figures depend on: the machine, the versions, the commit."""

import datetime
import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path

import numpy  # noqa: F401: brings the OpenBLAS that is looked up
import threadpoolctl

ROOT = Path(__file__).resolve().parents[2]
EXTENSIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
PEERS = ("torch", "transformers", "transformer-lens", "llama-cpp-python", "numpy", "gguf")


def output(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def field(name):
    """What the system says of the first processor."""
    text = Path("/proc/cpuinfo").read_text()
    return re.search(rf"^{name}\s*: (.*)$", text, re.M).group(1)


def flags():
    return field("flags").split()


def processor():
    return f"{field('model name')}, {', '.join(e for e in EXTENSIONS if e in flags())}"


def memory():
    kilobytes = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text()).group(1))
    return f"{kilobytes / 2**20:.0f} GiB"


def openblas():
    for library in threadpoolctl.threadpool_info():
        if library["internal_api"] == "openblas":
            return f"OpenBLAS {library['version']} with its {library['architecture']} kernels"
    return "no OpenBLAS"


def commit():
    name = output("git", "describe", "--always", "--abbrev=10").strip()
    return name + ("" if not output("git", "status", "--porcelain", "include") else " and changes")


def version(name):
    """Rows of other peers can be measured without one."""
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {name}"


def facts(threads):
    """What all rows of a machine have in common."""
    cores = len(Path("/proc/cpuinfo").read_text().split("\nprocessor"))
    versions = [version(name) for name in PEERS]
    return {
        "machine": f"{cores} × {processor()}; {memory()}; Linux {platform.release()}",
        "compiler": output("g++", "--version").splitlines()[0],
        "versions": f"{', '.join(versions)}; {openblas()}; Python {platform.python_version()}",
        "threads": threads,
        "extensions": "avx512" if "avx512f" in flags() else "avx2",  # what is wanted depends on it
    }


def run(rounds, processor_time):
    """Of which run a result is: those of one machine may come from several."""
    day = datetime.date.today().isoformat()
    time = ", processor time of all threads" if processor_time else ""
    return f"{day}, commit {commit()}, rounds: {rounds}{time}"
