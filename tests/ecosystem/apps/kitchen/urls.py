"""The views. Each says which process answered."""

import os

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from .models import Order


def order(request: HttpRequest, dish: str) -> HttpResponse:
    """Writes an order down, and looks the dish up in the cache."""
    cache.get(dish)
    Order.objects.create(dish=dish)
    return HttpResponse(str(os.getpid()))


def burn(request: HttpRequest) -> HttpResponse:
    """Fails, as something does in every kitchen."""
    raise ZeroDivisionError


urlpatterns = [
    path("order/<dish>", order, name="order"),
    path("burn", burn, name="burn"),
    path("", include("django_prometheus.urls")),
]
