"""Figures as they are kept: median and spread of runs, beside what they ran on."""

import json
import os
import platform
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).parent / "results"


def keep(name: str, figures: Mapping[str, Any]) -> None:
    """Write a benchmark's figures with the machine's description to `benchmarks/results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({**figures, "machine": machine()}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def summary(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Median and spread of some runs."""
    rates = [run["records"] / run["wall_s"] for run in runs]
    return {
        "records": int(max(run["records"] for run in runs)),
        "runs": len(runs),
        "records_per_s": {
            "median": round(statistics.median(rates)),
            "min": round(min(rates)),
            "max": round(max(rates)),
        },
        "cpu_s": round(statistics.median(run["cpu_s"] for run in runs), 3),
        "peak_memory_mb": round(statistics.median(run["peak_memory_mb"] for run in runs), 1),
    }


def machine() -> dict[str, Any]:
    """What this ran on."""
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
    }
