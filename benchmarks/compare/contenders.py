# SPDX-License-Identifier: BSD-3-Clause
"""Those who do the jobs, as processes: workers that stay, and whole programs."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import models

HERE = Path(__file__).resolve().parent
TUNING = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GGML_", "ONEDNN_", "DNNL_")


def environment(threads):
    """This one's, without what tunes or slows a library; only the number of threads is set."""
    out = {k: v for k, v in os.environ.items() if not k.startswith(TUNING)}
    for name in ("OMP", "OPENBLAS", "MKL"):
        out[f"{name}_NUM_THREADS"] = str(threads)
    # Nothing is asked of a network, and no bars are drawn.
    return out | {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore"}


class Failed(Exception):
    """A contender has no answer; the text says why."""


def end_with_parent():
    """A stopped worker would never see that nobody asks any more."""
    set_signal_at_parents_death = 1
    ctypes.CDLL(None).prctl(set_signal_at_parents_death, signal.SIGKILL)


class Worker:
    """Reads jobs, answers in JSON. Stopped by a signal while others work, so that it waits without
    spinning."""

    def __init__(self, command, threads):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(threads),
            preexec_fn=end_with_parent,
        )

    def ask(self, job):
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(job + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # what it said last tells why
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"{job}: the worker ended without an answer")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        answer["peak_rss_mb"] = self.peak_rss_mb()
        self.process.send_signal(signal.SIGSTOP)
        return answer

    def peak_rss_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def close(self):
        self.process.kill()
        self.process.communicate()


class Program:
    """Runs a whole process for every job. It prints JSON with the "ids" that it made."""

    def __init__(self, command, threads):
        self.command, self.environment = command, environment(threads)

    def ask(self, job):
        start = time.perf_counter()
        process = subprocess.Popen(
            [*self.command, job], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.environment,
        )
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            raise Failed((process.stderr.read().strip() or "failed").splitlines()[-1])
        ids = json.loads(out)["ids"]
        return {"seconds": seconds, "ids": ids, "values": {}, "peak_rss_mb": usage.ru_maxrss / 1024}

    def close(self):
        pass


def start(who, folder, q4, threads):
    """A contender for a Who of rows.py."""
    model = str(models.path(who.model, folder, q4))
    build = folder / "xlens"
    ids = str(models.ids(who.model, folder))
    script = lambda name: [sys.executable, str(HERE / name)]
    if who.whole:
        if who.kind == "xlens":
            read = "--ids" if who.model.startswith("random/") else "--prompt"
            flags = ["--threads", str(threads), "--json", "-n", "1", read]
            command = [str(build / "xlens"), "generate", model, *flags]
        else:
            command = [*script(f"first_token_{who.kind}.py"), model, str(threads)]
        return Program(command, threads)
    if who.kind == "xlens":
        worker = build / "benchmarks" / "compare" / "xlens_worker"
        command = [str(worker), model, ids, str(threads), who.precision]
    else:
        command = [*script(f"{who.kind}_worker.py"), model, ids, str(threads)]
    return Worker(command, threads)
