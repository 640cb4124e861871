"""What tests do on the page again and again, in its words."""

from __future__ import annotations

import json
import time
from typing import Any

from browser import Page


def row(page: Page, name: str) -> str:
    """Give the text of a family's row, once it is there."""
    script = f"""[...document.querySelectorAll(".rows .row")]
        .find((row) => row.querySelector("a").textContent === "{name}")?.innerText"""
    found: str = page.wait(script, f"there is a row of {name}")
    return found


def open_family(page: Page, name: str) -> None:
    """Go to a family."""
    page.evaluate(f"location.hash = 'family={name}'")
    page.wait(f"document.querySelector('h1').textContent.startsWith('{name}')")


def names(page: Page) -> list[str]:
    """Give the families whose rows are there."""
    script = """[...document.querySelectorAll(".rows .name")].map((link) => link.textContent)"""
    found: list[str] = page.evaluate(script)
    return found


def often(page: Page) -> None:
    """Have it ask every second."""
    page.evaluate(
        "document.querySelector('#every').value = '1';"
        "document.querySelector('#every').dispatchEvent(new Event('change'))"
    )


def answer(page: Page, *families: dict[str, Any]) -> None:
    """Let the page get these families from now on, whatever its server has."""
    told = [{"type": "gauge", "help": "", **family} for family in families]
    document = json.dumps({"time": time.time(), "families": told})
    page.evaluate(f"fetch = async () => Response.json({document})")
