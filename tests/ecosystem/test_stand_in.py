"""What the libraries get for ``prometheus_client`` under ``python -m tallymark exec``."""

from __future__ import annotations

import pytest
from running import Programs

PROGRAM = """
import {library}
import prometheus_client

print(prometheus_client.__name__, {library}.{name}.__name__)
print({library}.{name} is prometheus_client.{original})
"""

# A name that each has from the client, and what it is there.
TAKEN = [
    ("django_prometheus.middleware", "Counter", "Counter"),
    ("prometheus_flask_exporter", "Histogram", "Histogram"),
    ("prometheus_fastapi_instrumentator.metrics", "Summary", "Summary"),
    ("starlette_exporter.middleware", "MetricWrapperBase", "metrics.MetricWrapperBase"),
    ("prometheus_async.aio.web", "generate_latest", "generate_latest"),
    ("opentelemetry.exporter.prometheus", "PrometheusMetric", "Metric"),
    ("prometheus_summary", "Sample", "samples.Sample"),
    ("prometheus_distributed_client.sqlite", "MutexValue", "values.MutexValue"),
    ("gunicorn_prometheus_exporter.metrics", "CollectorRegistry", "CollectorRegistry"),
]


@pytest.mark.parametrize(("library", "name", "original"), TAKEN)
@pytest.mark.parametrize("client", ["prometheus_client", "tallymark"])
def test_a_library_takes_its_names_from_the_client_that_the_command_chooses(
    programs: Programs, client: str, library: str, name: str, original: str
) -> None:
    """In a fresh interpreter: tallymark behind `exec`, the official client without."""
    program = PROGRAM.format(library=library, name=name, original=original)
    official = client == "prometheus_client"

    assert f"{client} {original.split('.')[-1]}\nTrue\n" == programs.run(
        "python", "-c", program, official=official
    )
