"""The metrics endpoint for Django.

It translates one framework's requests: what is answered is decided by ``tallymark.exposition``, as
for every other endpoint. Nothing of a project's settings is used or needed.
"""

from __future__ import annotations

import os

from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]
from django.views import View  # type: ignore[import-untyped]

from .. import exposition, multiprocess
from ..registry import REGISTRY, CollectorRegistry


class PrometheusDjangoView(View):  # type: ignore[misc]
    """
    A view that answers with the metrics.

    Attributes:
        registry: What to show; None for the default registry, or in multiprocess mode for a new one
            at every request, with what all processes have counted and nothing else.

        multiprocess_mode: Whether the environment says so. ``as_view()`` takes both.

    Example:
        >>> from django.urls import path
        >>> urlpatterns = [path("metrics", PrometheusDjangoView.as_view())]
    """

    multiprocess_mode: bool = (
        "PROMETHEUS_MULTIPROC_DIR" in os.environ or "prometheus_multiproc_dir" in os.environ
    )
    registry: CollectorRegistry | None = None

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Answer with the metrics, whatever was found in the path."""
        registry = self.registry
        if registry is None and self.multiprocess_mode:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        status, headers, body = exposition._bake_output(
            REGISTRY if registry is None else registry,
            request.headers.get("Accept"),
            request.headers.get("Accept-Encoding"),
            dict(request.GET.lists()),
            False,
        )
        return HttpResponse(body, status=int(status.split(" ")[0]), headers=dict(headers))

    def options(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Tell which methods there are."""
        return HttpResponse(headers={"Allow": exposition._METHODS})
