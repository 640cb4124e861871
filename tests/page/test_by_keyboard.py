"""Everything can be reached and read without a mouse, without good eyes, and on a small screen."""

from __future__ import annotations

import importlib.resources
import re
import time

import pytest
from browser import Page
from serving import SHOP, Served
from steps import names, often, open_family, row

VIEWS = ["", "#family=orders", "#family=wait_seconds", "#view=groups", "#view=health"]
AXE = importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_text()


def show(page: Page, server: Served, view: str) -> None:
    """Open a view, and wait until it has its numbers."""
    page.open(server.url + view)
    page.wait("document.querySelector('#state').dataset.state === 'live'")
    page.wait("document.querySelector('.rows .row, .plain tbody tr, .tiles dd') !== null", view)


def test_the_whole_way_by_keys(page: Page, server: Served) -> None:
    """Search, go down, open, come back to where one was."""
    server.push(SHOP)
    page.open(server.url)
    row(page, "orders_total")

    page.press("/")
    page.type("o")
    page.wait("document.querySelectorAll('.rows .row').length > 1")
    page.press("ArrowDown")
    assert names(page)[0] == page.focused()
    page.press("ArrowDown", "ArrowUp", "End")
    last = page.focused()
    assert names(page)[-1] == last
    page.press("Enter")
    page.wait("document.activeElement.matches('h1') && location.hash.includes('family')")
    page.press("Escape")
    # The title of what is left may say the same.
    row_of_last = f"closest('.rows .row')?.querySelector('a').textContent === '{last}'"
    page.wait(f"document.activeElement.{row_of_last}", "the row has the focus again")
    page.press("Escape")
    page.wait("document.activeElement.type === 'search' && !document.activeElement.value")


def test_tab_goes_through_controls_and_one_row(page: Page, server: Served) -> None:
    """Rows are for the arrows: whoever tabs comes out behind the table."""
    server.push(SHOP)
    page.open(server.url)
    row(page, "orders_total")
    stops = []
    for _ in range(20):
        page.press("Tab")
        stops.append(page.focused())

    assert stops[0] == "Skip to the content"
    assert ["Metrics", "Groups", "Health"] == stops[2:5]
    table = stops.index("Search names, help and labels")
    assert 1 == len([one for one in stops[table + 1 :] if one in names(page)])
    assert "The metrics as text" in stops[table:]


def test_a_deleted_group_leaves_the_focus_to_the_next(page: Page, server: Served) -> None:
    """To the search, when there is none; one that stays says why, as long as it takes to read."""
    for job in "abc":
        server.push("# TYPE up gauge\nup 1\n", f"job/{job}")
    page.open(server.url + "#view=groups")
    often(page)
    rows = "document.querySelectorAll('.rows .row').length"
    page.wait(f"{rows} === 3")
    focused = "document.activeElement.getAttribute('aria-label')"

    def delete() -> None:
        page.press("Enter")
        page.sees("Delete this group?", "dialog[open]")
        page.click("#sure button[value=yes]")

    page.evaluate("document.querySelector('button[aria-label*=\\'\"b\"\\']').focus()")
    page.evaluate(
        "own = fetch; fetch = (path, options) => options.method"
        " ? Promise.reject(new Error('lost')) : own(path, options)"
    )
    delete()
    page.sees('job="b" is not deleted: lost')
    time.sleep(2)
    page.sees('job="b" is not deleted: lost')
    page.evaluate("fetch = own")
    delete()
    page.wait(f"{rows} === 2")
    page.wait(f"{focused} === 'Delete the group job=\"c\"'")
    assert "is not deleted" not in page.text("main")
    delete()
    page.wait(f"{rows} === 1")
    page.wait(f"{focused} === 'Delete the group job=\"a\"'")
    delete()
    page.wait(f"{rows} === 0")
    page.wait("document.activeElement.type === 'search'")


def test_a_question_mark_tells_the_keys(page: Page, server: Served) -> None:
    """Escape closes them, and does nothing else."""
    page.open(server.url + "#view=health")
    page.press("?")
    page.sees("clear the search", "dialog[open]")
    page.press("Escape")

    page.wait("!document.querySelector('dialog[open]')")
    assert page.evaluate("location.hash") == "#view=health"


def test_p_pauses_and_goes_on(page: Page, server: Served) -> None:
    """What was pushed in between is there afterwards."""
    server.push("# TYPE runs counter\nruns_total 3\n")
    page.open(server.url)
    row(page, "runs_total")
    page.press("p")
    page.sees("Paused", "#state")
    server.push("# TYPE runs counter\nruns_total 1234\n")
    page.press("p")

    page.sees("1,234")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(page: Page, server: Served, view: str, scheme: str) -> None:
    """Names, roles, contrast: whatever axe-core knows to look for."""
    server.push(SHOP)
    page.prefer(scheme=scheme)
    show(page, server, view)
    page.evaluate(AXE)
    found = page.evaluate(
        "axe.run().then(({violations, passes}) => ({passed: passes.length, violated: violations"
        ".map(({id, nodes}) => [id, nodes.map((node) => node.html + node.failureSummary)])}))"
    )

    assert found["violated"] == []
    assert found["passed"] > 15


def test_a_table_tells_all_its_rows_and_its_order(page: Page, server: Served) -> None:
    """Also those that are not drawn."""
    server.push("".join(f"# TYPE family_{n:03} gauge\nfamily_{n:03} {n}\n" for n in range(300)))
    page.open(server.url)
    row(page, "family_000")
    page.click("[data-sort=series] button")
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes]

    count = page.evaluate("document.querySelector('[role=table]').ariaRowCount")
    assert int(count) > 300 > roles.count("row")
    assert {"banner", "navigation", "main", "contentinfo", "table", "columnheader"} <= set(roles)
    assert page.evaluate("document.querySelector('[data-sort=series]').ariaSort") == "descending"


def test_it_is_dark_or_light_as_the_user_likes(page: Page, server: Served) -> None:
    """By the system's setting, or by the button, which is remembered."""
    page.open(server.url)

    def brightness() -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)))

    assert brightness() > 700
    page.prefer(scheme="dark")
    assert brightness() < 100
    page.click("#theme")
    assert "light" in page.text("#theme") and brightness() > 700
    page.open(server.url + "?again")
    assert brightness() > 700
    page.click("#theme")
    page.prefer(scheme="light")
    assert brightness() < 100


def test_nothing_moves_for_those_who_want_nothing_to_move(page: Page, server: Served) -> None:
    """The one thing that does is the dot beside "Live"."""
    server.push(SHOP)
    show(page, server, "")
    script = "getComputedStyle(document.querySelector('#state'), '::before').animationName"

    assert page.evaluate(script) != "none"
    page.prefer(motion="reduce")
    assert page.evaluate(script) == "none"


@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_shows_all_without_scrolling_sideways(
    page: Page, server: Served, view: str
) -> None:
    """The narrowest that is sold."""
    server.push(SHOP + "# TYPE " + "long_" * 40 + "name gauge\n" + "long_" * 40 + "name 1\n")
    page.resize(320, 640)
    show(page, server, view)

    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_without_scripts_it_says_where_the_numbers_are(page: Page, server: Served) -> None:
    """A hint and a link."""
    page.scripts(allowed=False)
    page.open(server.url)

    text = page.call("DOMSnapshot.captureSnapshot", computedStyles=[])["strings"]
    assert any("turned off here" in one for one in text)
    assert "metrics" in text


def test_a_family_that_is_gone_says_so(page: Page, server: Served) -> None:
    """As after a group was deleted, or an old link."""
    open_family_that_is_gone = server.url + "#family=gone"
    page.open(open_family_that_is_gone)

    page.sees("no metric of this name now")
    server.push("# TYPE gone gauge\ngone 5\n")
    page.sees("5", ".tiles")
    assert page.text("h1") == "gone"
    open_family(page, "gone")
