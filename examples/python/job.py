"""
A job that has ended long before anything could scrape it, and still counts.

It puts items on the shelf of `shop.py`. Run it by hand, from cron, a hundred times at once; its
numbers are in the store when it ends, and the shop's `/metrics` shows them beside its own, though
the shop's code does not know of them.

Run it, with the shop's environment:

    export TALLYMARK_STORE=file:/tmp/shop.tally
    python job.py tea 10
"""

from __future__ import annotations

import argparse
import os
import sqlite3
from contextlib import closing

from tallymark import Counter, Gauge, Histogram

DATABASE = os.environ.get("SHOP_DB", "shop.db")

JOBS = Counter("shop_jobs", "Restocking jobs that did their work.")
FAILURES = Counter("shop_job_failures", "Restocking jobs that raised an exception.")
JOB_SECONDS = Histogram("shop_job_seconds", "Time a restocking job took.")
# A gauge that was set reads the most recent value of all jobs, also after they have ended.
LAST_SUCCESS = Gauge(
    "shop_job_last_success_timestamp_seconds", "When a restocking job last did its work."
)


@FAILURES.count_exceptions()
@JOB_SECONDS.time()
def restock(product: str, items: int) -> None:
    """Adds items to the stock of a product the shop sells."""
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db, db:
        shelf = db.execute("UPDATE stock SET items = items + ? WHERE product = ?", [items, product])
        if shelf.rowcount == 0:
            raise LookupError(f"{DATABASE}: the shop has no shelf for {product!r}")


def main() -> None:
    """Does one job and ends."""
    arguments = argparse.ArgumentParser(description="Put items on a shelf of the shop.")
    arguments.add_argument("product")
    arguments.add_argument("items", type=int)
    given = arguments.parse_args()

    restock(given.product, given.items)
    JOBS.inc()
    LAST_SUCCESS.set_to_current_time()


if __name__ == "__main__":
    main()
