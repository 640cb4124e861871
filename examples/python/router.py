"""
A small request router that measures every path, with its metrics on a port of their own.

The web server is the standard library's. A Summary times each path, a counter tells which paths
raise, and both exist for every path before the first request, so that a rate or an alert never
starts from "no data".

Run it:

    python router.py --port 8080 --metrics-port 9100
    curl 'http://127.0.0.1:8080/divide?a=1&b=0'
    curl http://127.0.0.1:9100/metrics

With `TALLYMARK_STORE=file:/tmp/router.tally` set, start as many as you like on ports of their own:
all may share one metrics port, and whoever answers there answers for all.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from tallymark import Counter, Summary, start_http_server

Query = dict[str, str]
Endpoint = Callable[[Query], str]

REQUEST_SECONDS = Summary("router_request_seconds", "Time spent answering a request.", ["path"])
EXCEPTIONS = Counter("router_exceptions", "Requests that ended in an exception.", ["path"])
UNROUTED = Counter("router_unrouted_requests", "Requests for a path that nobody answers.")


class Router:
    """Sends a path to its endpoint, and measures it on the way."""

    def __init__(self) -> None:
        self._endpoints: dict[str, Endpoint] = {}

    def route(self, path: str) -> Callable[[Endpoint], Endpoint]:
        """Makes the decorated function the endpoint of *path*, and its series with it."""
        REQUEST_SECONDS.labels(path)
        EXCEPTIONS.labels(path)

        def register(endpoint: Endpoint) -> Endpoint:
            self._endpoints[path] = endpoint
            return endpoint

        return register

    def answer(self, target: str) -> tuple[int, str]:
        """Gives the status and the body for a request target such as `/divide?a=6&b=3`."""
        url = urlsplit(target)
        endpoint = self._endpoints.get(url.path)
        if endpoint is None:
            # One series for all of them: only paths of ours become label values.
            UNROUTED.inc()
            return 404, "nothing here\n"
        try:
            with (
                REQUEST_SECONDS.labels(url.path).time(),
                EXCEPTIONS.labels(url.path).count_exceptions(),
            ):
                return 200, endpoint(dict(parse_qsl(url.query)))
        except Exception as error:
            return 500, f"{type(error).__name__}: {error}\n"


router = Router()


@router.route("/")
def home(query: Query) -> str:
    """Says which paths there are."""
    return "try /greet?name=you or /divide?a=6&b=3\n"


@router.route("/greet")
def greet(query: Query) -> str:
    """Greets somebody."""
    return f"Hello, {query.get('name', 'stranger')}!\n"


@router.route("/divide")
def divide(query: Query) -> str:
    """Divides a by b, which does not always go well."""
    return f"{float(query['a']) / float(query['b'])}\n"


class Handler(BaseHTTPRequestHandler):
    """Connects the standard library's server to the router."""

    def do_GET(self) -> None:
        """Answers one request."""
        status, text = router.answer(self.path)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serves requests on one port and metrics on another, until Ctrl-C."""
    arguments = argparse.ArgumentParser(description="A small request router with metrics.")
    arguments.add_argument("--port", type=int, default=8080)
    arguments.add_argument("--metrics-port", type=int, default=9100)
    given = arguments.parse_args()

    start_http_server(given.metrics_port, addr="127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", given.port), Handler)
    with server, suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
