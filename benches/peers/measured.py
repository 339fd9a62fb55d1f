"""Timing and the report of a peer, in the form of `macula bench … --json`."""
import json
import math
import resource
import sys
import time

# Exit code of a peer that is not installed.
MISSING = 3


def or_missing(main):
    """Runs `main`; without a package that it needs, ends with MISSING and its name."""
    try:
        main()
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(MISSING)


def timed(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def repeat(work, budget_s):
    """Durations in seconds: after three warm-ups at least 20, until the budget is spent."""
    for _ in range(3):
        work()
    start, durations = time.perf_counter(), []
    while len(durations) < 20 or (time.perf_counter() - start < budget_s and len(durations) < 10_000):
        durations.append(timed(work)[0])
    return durations


def percentiles(durations, scale):
    """By nearest rank, as Macula's own."""
    ordered = sorted(durations)
    of = lambda percent: ordered[max(math.ceil(percent * len(ordered) / 100), 1) - 1] * scale
    return {"p50": of(50), "p95": of(95), "p99": of(99)}


def peak_bytes():
    """Peak memory of this process, with Python."""
    # In KiB on Linux, in bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def report(**figures):
    print(json.dumps(figures))
