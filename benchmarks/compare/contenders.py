# SPDX-License-Identifier: BSD-3-Clause
"""Those who do the jobs, as processes: workers that stay, and whole programs."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import models

HERE = Path(__file__).resolve().parent
TUNING = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GGML_", "ONEDNN_", "DNNL_")


def environment(threads, patient=False):
    """This one's, without what tunes or slows a library; only the number of threads is set, and
    that they wait without spinning if they are to be `patient`."""
    out = {k: v for k, v in os.environ.items() if not k.startswith(TUNING)}
    for name in ("OMP", "OPENBLAS", "MKL"):
        out[f"{name}_NUM_THREADS"] = str(threads)
    if patient:
        out["OMP_WAIT_POLICY"] = "passive"
    # Nothing is asked of a network, and no bars are drawn.
    return out | {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore"}


class Failed(Exception):
    """A contender has no answer; the text says why."""


def end_with_parent():
    """A stopped worker would never see that nobody asks any more."""
    set_signal_at_parents_death = 1
    ctypes.CDLL(None).prctl(set_signal_at_parents_death, signal.SIGKILL)


# An answer's "seconds" are those of the work, on the clock; "processor" is the time of all threads
# of the process meanwhile.


class Worker:
    """Reads jobs, answers in JSON. Stopped by a signal while others work, so that it waits without
    spinning."""

    def __init__(self, command, env):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            preexec_fn=end_with_parent,
        )

    def ask(self, job):
        before = self.processor()
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
        answer["processor"] = self.processor() - before
        self.process.send_signal(signal.SIGSTOP)
        return answer

    def peak_rss_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def processor(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        user, system = int(fields[11]), int(fields[12])
        return (user + system) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.kill()
        self.process.communicate()


class Program:
    """Runs a whole process for every job, `command(job)`. It may print JSON with the "ids" that it
    made."""

    def __init__(self, command, env):
        self.command, self.environment = command, env

    def ask(self, job):
        process = subprocess.run(
            [*script("one_program.py"), *self.command(job)], stdout=subprocess.PIPE, text=True,
            env=self.environment, check=True,
        )
        answer = json.loads(process.stdout)
        if answer["failed"]:
            raise Failed(answer["failed"].splitlines()[-1])
        ids = json.loads(answer["out"]).get("ids", []) if answer["out"] else []
        return answer | {"ids": ids, "values": {}}

    def close(self):
        pass


def script(name):
    return [sys.executable, str(HERE / name)]


def program(who, folder, model, threads):
    """The command of a whole program, of the job."""
    if who.kind not in ("xlens", "examples", "perplexity"):
        return lambda text: [*script(f"first_token_{who.kind}.py"), model, str(threads), text]
    xlens = str(folder / "xlens" / "xlens")
    flags = ["--threads", str(threads)]
    if who.kind == "xlens":
        flags += ["--json", "-n", "1"]
        return lambda prompt: [
            xlens, "generate", model, *flags, "--ids" if prompt[0].isdigit() else "--prompt", prompt
        ]
    flags += ["--window", "512"]
    if who.kind == "examples":
        flags += ["--all", "-o", str(folder / "examples.jsonl")]
    else:
        flags += ["--json"]
    return lambda tokens: [
        xlens, who.kind, model, *flags, "--file", models.text(int(tokens), folder)
    ]


def start(who, folder, q4, threads, patient):
    """A contender for a Who of rows.py; a `patient` one's threads wait without spinning."""
    model = str(models.path(who.model, folder, q4))
    env = environment(threads, patient)
    if who.whole:
        return Program(program(who, folder, model, threads), env)
    ids = str(models.ids(who.model, folder))
    if who.kind == "xlens":
        worker = folder / "xlens" / "benchmarks" / "compare" / "xlens_worker"
        command = [str(worker), model, ids, str(threads), who.precision]
    else:
        command = [*script(f"{who.kind}_worker.py"), model, ids, str(threads)]
    return Worker(command, env)
