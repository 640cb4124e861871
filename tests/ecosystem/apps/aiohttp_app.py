"""
An aiohttp application whose handler prometheus-async measures, beside that library's own server.

Run as ``python aiohttp_app.py PORT METRICS_PORT``.
"""

import asyncio
import os
import sys

from aiohttp import web
from prometheus_async import aio
from prometheus_client import Counter, Gauge, Histogram

ORDERS = Counter("kitchen_orders", "Orders.", ["dish"])
SECONDS = Histogram("kitchen_seconds", "Time to cook.")
BURNT = Counter("kitchen_burnt", "Dishes that burnt.")
IN_PROGRESS = Gauge("kitchen_in_progress", "Orders in progress.")


@aio.time(SECONDS)
@aio.count_exceptions(BURNT)
@aio.track_inprogress(IN_PROGRESS)
async def order(request: web.Request) -> web.Response:
    """Takes an order, of a kitchen that knows one dish too many."""
    dish = request.match_info["dish"]
    ORDERS.labels(dish).inc()
    if dish == "coal":
        raise ZeroDivisionError
    await aio.time(SECONDS, asyncio.sleep(0))
    return web.Response(text=str(os.getpid()))


async def main(port: int, metrics_port: int) -> None:
    """Serves both until it is killed."""
    app = web.Application()
    app.router.add_get("/order/{dish}", order)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await aio.web.start_http_server(addr="127.0.0.1", port=metrics_port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
