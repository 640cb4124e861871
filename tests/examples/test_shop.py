"""The shop under gunicorn, and its jobs: one set of numbers for processes that come and go."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

Ask = Callable[..., tuple[int, str]]
Scrape = Callable[[str], dict[str, float]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shop(start: Callable[..., object], free_port: Callable[[], int]) -> str:
    """The URL of a shop whose four workers are each replaced after some ten requests."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    start(
        [
            *("-m", "gunicorn", "--config", "shop_gunicorn.conf.py", "--bind", f"127.0.0.1:{port}"),
            *("--max-requests", "10", "--max-requests-jitter", "5", "shop:app"),
        ],
        port,
        f"{url}/metrics",
    )
    return url


def test_views_and_purchases_of_all_workers_are_in_one_total(
    shop: str, ask: Ask, scrape: Scrape
) -> None:
    """Workers are replaced several times over, and no request is lost or counted twice."""
    workers = set()
    for _ in range(40):
        for path in ("view/tea", "view/cake", "buy/tea"):
            status, body = ask(f"{shop}/{path}")
            workers.add(json.loads(body)["worker"])

            assert 200 == status

    metrics = scrape(f"{shop}/metrics")

    assert len(workers) > 4
    assert 40 == metrics['shop_views_total{product="tea"}']
    assert 40 == metrics['shop_views_total{product="cake"}']
    assert 40 == metrics['shop_purchases_total{product="tea"}']
    assert 40 == metrics["shop_checkout_seconds_count"]
    assert 40 == metrics['shop_checkout_seconds_bucket{le="+Inf"}']
    assert 0 < metrics["shop_checkout_seconds_sum"]
    assert 0 == metrics["shop_requests_in_progress"]


def test_every_worker_gives_the_same_answer(shop: str, ask: Ask, scrape: Scrape) -> None:
    """Forty scrapes, enough to reach every worker and its successor, show one total."""
    for _ in range(8):
        ask(f"{shop}/view/tea")

    totals = {scrape(f"{shop}/metrics")['shop_views_total{product="tea"}'] for _ in range(40)}

    assert {8} == totals


def test_series_exist_before_the_first_request(shop: str, scrape: Scrape) -> None:
    """What has not been sold yet reads 0."""
    metrics = scrape(f"{shop}/metrics")

    for product in ("cake", "coffee", "tea"):
        assert 0 == metrics[f'shop_views_total{{product="{product}"}}']
        assert 0 == metrics[f'shop_purchases_total{{product="{product}"}}']


def test_the_counts_of_a_killed_worker_stay(shop: str, ask: Ask, scrape: Scrape) -> None:
    """A worker that gets SIGKILL has no chance to say goodbye; what it counted is there."""
    _, body = ask(f"{shop}/view/coffee")
    os.kill(json.loads(body)["worker"], signal.SIGKILL)

    metrics = scrape(f"{shop}/metrics")

    assert 1 == metrics['shop_views_total{product="coffee"}']
    assert 0 == metrics["shop_requests_in_progress"]


def test_stock_is_read_from_the_database_at_each_scrape(
    shop: str, ask: Ask, scrape: Scrape, tmp_path: Path
) -> None:
    """A sale shows at once, and so does a change the shop knows nothing of."""
    stock = 'shop_stock_items{product="tea"}'
    before = scrape(f"{shop}/metrics")[stock]
    ask(f"{shop}/buy/tea")

    assert before - 1 == scrape(f"{shop}/metrics")[stock]

    with closing(sqlite3.connect(tmp_path / "shop.db")) as db, db:
        db.execute("UPDATE stock SET items = 7 WHERE product = 'tea'")

    assert 7 == scrape(f"{shop}/metrics")[stock]


def test_what_is_not_sold_is_not_counted(
    shop: str, ask: Ask, scrape: Scrape, tmp_path: Path
) -> None:
    """An empty shelf is no purchase, and an unknown product makes no series."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as db, db:
        db.execute("UPDATE stock SET items = 0 WHERE product = 'cake'")

    assert 409 == ask(f"{shop}/buy/cake")[0]
    assert 404 == ask(f"{shop}/view/gold")[0]
    assert 404 == ask(f"{shop}/buy/gold")[0]

    metrics = scrape(f"{shop}/metrics")

    assert 0 == metrics['shop_purchases_total{product="cake"}']
    assert not [series for series in metrics if "gold" in series]


def test_a_request_in_progress_is_seen_from_another_worker(
    shop: str, ask: Ask, scrape: Scrape, tmp_path: Path
) -> None:
    """While a checkout waits for the database, any worker can tell; afterwards none is left."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as db, ThreadPoolExecutor(1) as customer:
        db.execute("BEGIN IMMEDIATE")
        purchase = customer.submit(ask, f"{shop}/buy/tea")
        try:
            deadline = time.monotonic() + 8
            while 1 != scrape(f"{shop}/metrics")["shop_requests_in_progress"]:
                assert time.monotonic() < deadline, "the waiting checkout is never shown"
                time.sleep(0.02)
        finally:
            db.rollback()

        assert 200 == purchase.result()[0]

    assert 0 == scrape(f"{shop}/metrics")["shop_requests_in_progress"]


def test_jobs_that_have_ended_are_counted(shop: str, run: Run, scrape: Scrape) -> None:
    """The shop exposes families that only its jobs know."""
    earlier = time.time()
    stock = scrape(f"{shop}/metrics")['shop_stock_items{product="tea"}']
    for _ in range(5):
        job = run("job.py", "tea", "10")

        assert "" == job.stderr
        assert 0 == job.returncode

    metrics = scrape(f"{shop}/metrics")

    assert 5 == metrics["shop_jobs_total"]
    assert 0 == metrics["shop_job_failures_total"]
    assert 5 == metrics["shop_job_seconds_count"]
    assert earlier <= metrics["shop_job_last_success_timestamp_seconds"] <= time.time()
    assert stock + 50 == metrics['shop_stock_items{product="tea"}']


def test_a_job_that_fails_is_counted_as_failed(shop: str, run: Run, scrape: Scrape) -> None:
    """A failure leaves the time of the last success alone."""
    run("job.py", "tea", "1")
    success = scrape(f"{shop}/metrics")["shop_job_last_success_timestamp_seconds"]

    job = run("job.py", "gold", "1")

    assert 1 == job.returncode
    assert "the shop has no shelf for 'gold'" in job.stderr

    metrics = scrape(f"{shop}/metrics")

    assert 1 == metrics["shop_jobs_total"]
    assert 1 == metrics["shop_job_failures_total"]
    assert 2 == metrics["shop_job_seconds_count"]
    assert success == metrics["shop_job_last_success_timestamp_seconds"]
