"""What one package reads out of a text the other does: the same families, up to the same line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import pytest

TEXT = r"""# HELP hits Pages \"served\" \\ so\nfar.
# TYPE hits counter
hits{path="/a\"b\\",code="200"} 3 1500
hits_total 18446744073709551615
# TYPE wait summary
wait{quantile="0.5",} 1e-3
wait_sum 2.5
wait_count 7
  # a comment
# TYPE size histogram
size_bucket{le="1"}	2
size_bucket{le="+Inf"} 3 -1.5
size_count 3
# TYPE "a b.c" gauge
{"a b.c","d e"="f"} NaN
up 1
"""
OPENMETRICS = r"""# TYPE hits counter
# HELP hits Pages \"served\" \\ so\nfar.
hits_total{path="/a\"b\\",code="200"} 3 1.5 # {trace="t"} 0.5 1.000000001
hits_created{path="/a\"b\\",code="200"} 1 1.5
# TYPE wait_seconds summary
# UNIT wait_seconds seconds
wait_seconds{quantile="0.5"} 1e-3
wait_seconds_count 7
wait_seconds_sum 2.5
# TYPE size histogram
size{a="b"} {count:3,sum:2,schema:0,zero_threshold:0.1,zero_count:1,positive_spans:[0:1]}
size_bucket{a="c",le="1"} 2
size_bucket{a="c",le="+Inf"} 3 # {} 2
size_count{a="c"} 3
size_sum{a="c"} 4
# TYPE queue gaugehistogram
queue_bucket{le="-1"} 2
queue_bucket{le="+Inf"} 3
queue_gcount 3
queue_gsum -4
# TYPE build info
build_info{version="1"} 1
# TYPE state stateset
state{state="on"} 1
state{state="off"} 0
# TYPE "a b.c" gauge
{"a b.c","d e"="f"} NaN
up 1 -1.25
# EOF
"""
WHOLE = {"parser": TEXT, "openmetrics_parser": OPENMETRICS}
# What a slip of the hand leaves behind; the empty one stands for a character that is lost.
SLIPS = [
    "",
    '"',
    "\\",
    "{",
    "}",
    ",",
    "=",
    " ",
    "#",
    "\n",
    "_",
    "1",
    "-",
    ".",
    "NaN",
    "é",
    "\t",
    "\r",
]
# Lines that are no slip but odd, for families of any type.
LINES = [
    *("nan", "inf", "1", "a", "a ", "a{", "a}", "{}", "{} 1", '{""} 1', "a{}1", "a{} 1", "a{}é1"),
    *(
        "a 1 ",
        " a 1",
        "a  1",
        "a\t1",
        "a 1 1.5 2",
        "a 1 # {",
        'a 1 # {b="c"}',
        "a 1 # {} 1",
        "a 1  # {} 1",
    ),
    *(
        'a{b="c"',
        'a{b="c} 1',
        "a{b=c} 1",
        "a{b} 1",
        'a{,b="c"} 1',
        'a{b="c",} 1',
        'a{b="c",,d="e"} 1',
    ),
    *('a{b="c" d="e"} 1', 'a{="c"} 1', "a{b=} 1", 'a{b="c",b="d"} 1', 'a{__b="c"} 1', 'a{"b"} 1'),
    *(
        '{"a","b"} 1',
        '{"a"="b"} 1',
        '{__name__="a"} 1',
        '{"a b",c="d"} 1',
        'a{"b c"="d"} 1',
        'a{ b = "c" } 1',
    ),
    *(
        "a 0x1",
        "a 1_0",
        "a +1",
        "a 1.",
        "a .5",
        "a 1e400",
        "a -Infinity",
        "a 1 1e3",
        "a 1 1.",
        "a 1 NaN",
    ),
    *(
        "a 1 1.1234567891",
        "a 1 -0.5",
        "a 1 -1.5",
        "a 1 1.+5",
        "a 1 1.5e3",
        "a 1 0x1",
        "a 1\u00a0",
        "\x1ca 1",
    ),
    *(
        "# HELP",
        "# HELP a",
        "# HELP a ",
        '# HELP "a" b',
        "# HELP a.b c",
        "# TYPE a",
        "# TYPE a x",
        "#TYPE a gauge",
    ),
    *(
        "# TYPE a untyped",
        "# TYPE a gauge ",
        "# UNIT a ",
        "# UNIT a b",
        "# X a b",
        "#",
        "# EOF",
        " # EOF",
        "# EOF ",
    ),
    *(
        "a_bucket 1",
        'a_bucket{le="x"} 1',
        'a_bucket{le="+Inf"} 1',
        'a_bucket{le="inf"} 1',
        "a_count 1.5",
    ),
    *(
        'a_total 1 # {b="c"} 1 2"}',
        'a_total 1 # {b="c"} 1 2"',
        'a_total 1 # {b="c"} "1"',
        "a_total NaN",
        "a_total -1",
        'a{quantile="2"} 1',
        'a{quantile="0.5"} -1',
        'a{a="b"} 2',
        "a_info 2",
    ),
    *(
        "a {count:1}",
        "a_sum {count:1,sum:1,schema:1,zero_threshold:1,zero_count:1}",
        "a {count:1",
        "a{} {}",
    ),
    *("a {count:1,sum:1_0,schema:1,zero_threshold: 1 ,zero_count:1,x:y} 5", "a 1 # {} 1 {count:1}"),
]
TYPES = [
    *("counter", "gauge", "summary", "histogram", "gaugehistogram", "info", "stateset", "unknown"),
    "untyped",
]


def read(c: Any, parser: str, texts: Iterable[str]) -> list[list[str]]:
    """
    Give the families of each text and whether it was read to its end.

    Whatever the official parser raises about a text is a `ValueError` of ours.
    """
    errors = ValueError
    if c.package.__name__ == "prometheus_client":
        errors = (AttributeError, IndexError, KeyError, TypeError, ValueError)
    found = []
    for text in texts:
        families = []
        try:
            for family in getattr(c, parser).text_string_to_metric_families(text):
                families.append(repr(family))
        except errors:
            families.append("refused")
        found.append([text, *families])
    return found


@pytest.mark.parametrize("parser", WHOLE)
def test_a_whole_exposition_is_read_alike(parser: str, same: Any) -> None:
    """Values keep their type, times their precision, names and labels their text."""
    [found] = same(read, parser, [WHOLE[parser]])

    assert "refused" not in found


@pytest.mark.parametrize("parser", WHOLE)
@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_at_any_place_has_the_same_consequence(parser: str, slip: str, same: Any) -> None:
    """A character is lost or replaced; the families before it are the same, and so is the rest."""
    whole = WHOLE[parser]
    starts = [0, *(at + 1 for at, character in enumerate(whole) if character == "\n")]
    texts = [
        whole[start:at] + slip + whole[at + 1 :]
        for start, end in pairwise(starts)
        for at in range(start, end)
    ]

    found = same(read, parser, texts)

    assert any("refused" in one for one in found)


@pytest.mark.parametrize("parser", WHOLE)
@pytest.mark.parametrize("kind", TYPES)
def test_odd_lines_are_read_or_refused_alike(parser: str, kind: str, same: Any) -> None:
    """Alone, in a family of each type, and behind a sample that both read."""
    texts = []
    for line in LINES:
        texts += [f"{line}\n# EOF\n", f"# TYPE a {kind}\n{line}\n# EOF\n", f"b 1\n{line}\n# EOF"]

    same(read, parser, texts)


@pytest.mark.parametrize("parser", WHOLE)
def test_lines_in_another_order_are_read_or_refused_alike(parser: str, same: Any) -> None:
    """Each line in each other line's place, and each twice."""
    lines = WHOLE[parser].splitlines(keepends=True)
    texts = []
    for taken in range(len(lines)):
        rest = lines[:taken] + lines[taken + 1 :]
        for at in range(len(lines)):
            texts.append("".join([*rest[:at], lines[taken], *rest[at:]]))
        texts.append("".join([*lines[:taken], lines[taken], *lines[taken:]]))

    same(read, parser, texts)


@pytest.mark.parametrize("parser", WHOLE)
def test_only_legacy_names_are_read_when_that_is_asked_for(parser: str, same: Any) -> None:
    """The switch is looked at by parsers too."""

    def run(c: Any) -> list[list[str]]:
        c.validation.enable_legacy_validation()
        try:
            lines = ['{"a b"} 1', 'a{"b c"="d"} 1', 'a{b:c="d"} 1', "a:b 1", '{"a"} 1']
            return read(c, parser, [f"{line}\n# EOF\n" for line in lines])
        finally:
            c.validation.disable_legacy_validation()

    same(run)


@pytest.mark.parametrize("parser", WHOLE)
def test_lines_are_asked_for_one_by_one(parser: str, same: Any) -> None:
    """A family is given when a line has ended it, an error raised at the line that is wrong."""

    def run(c: Any) -> list[object]:
        happened: list[object] = []

        def lines() -> Iterator[str]:
            for line in ["# TYPE a gauge\n", "a 1", "b 2\n", "c 3", "d\n", "e 4\n"]:
                happened.append(line)
                yield line

        try:
            for family in getattr(c, parser).text_fd_to_metric_families(lines()):
                happened.append(family.name)
        except ValueError:
            happened.append("refused")
        return happened

    same(run)


@pytest.mark.parametrize("strict", [False, True])
def test_labels_are_read_or_refused_alike(strict: bool, same: Any) -> None:
    """Also when they are read without a line around them."""

    def run(c: Any) -> list[object]:
        texts = [line[line.find("{") + 1 : line.rfind("}")] for line in LINES if "{" in line]
        found: list[object] = []
        for text in texts:
            try:
                # A lone brace keeps the official one busy for ever.
                found.append([text, c.parser.parse_labels(text, strict) if "}" not in text else 0])
            except (IndexError, ValueError):
                found.append([text, "refused"])
        return found

    same(run)
