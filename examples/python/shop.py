"""
A shop that counts right although no single process ever sees all of its customers.

Flask under gunicorn: four workers, each replaced after a while, answer `/view/<product>` and
`/buy/<product>`. Whichever of them is asked for `/metrics` answers for all of them, for those
already replaced, and for the jobs of `job.py`.

Run it:

    export TALLYMARK_STORE=file:/tmp/shop.tally
    gunicorn --config shop_gunicorn.conf.py shop:app
    curl http://127.0.0.1:8000/buy/tea
    curl http://127.0.0.1:8000/metrics

`TALLYMARK_STORE` is all that makes the numbers add up. Without it this is an ordinary program of
the official client's kind, in which each worker knows only what it did itself.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from flask import Flask, Response, abort, jsonify
from flask.typing import ResponseReturnValue
from tallymark import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest
from tallymark.core import GaugeMetricFamily, Metric
from tallymark.registry import Collector

DATABASE = os.environ.get("SHOP_DB", "shop.db")
OPENING_STOCK = {"cake": 2_000, "coffee": 5_000, "tea": 5_000}

VIEWS = Counter("shop_views", "Product pages shown.", ["product"])
PURCHASES = Counter("shop_purchases", "Products sold.", ["product"])
CHECKOUT_SECONDS = Histogram("shop_checkout_seconds", "Time from 'buy' to an order on disk.")
# No multiprocess_mode needed: a gauge that only goes up and down is the sum over live workers.
IN_PROGRESS = Gauge("shop_requests_in_progress", "Requests being answered at this moment.")

# A series exists from its first labels() call on: made here, "not sold yet" reads 0, not "no data".
for _product in OPENING_STOCK:
    VIEWS.labels(_product)
    PURCHASES.labels(_product)


def connect() -> sqlite3.Connection:
    """Opens the shop's database; a writer waits up to ten seconds for its turn."""
    return sqlite3.connect(DATABASE, timeout=10)


def open_shop() -> None:
    """
    Creates the tables and fills the shelves.

    Every worker does so at its start; only the first finds work to do.
    """
    with closing(connect()) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute(
            "CREATE TABLE IF NOT EXISTS stock (product TEXT PRIMARY KEY, items INTEGER NOT NULL)"
        )
        db.execute(
            "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, product TEXT NOT NULL)"
        )
        db.executemany("INSERT OR IGNORE INTO stock VALUES (?, ?)", OPENING_STOCK.items())
        db.commit()


def take_order(product: str) -> bool:
    """Moves one item from the stock to the orders, both or neither; False if none was left."""
    with closing(connect()) as db, db:
        taken = db.execute(
            "UPDATE stock SET items = items - 1 WHERE product = ? AND items > 0", [product]
        )
        if taken.rowcount == 0:
            return False
        db.execute("INSERT INTO orders (product) VALUES (?)", [product])
    return True


class StockCollector(Collector):
    """
    Asks the database how many items are left, at each scrape and only then.

    For a number that already lives somewhere else: it is never out of date, and nothing in the
    request path has to keep it up. The query runs in the worker that happens to be scraped.
    """

    def describe(self) -> list[Metric]:
        """Names the family, so that registering this collector runs no query."""
        return [self._family()]

    def collect(self) -> Iterator[Metric]:
        """Runs the query."""
        stock = self._family()
        with closing(connect()) as db:
            for product, items in db.execute("SELECT product, items FROM stock"):
                stock.add_metric([product], items)
        yield stock

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily("shop_stock_items", "Items left on the shelf.", labels=["product"])


open_shop()
REGISTRY.register(StockCollector())
app = Flask(__name__)


@app.get("/")
def home() -> ResponseReturnValue:
    """Shows what can be had."""
    rows = "".join(
        f'<li>{product}: <a href="/view/{product}">view</a> <a href="/buy/{product}">buy</a></li>'
        for product in OPENING_STOCK
    )
    return f"<!doctype html><title>Shop</title><h1>Shop</h1><ul>{rows}</ul>"


@app.get("/view/<product>")
@IN_PROGRESS.track_inprogress()
def view(product: str) -> ResponseReturnValue:
    """Shows a product."""
    if product not in OPENING_STOCK:
        # Not counted: what strangers type must not become a label value, or they decide how many
        # series there are.
        abort(404)
    VIEWS.labels(product).inc()
    return jsonify(product=product, worker=os.getpid())


# GET as well as POST, so that the address bar of a browser can buy.
@app.route("/buy/<product>", methods=["GET", "POST"])
@IN_PROGRESS.track_inprogress()
def buy(product: str) -> ResponseReturnValue:
    """Sells one item of a product."""
    if product not in OPENING_STOCK:
        abort(404)
    with CHECKOUT_SECONDS.time():
        sold = take_order(product)
    if not sold:
        abort(409, "sold out")
    PURCHASES.labels(product).inc()
    return jsonify(product=product, worker=os.getpid())


@app.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Answers for every process that shares the store, whichever worker this is."""
    return Response(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)
