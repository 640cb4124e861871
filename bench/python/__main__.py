"""Tallymark beside the official client: run ``python bench/python``, which prints tables.

All figures are medians of rounds in which every row takes its turn. It asserts nothing: what is
slow on a busy machine is no error.
"""

from __future__ import annotations

import argparse

import calls
import churn
import machine
import parsing
import series

_PARTS = {
    "calls": (calls.run, 15),
    "series": (series.run, 3),
    "churn": (churn.run, 7),
    "parsing": (parsing.run, 5),
}


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(_PARTS)}")
    parser.add_argument("--rounds", type=int, help="instead of each part's own number of rounds")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(_PARTS)
    if unknown:
        parser.error(f"no part {', '.join(unknown)} (there are: {', '.join(_PARTS)})")
    print(machine.heading(), flush=True)
    for part in arguments.parts or _PARTS:
        run, rounds = _PARTS[part]
        run(arguments.rounds or rounds)
    print(f"\nWhen Python's tables were done: {machine.load()}.", flush=True)


if __name__ == "__main__":
    main()
