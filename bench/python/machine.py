"""What a number is worth nothing without: the machine, the versions, the date."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

from clients import shared_place


def cpu() -> str:
    """Name the CPU."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def load() -> str:
    """Say how busy the machine is, which nobody else should make it."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def heading() -> str:
    """Give the head of a report."""
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    packages = ", ".join(f"{name} {version(name)}" for name in ("prometheus_client", "tallymark"))
    return (
        f"# {time.strftime('%Y-%m-%d')}, {cpu()}\n\n"
        f"{os.cpu_count()} cores, {system}, {platform.python_implementation()}"
        f" {platform.python_version()}; {packages}. Shared files in"
        f" {'memory' if shared_place() == '/dev/shm' else 'a temporary directory'}."
        f" When it began: {load()}."
    )
