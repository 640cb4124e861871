"""Celery with a pool of forked processes, which are replaced, and one of which is killed."""

from __future__ import annotations

from celery import Celery
from celery.exceptions import WorkerLostError
from running import DEADLINE, Programs, assert_totals, free_port, wait_for_port


def test_the_totals_of_a_celery_worker_are_those_of_its_pool(
    programs: Programs, redis_port: int
) -> None:
    """The main process, from which the pool is forked, shows what all of the pool has counted."""
    metrics_port = free_port()
    broker = f"redis://127.0.0.1:{redis_port}/0"
    programs.environment["BROKER"] = broker
    programs.environment["METRICS_PORT"] = str(metrics_port)
    options = ["--pool", "prefork", "--concurrency", "2", "--max-tasks-per-child", "20"]
    worker = programs.start("celery", "-A", "celery_app", "worker", *options)
    wait_for_port(metrics_port, worker)

    with Celery(broker=broker, backend=broker) as client:
        soups = [client.send_task("celery_app.cook", ["soup"]) for _ in range(100)]
        bomb = client.send_task("celery_app.explode")
        cakes = [client.send_task("celery_app.cook", ["cake"]) for _ in range(50)]
        cooks = {cooked.get(timeout=DEADLINE) for cooked in [*soups, *cakes]}
        killed = bomb.get(timeout=DEADLINE, propagate=False)

    assert isinstance(killed, WorkerLostError)
    assert len(cooks) >= 7, "the pool's processes were replaced"
    assert_totals(
        f"http://127.0.0.1:{metrics_port}/metrics",
        {
            'kitchen_cooked_total{dish="soup"}': 100,
            'kitchen_cooked_total{dish="cake"}': 50,
            'kitchen_cooked_total{dish="bomb"}': 1,
            "kitchen_weight_count": 150,
            "kitchen_weight_sum": 150 * 0.25,
            'kitchen_weight_bucket{le="1.0"}': 150,
            "kitchen_in_progress": 0,
        },
    )
