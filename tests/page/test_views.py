"""What a person sees: each type of metric, live, and what is pushed and how the stores are."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import Page
from serving import SHOP, Served
from steps import answer, often, open_family, row

# Between two numbers, or in place of one.
DASH = "\N{EN DASH}"


def count(store: str, script: str) -> str:
    """Run a program that counts in a store, and give what it prints."""
    program = f"import os, tallymark\ntallymark.use_store({store!r})\n{script}"
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


def test_each_family_has_a_row_with_type_help_and_value(page: Page, server: Served) -> None:
    """Values are of the whole family, in units that people read."""
    server.push(SHOP)
    page.open(server.url)

    orders = row(page, "orders_total")
    assert "counter" in orders and "Orders taken." in orders and "125" in orders
    assert "mean 1.50 s" in row(page, "wait_seconds")
    assert "1.50 GiB" in row(page, "stock_bytes")
    assert 'version="4.2"' in row(page, "build_info")
    assert "closed" in row(page, "door")


def test_a_shortened_number_says_its_exact_value(page: Page, server: Served) -> None:
    """Where the mouse is, and where the focus is."""
    server.push(SHOP)
    page.open(server.url)
    row(page, "stock_bytes")
    title = page.evaluate(
        """[...document.querySelectorAll(".rows .value")].map((cell) => cell.title)"""
    )
    page.evaluate("document.querySelector('a[href*=stock]').focus()")

    assert "1,610,612,736 bytes" in title
    page.sees("1,610,612,736 bytes", ".row:focus-within")


def test_what_is_pushed_meanwhile_appears(page: Page, server: Served) -> None:
    """Nobody reloads the page."""
    server.push("# TYPE runs counter\nruns_total 3\n")
    page.open(server.url)
    assert "3" in row(page, "runs_total")

    server.push("# TYPE runs counter\nruns_total 1234\n# TYPE news gauge\nnews 7\n")
    page.sees("1,234")
    assert "7" in row(page, "news")


def test_what_a_process_counts_appears(
    page: Page, serve: Callable[..., Served], tmp_path: Path
) -> None:
    """With its rate and, in detail, a chart of it."""
    store = f"file:{tmp_path}/shop.tally"
    visits = "tallymark.Counter('visits', 'Who came.').inc"
    count(store, f"{visits}(5)")
    page.open(serve(store).url)
    assert "5" in row(page, "visits_total")

    count(store, f"{visits}(1000)")
    page.sees("1,005")
    open_family(page, "visits")
    page.sees("How fast it grows")
    label = page.wait("""document.querySelector("svg[role=img]").ariaLabel""")
    assert label.startswith("How fast it grows. rate: now ")
    page.click("details summary")
    page.sees("rate", "details table")


def test_a_page_that_nobody_sees_asks_nothing(page: Page, server: Served) -> None:
    """An hour in the background is no request; every five seconds in front are twelve a minute."""
    page.open(server.url)
    page.wait("document.querySelector('#state').dataset.state === 'live'")
    page.evaluate(
        "asked = 0; own = fetch; fetch = (...all) => { asked += 1; return own(...all); };"
        "Object.defineProperty(document, 'hidden', {get: () => hidden}); hidden = true;"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.pass_time(3600)
    assert page.evaluate("asked") == 0

    page.evaluate("hidden = false; document.dispatchEvent(new Event('visibilitychange'))")
    page.pass_time(60)
    assert 12 <= page.evaluate("asked") <= 13


def test_a_histogram_has_its_buckets_and_the_quantiles_of_prometheus(
    page: Page, server: Served
) -> None:
    """Of 100 observations, 40 between 1 and 2 and 10 between 2 and 4 seconds."""
    server.push(SHOP)
    page.open(server.url)
    open_family(page, "wait_seconds")

    assert page.text(".quantiles tbody tr").split() == (
        "since it began 1.50 s 1 s 2 s 3.80 s".split()
    )
    rows = page.evaluate(
        """[...document.querySelectorAll(".buckets tbody tr")].map((row) => row.innerText)"""
    )

    assert ["1 s", "2 s", "4 s", "+∞"] == [one.split("\t")[0] for one in rows]
    assert ["50.0 %", "40.0 %", "10.0 %", "0.0 %"] == [" ".join(one.split()[-2:]) for one in rows]


def test_a_moment_is_told_by_its_age(page: Page, server: Served) -> None:
    """A job's last success is hours ago, not 1.7 billion; never is never."""
    when = time.time() - 7500
    server.push(
        f"# TYPE last_success_timestamp_seconds gauge\nlast_success_timestamp_seconds {when}\n"
        "# TYPE last_failure_timestamp_seconds gauge\nlast_failure_timestamp_seconds 0\n"
    )
    page.open(server.url)

    assert "2 h 5 min ago" in row(page, "last_success_timestamp_seconds")
    assert "never" in row(page, "last_failure_timestamp_seconds")


def test_infos_and_state_sets_say_what_they_hold(page: Page, server: Served) -> None:
    """Without a chart: there is nothing to draw."""
    server.push(SHOP)
    page.open(server.url)
    open_family(page, "build")
    page.sees("4.2", ".told")
    open_family(page, "door")
    page.sees("closed", ".tiles")

    assert page.evaluate("document.querySelector('.plot')") is None


def test_one_series_of_several_can_be_chosen(page: Page, server: Served) -> None:
    """And left again for all of them; its selector is PromQL."""
    server.push(SHOP)
    page.open(server.url)
    open_family(page, "orders")
    page.sees("All series together")
    page.click("a[href*=cash]")
    page.sees("orders_total{", "h2 code")

    assert 'payment="cash"' in page.text("h2 code")
    page.sees("5", ".tiles")
    page.click("a.all")
    page.sees("All series together")


def gauge(n: int) -> dict[str, Any]:
    """One series of several."""
    return {"labels": {"n": str(n)}, "value": n}


def test_a_family_may_get_its_first_series_while_it_is_shown(page: Page, server: Served) -> None:
    """Two at once."""
    page.open(server.url)
    often(page)
    answer(page, {"name": "doors", "series": []})
    open_family(page, "doors")
    page.sees("none", ".tiles")
    answer(page, {"name": "doors", "series": [gauge(1), gauge(2)]})

    page.sees(f"1 {DASH} 2", ".tiles")
    page.sees("Series", ".tiles")


def test_what_is_not_so_any_more_goes_from_the_screen(page: Page, server: Served) -> None:
    """A chart of more series than can be told apart, buckets that differ, an exemplar."""
    page.open(server.url)
    often(page)
    answer(page, {"name": "doors", "series": [gauge(n) for n in range(5)]})
    open_family(page, "doors")
    page.sees("Their values", "figure")
    answer(page, {"name": "doors", "series": [gauge(n) for n in range(6)]})
    page.wait("!document.querySelector('figure')", "the chart is gone")

    wait = {"labels": {}, "count": 3, "sum": 6, "exemplars": [{"labels": {"t": "1"}, "value": 2}]}
    waits = {"name": "wait", "type": "histogram"}
    answer(page, {**waits, "series": [{**wait, "buckets": [[1, 1], ["+Inf", 3]]}]})
    open_family(page, "wait")
    page.sees('t="1"', ".exemplars")
    page.sees("Quantiles of the last minute", ".charts")
    del wait["exemplars"]
    answer(page, {**waits, "series": [wait]})
    page.wait("!document.querySelector('.exemplars, .buckets, .quantiles')", "only counts are left")
    titles = "[...document.querySelectorAll('figure h3')].map((title) => title.textContent).join()"
    page.wait(f"{titles} === 'Observations'")

    answer(page, {**waits, "series": [{**wait, "buckets": [[1, 1], ["+Inf", 3]]}]})
    page.wait("document.querySelector('.quantiles') !== null")
    parts = "[...document.querySelector('.panel').children].map((part) => part.classList.value)"
    order = ["panel-head", "tiles", "scroll quantiles", "charts", "scroll buckets"]
    assert page.evaluate(parts) == order


def test_a_row_says_what_is_known(page: Page, server: Served) -> None:
    """NaN is neither the least nor the most."""
    server.push(
        '# TYPE some gauge\nsome{n="1"} NaN\nsome{n="2"} 3\nsome{n="3"} 5\n'
        "# TYPE none gauge\nnone NaN\n"
    )
    page.open(server.url)

    assert f"3 {DASH} 5" in row(page, "some")
    assert "NaN" in row(page, "none")


def test_a_counter_is_named_as_it_was_pushed(page: Page, server: Served) -> None:
    """The old text format knows no suffix, and `/metrics` adds none."""
    headers = {"content-type": "text/plain; version=0.0.4"}
    server.ask("metrics/job/plain", "POST", b"# TYPE bare counter\nbare 3\n", headers)
    page.open(server.url)

    assert "3" in row(page, "bare")


def test_a_histogram_without_a_sum_has_no_mean(page: Page, server: Served) -> None:
    """As collectors may give one."""
    page.open(server.url)
    often(page)
    series = {"labels": {}, "count": 4, "buckets": [[1, 2], ["+Inf", 4]]}
    answer(page, {"name": "wait", "type": "histogram", "series": [series]})

    assert "4 observed" in row(page, "wait")
    open_family(page, "wait")
    tiles = "[...document.querySelectorAll('.tiles div')].map((tile) => tile.innerText).join()"
    page.wait(f"{tiles}.includes('Sum\\n{DASH},Mean\\n{DASH}')")
    assert page.text(".quantiles tbody tr").split()[3] == DASH


def test_a_group_can_be_seen_and_deleted(page: Page, server: Served) -> None:
    """After a question; what needs it is written in base64, also a job with a slash."""
    server.push("# TYPE up gauge\nup 1\n", "job@base64/YS9i/where/here")
    server.push("# TYPE up gauge\nup 1\n", "job/kept")
    with pytest.raises(urllib.error.HTTPError):
        server.push("# TYPE up gauge\nup 1 12345\n", "job/kept")
    page.open(server.url + "#view=groups")
    page.sees('job="a/b"')
    page.sees('where="here"')
    page.wait("document.querySelectorAll('.groups .rate.bad').length === 1", "one was refused")

    page.click("button[aria-label*='a/b']")
    page.sees("Delete this group?")
    page.click("#sure button[value=no]")
    assert b"a/b" in server.ask("metrics")
    page.click("button[aria-label*='a/b']")
    page.click("#sure button[value=yes]")
    page.wait("document.querySelectorAll('.groups .rows .row').length === 1")
    assert b"a/b" not in server.ask("metrics")


def test_a_group_says_when_it_expires(page: Page, server: Served) -> None:
    """If it does."""
    server.push("# TYPE up gauge\nup 1\n", "job/short", **{"Tallymark-TTL": "7200"})
    server.push("# TYPE up gauge\nup 1\n", "job/long")
    page.open(server.url + "#view=groups")

    page.sees("in 1 h 59 min")
    rows = "[...document.querySelectorAll('.rows .row')].map((row) => row.innerText)"
    long, short = sorted(page.evaluate(rows))
    assert "in 1 h 59 min" in short and " in " not in long


def test_the_stores_say_how_they_are(
    page: Page, serve: Callable[..., Served], tmp_path: Path
) -> None:
    """What should be zero and is not comes first, with what to do; processes are listed."""
    store = f"file:{tmp_path}/shop.tally"
    doors = "tallymark.Gauge('doors', 'Open ones.', multiprocess_mode='all').set(1)"
    pid = count(store, f"{doors}; tallymark.Gauge('clash', 'One.').set(1); print(os.getpid())")
    count(store, "tallymark.Counter('clash', 'Another.').inc()")
    page.open(serve(store).url + "#view=health")

    page.sees("1 thing needs a look")
    first_row = page.text(".plain tbody tr")
    assert "tallymark_conflicting_series" in first_row and "look" in first_row
    page.sees(pid.strip(), "article")
