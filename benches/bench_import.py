"""What ``import podcore`` costs a fresh interpreter."""

import statistics
import subprocess
import sys
import time

# Seconds on top of an interpreter that imports nothing.
BUDGET = 0.025


def run(program):
    subprocess.run([sys.executable, "-I", "-c", program], check=True)


def test_import(benchmark):
    bare = []

    def measure_a_bare_interpreter():
        before = time.perf_counter()
        run("pass")
        bare.append(time.perf_counter() - before)

    benchmark.group = "import podcore in a new interpreter"
    benchmark.pedantic(
        run,
        args=("import podcore; assert podcore.Engine",),
        setup=measure_a_bare_interpreter,
        rounds=1 if benchmark.disabled else 20,
        warmup_rounds=0 if benchmark.disabled else 2,
    )

    benchmark.extra_info["subject"] = "podcore"
    benchmark.extra_info["budget"] = statistics.median(bare) + BUDGET
