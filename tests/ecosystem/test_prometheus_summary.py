"""prometheus-summary: a subclass of Summary that has quantiles, under gunicorn."""

from __future__ import annotations

from running import Programs, assert_totals, free_port, scrape, send_load, wait_for_port

PLAN = [("GET", "/order/soup", 200)] * 30
ONCE = [("GET", "/order/cake", 200)]


def test_counts_and_sums_are_those_of_all_workers_and_quantiles_of_the_one_asked(
    programs: Programs,
) -> None:
    """The library estimates quantiles in each process; every worker here has seen only 0.25."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = ["--workers", "2", "--bind", f"127.0.0.1:{port}"]
    wait_for_port(port, programs.start("gunicorn", *options, "summary_app:app"))
    rounds = send_load(url, PLAN)
    # One worker gets it; the other one, too, has to show it.
    send_load(url, ONCE, workers=1)

    assert_totals(
        f"{url}/metrics",
        {
            'kitchen_weight_count{dish="soup"}': 30 * rounds,
            'kitchen_weight_sum{dish="soup"}': 30 * rounds * 0.25,
            'kitchen_weight_count{dish="cake"}': 1,
            "kitchen_all_count": 30 * rounds + 1,
            "kitchen_all_sum": (30 * rounds + 1) * 0.25,
        },
    )
    quantiles = scrape(f"{url}/metrics")

    assert 0.25 == quantiles['kitchen_all{quantile="0.5"}']
    assert 0.25 == quantiles['kitchen_all{quantile="0.99"}']
    assert 0.25 == quantiles['kitchen_weight{dish="soup",quantile="0.5"}']
