"""Ten thousand series: all can be found, and no more rows exist than the screen shows."""

from __future__ import annotations

import pytest
from browser import Page
from serving import Served
from steps import names, open_family, row

ROWS = "document.querySelectorAll('.rows .row').length"


@pytest.fixture
def full(server: Served) -> Served:
    """A family of 5,000 series, and 500 families of ten."""
    one = [f'paths_total{{path="/{n}"}} {n}\n' for n in range(5000)]
    many = [
        f"# TYPE family_{family:03} gauge\n"
        + "".join(f'family_{family:03}{{n="{n}"}} {n}\n' for n in range(10))
        for family in range(500)
    ]
    server.push("# TYPE paths counter\n" + "".join(one) + "".join(many))
    return server


def test_families_come_into_being_as_they_come_into_sight(page: Page, full: Served) -> None:
    """By scrolling, and by keys that go far."""
    page.open(full.url)
    row(page, "family_000")
    assert "10," in page.text(".count")
    assert page.evaluate(ROWS) < 60

    page.evaluate("document.querySelector('.rows a').focus()")
    page.press("End")
    page.wait(
        "document.activeElement.textContent.startsWith('tallymark')", "the last has the focus"
    )
    assert "family_000" not in names(page) or page.evaluate(ROWS) < 60
    page.press("Home")
    page.wait("document.activeElement.textContent === 'family_000'")
    page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    page.wait(
        "[...document.querySelectorAll('.rows .name')].some((a) => a.textContent === 'family_250')"
    )
    assert page.evaluate(ROWS) < 60


def test_one_of_them_is_found_by_its_label(page: Page, full: Served) -> None:
    """From the list of families into the family, with the search kept."""
    page.open(full.url)
    row(page, "family_000")
    page.press("/")
    page.type("/4321")
    page.wait(f"{ROWS} === 1")
    page.press("ArrowDown", "Enter")
    page.sees("1 of 5,000 series")
    page.press("/", "ArrowDown", "Enter")

    page.sees("4,321", ".tiles")


def test_series_can_be_sorted(page: Page, full: Served) -> None:
    """The greatest of 5,000 first."""
    page.open(full.url)
    row(page, "family_000")
    open_family(page, "paths")
    page.click("[data-sort=value] button")

    page.wait("document.querySelector('.rows .row .short').textContent === '4,999'")
    assert page.evaluate(ROWS) < 80


def test_a_view_that_was_left_is_forgotten(page: Page, server: Served) -> None:
    """However often one comes and goes; the one that is there draws what comes into sight."""
    server.push("".join(f'paths{{path="/{n}"}} {n}\n' for n in range(300)))
    page.open(server.url)
    for _ in range(10):
        open_family(page, "paths")
        page.evaluate("location.hash = 'view=groups'")
        page.sees("Pushed groups", "h1")
    open_family(page, "paths")
    script = "import('./page/table.js').then(({Table}) => Table.prototype)"
    kind = page.call("Runtime.evaluate", expression=script, awaitPromise=True)["result"]
    found = page.call("Runtime.queryObjects", prototypeObjectId=kind["objectId"])["objects"]
    count = page.call(
        "Runtime.callFunctionOn",
        objectId=found["objectId"],
        functionDeclaration="function () { return this.length; }",
    )
    # The first view's, this one's, and perhaps the last one's.
    assert count["result"]["value"] <= 3

    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait(
        "[...document.querySelectorAll('.rows a')].some((a) => a.textContent.includes('/99'))"
    )
