"""prometheus-distributed-client: subclasses of the metrics that count in a database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from running import Programs, parse

PROCESSES = 3
TIMES = 20


@pytest.fixture(params=["sqlite", "redis"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the library counts, as `distributed_app.py` wants it said."""
    if request.param == "redis":
        return f"redis:{request.getfixturevalue('redis_port')}"
    return f"sqlite:{tmp_path / 'counted.db'}"


@pytest.mark.parametrize("client", ["official", "tallymark"])
def test_subclasses_with_values_of_their_own_count_where_they_want(
    programs: Programs, backend: str, client: str
) -> None:
    """Several processes at once; on tallymark as on the official client."""

    def run(*arguments: str) -> str:
        command = ["python", "distributed_app.py", backend, *arguments]
        return programs.run(*command, official=client == "official")

    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(lambda _: run("cook", str(TIMES)), range(PROCESSES)))
    found = parse("text/plain", run("show"))

    times = PROCESSES * TIMES
    assert {
        'kitchen_orders_total{dish="soup"}': times,
        'kitchen_orders_total{dish="cake"}': 2 * times,
        "kitchen_burnt_total": times,
        'kitchen_guests{table="window"}': 2 * times,
        'kitchen_guests{table="door"}': 4,
        'kitchen_weight_count{dish="soup"}': times,
        'kitchen_weight_sum{dish="soup"}': 0.25 * times,
        'kitchen_seconds_bucket{dish="soup",le="1.0"}': 0,
        'kitchen_seconds_bucket{dish="soup",le="2.0"}': times,
        'kitchen_seconds_bucket{dish="soup",le="+Inf"}': times,
        'kitchen_seconds_count{dish="soup"}': times,
        'kitchen_seconds_sum{dish="soup"}': 1.5 * times,
    } == {series: value for series, value in found.items() if "_created" not in series}
