"""Django under gunicorn: the view of any worker shows what all have counted."""

from __future__ import annotations

from host import Host, Scrape
from web import Gunicorn, get

APP = """
import os
import django
from django.conf import settings

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="a",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
django.setup()

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from tallymark import Counter
from tallymark.django import PrometheusDjangoView

VIEWS = Counter("views", "Views.")

def view(request):
    VIEWS.inc()
    return HttpResponse(str(os.getpid()))

urlpatterns = [path("metrics", PrometheusDjangoView.as_view()), path("", view)]
app = get_wsgi_application()
"""


def test_in_multiprocess_mode_the_view_shows_the_processes_and_nothing_of_its_own(
    host: Host,
) -> None:
    """As a registry of its own for every request does, in the official client too."""
    directory = host.directory / "multiproc"
    directory.mkdir()
    server = Gunicorn(
        host,
        APP,
        "workers = 2\nmax_requests = 20\n",
        TALLYMARK_STORE="",
        PROMETHEUS_MULTIPROC_DIR=str(directory),
    )
    server.load(100)
    found = [Scrape(get(server.address, "/metrics")) for _ in range(4)]
    server.stop()

    assert 0 == server.unanswered
    assert len(server.answered) > 2, "workers were recycled"
    assert [100.0] * 4 == [scrape.value("views_total") for scrape in found]
    assert not {"python_info", "process_open_fds"} & set(found[0].families)


def test_with_a_store_the_view_shows_the_default_registry(host: Host) -> None:
    """Which has what all processes have counted, and what this one tells of itself."""
    server = Gunicorn(host, APP, "workers = 2\n")
    server.load(40)
    found = Scrape(get(server.address, "/metrics"))
    server.stop()

    assert 40.0 == found.value("views_total")
    assert {"python_info", "process_open_fds"} <= set(found.families)
