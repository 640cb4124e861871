"""What others push is text, whoever reads it has a right to, and nobody else is told."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import Page
from serving import OPENMETRICS, SHOP, Served
from steps import answer, often, open_family, row

EVIL = "<img src=x onerror=hacked=1><script>hacked=1</script>"


def test_text_of_metrics_is_never_html(page: Page, server: Served) -> None:
    """In names, labels, help, exemplars, groups, and in the address."""
    server.push(
        f"# HELP evil {EVIL}\n# TYPE evil counter\n"
        f'evil_total{{a="{EVIL}",b="javascript:hacked=1"}} 3 # {{t="{EVIL}"}} 1\n'
        f'evil_total{{a="x"}} 3\n'
        f'# HELP "{EVIL}" Its name.\n# TYPE "{EVIL}" gauge\n{{"{EVIL}"}} 1\n'
        f'# TYPE i info\ni_info{{v="{EVIL}"}} 1\n'
        f'# TYPE s stateset\ns{{s="{EVIL}"}} 1\n',
        "job/evil/where/%3Cimg%20src=x%20onerror=hacked=1%3E",
    )
    page.open(server.url)
    assert EVIL in row(page, "evil_total")
    page.sees(EVIL, ".rows .name")
    for view in ["family=evil", "family=i", "family=s", "view=groups", "view=health"]:
        page.evaluate(f"location.hash = '{view}'")
        page.sees("<img src=x", "main") if view != "view=health" else page.sees("Health", "h1")
    open_family(page, "evil")
    page.click("a[href*=javascript]")
    page.sees(EVIL, ".exemplars")
    page.evaluate(f"location.hash = new URLSearchParams({{family: {EVIL!r}}})")
    page.sees("Its name.")
    page.evaluate(f"location.hash = new URLSearchParams({{family: {EVIL + '!'!r}}})")
    page.sees("no metric of this name now")

    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('main img, main script').length") == 0
    links = page.evaluate("[...document.links].map((link) => link.protocol)")
    assert {"http:"} == set(links)


def test_names_that_every_object_has_are_names_like_others(page: Page, server: Served) -> None:
    """JavaScript's own."""
    names = ["__proto__", "constructor", "toString", "hasOwnProperty"]
    server.push("".join(f'# TYPE {name} gauge\n{name}{{valueOf="1"}} 7\n' for name in names))
    page.open(server.url)

    for name in names:
        assert "7" in row(page, name)


def test_every_file_forbids_what_is_not_its_own(server: Served) -> None:
    """By its Content-Security-Policy; a tag saves what the browser has."""
    for path in ["", "page/main.js", "page/page.css"]:
        with urllib.request.urlopen(server.url + path) as answer:
            headers = answer.headers
        policy = headers["content-security-policy"]

        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in headers
        with pytest.raises(urllib.error.HTTPError) as unchanged:
            server.ask(path, headers={"if-none-match": headers["etag"]})
        assert unchanged.value.code == 304


def test_a_script_in_the_page_is_not_run(page: Page, server: Served) -> None:
    """Were there a hole, the browser would still refuse."""
    page.open(server.url)
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'hacked = 1'}))"
    )

    assert page.evaluate("window.hacked") is None
    page.wait("true")
    assert "Content Security Policy" in page.problems.pop()


def test_it_asks_nobody_else_and_keeps_nothing(page: Page, server: Served) -> None:
    """No other host, no cookie."""
    server.push(SHOP)
    page.open(server.url)
    row(page, "orders_total")
    asked = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")

    assert len(asked) > 5
    assert [] == [url for url in asked if not url.startswith(server.url)]
    assert page.call("Storage.getCookies")["cookies"] == []


def test_a_prefix_is_kept(page: Page, serve: Callable[..., Served]) -> None:
    """Behind a proxy, the page lives where it was opened, also without the last slash."""
    server = serve("--web.route-prefix", "/tally")
    headers = {"content-type": OPENMETRICS}
    server.ask("tally/metrics/job/test", "POST", f"{SHOP}# EOF\n".encode(), headers)
    page.open(server.url + "tally")

    row(page, "orders_total")
    asked = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(url.startswith(server.url + "tally/") for url in asked)


def test_a_token_is_asked_for_and_forgotten(
    page: Page, serve: Callable[..., Served], tmp_path: Path
) -> None:
    """A wrong one is asked for again."""
    tokens = tmp_path / "tokens.yml"
    tokens.write_text(
        "- token: reading-token-of-the-test\n  scopes: [scrape]\n"
        "- token: pushing-token-of-the-test\n  scopes: [push]\n"
    )
    server = serve("--web.tokens.file", tokens)
    server.push(SHOP, authorization="Bearer pushing-token-of-the-test")
    page.open(server.url)
    page.sees("A token, please", "dialog[open]")
    page.type("wrong")
    page.press("Enter")
    page.sees("does not know that token", "dialog[open]")
    page.type("reading-token-of-the-test")
    page.press("Enter")

    row(page, "orders_total")
    kept = page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
    assert "reading-token" not in kept and page.evaluate("document.cookie") == ""
    # The browser itself says on the console that it was refused twice.
    assert ["401" in problem for problem in page.problems] == [True, True]
    page.problems.clear()
    page.open(server.url + "?again")
    page.sees("A token, please", "dialog[open]")
    page.problems.clear()


@pytest.fixture
def guarded(serve: Callable[..., Served], tmp_path: Path) -> Served:
    """A server that wants a token."""
    tokens = tmp_path / "tokens.yml"
    tokens.write_text("- token: reading-token-of-the-test\n  scopes: [scrape]\n")
    return serve("--web.tokens.file", tokens)


def test_what_cannot_be_a_token_is_not_sent(page: Page, guarded: Served) -> None:
    """No header can carry it; the page says so, and asks again."""
    page.open(guarded.url)
    page.sees("A token, please", "dialog[open]")
    page.evaluate("document.querySelector('#token-text').value = '\u20ac'.repeat(20)")
    page.press("Enter")
    page.sees("That is no token", "dialog[open]")
    page.type("reading-token-of-the-test")
    page.press("Enter")

    page.wait("document.querySelector('#state').dataset.state === 'live'")
    page.problems.clear()


def test_who_gives_no_token_is_left_alone(page: Page, guarded: Served) -> None:
    """Until the page is told to go on."""
    page.open(guarded.url)
    often(page)
    page.sees("A token, please", "dialog[open]")
    page.press("Escape")
    page.sees("this server wants a token, and none was given", "#trouble")
    page.sees("Paused", "#state")
    time.sleep(2)
    assert page.evaluate("document.querySelector('dialog[open]')") is None

    page.press("p")
    page.sees("A token, please", "dialog[open]")
    page.problems.clear()


def test_a_server_that_is_gone_and_back_is_noticed(
    page: Page, serve: Callable[..., Served], tmp_path: Path
) -> None:
    """What was seen stays on the screen meanwhile."""
    server = serve()
    server.push(SHOP)
    page.open(server.url)
    often(page)
    row(page, "orders_total")
    server.stop()
    page.sees("The server does not answer")
    assert "125" in row(page, "orders_total")

    server.start()
    server.push(SHOP)
    page.wait("document.querySelector('#trouble').hidden")
    page.problems.clear()


def test_a_server_that_hangs_is_noticed(page: Page, server: Served) -> None:
    """It takes the request, and never answers."""
    page.open(server.url)
    page.wait("document.querySelector('#state').dataset.state === 'live'")
    page.evaluate(
        "fetch = (path, {signal}) => new Promise((_, reject) =>"
        " signal?.addEventListener('abort', () => reject(signal.reason)))"
    )
    page.pass_time(45)

    page.sees("The server does not answer", "#trouble")


def test_a_fault_of_the_page_is_not_told_as_one_of_the_server(page: Page, server: Served) -> None:
    """And it goes on asking."""
    page.open(server.url)
    often(page)
    page.wait("document.querySelector('#state').dataset.state === 'live'")
    page.evaluate("fetch = async () => Response.json({})")
    page.sees("This page has a fault", "#trouble")
    assert "Fault" in page.text("#state")

    answer(page, {"name": "well", "series": [{"labels": {}, "value": 7}]})
    assert "7" in row(page, "well")
    page.wait("document.querySelector('#trouble').hidden")
    assert "not iterable" in page.problems.pop()
    page.problems.clear()
