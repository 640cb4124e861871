"""The parsers, beyond what the official client's do: their errors, their hooks, their bounds."""

from __future__ import annotations

import gc
import inspect
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from tallymark import CollectorRegistry, Counter, generate_latest, parser
from tallymark.openmetrics import exposition as openmetrics_exposition
from tallymark.openmetrics import parser as openmetrics_parser
from tallymark.samples import Exemplar, Sample, Timestamp

PARSERS = [parser, openmetrics_parser]


@pytest.mark.parametrize("module", PARSERS)
def test_nothing_is_read_before_the_first_family_is_asked_for(module: ModuleType) -> None:
    """Both functions are generators, as the official ones are."""
    for function in (module.text_string_to_metric_families, module.text_fd_to_metric_families):
        assert inspect.isgeneratorfunction(function)

    families = module.text_string_to_metric_families("a{ 1\n")

    with pytest.raises(ValueError, match=r"^line 1: the brace is not closed"):
        next(families)
    assert [] == list(families)


@pytest.mark.parametrize("module", PARSERS)
def test_an_error_tells_the_line_and_what_was_found(module: ModuleType) -> None:
    """In whole texts and in lines."""
    for families in (
        module.text_string_to_metric_families("# TYPE a gauge\na 1\nb one\n# EOF\n"),
        module.text_fd_to_metric_families(["# TYPE a gauge", "a 1", "b one", "# EOF"]),
    ):
        with pytest.raises(ValueError, match=r'^line 3: "one" is no number$'):
            list(families)


@pytest.mark.parametrize("module", PARSERS)
def test_bytes_are_refused_with_advice(module: ModuleType) -> None:
    """Their encoding is not the parser's to guess."""
    with pytest.raises(TypeError, match="must be str, not bytes; decode it"):
        list(module.text_string_to_metric_families(b"a 1\n"))
    with pytest.raises(TypeError, match="must be str, not bytes; decode it"):
        list(module.text_fd_to_metric_families([b"a 1\n"]))


@pytest.mark.parametrize("module", PARSERS)
def test_half_a_surrogate_pair_is_refused(module: ModuleType) -> None:
    """It has no place in UTF-8, in which every exposition is written."""
    with pytest.raises(UnicodeEncodeError):
        list(module.text_string_to_metric_families('a{b="\ud800"} 1\n# EOF\n'))


@pytest.mark.parametrize("module", PARSERS)
def test_what_lines_raise_goes_through(module: ModuleType) -> None:
    """A connection that breaks is no exposition that is wrong; the families before it count."""

    def lines() -> Iterator[str]:
        yield from ["# TYPE a gauge", "a 1", "b 1"]
        raise ConnectionError

    families = module.text_fd_to_metric_families(lines())

    assert "a" == next(families).name
    with pytest.raises(ConnectionError):
        list(families)


def test_carriage_returns_and_odd_line_breaks_are_no_line_breaks() -> None:
    """They may stand in a label value."""
    value = "a\rb\u2028c\x0bd\x85"
    [family] = openmetrics_parser.text_string_to_metric_families(f'a{{b="{value}"}} 1\n# EOF\n')

    assert {"b": value} == family.samples[0].labels


def test_a_sample_parser_of_ones_own_is_used_from_the_next_call_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As users of the official client replace it; metadata is still read here."""
    lines = []

    def parse(line: str) -> Sample:
        lines.append(line)
        name, _, value = line.partition(":")
        return Sample(name, {"own": "yes"}, float(value))

    monkeypatch.setattr(parser, "_parse_sample", parse)
    text = "# HELP a Help.\n# TYPE a counter\n a:1 \n# a comment\n\nb:2\n"
    found = list(parser.text_string_to_metric_families(text))

    assert ["a:1", "b:2"] == lines
    assert ["a", "b"] == [family.name for family in found]
    assert [Sample("a_total", {"own": "yes"}, 1.0)] == found[0].samples
    assert ("counter", "Help.") == (found[0].type, found[0].documentation)
    assert [Sample("b", {"own": "yes"}, 2.0)] == found[1].samples


@pytest.mark.parametrize("module", PARSERS)
def test_single_lines_can_be_read(module: ModuleType) -> None:
    """Parsers that are built on the official client's use this one function of it."""
    assert Sample("a", {"b": "c"}, 1.5) == module._parse_sample('a{b="c"} 1.5')
    with pytest.raises(ValueError, match="is no number"):
        module._parse_sample("a x")


def test_help_is_read_without_its_escapes() -> None:
    """The other function that such parsers use."""
    for escaped, plain in [
        (r"a\\b", "a\\b"),
        (r"a\nb", "a\nb"),
        (r"a\\nb", r"a\nb"),
        ('\\"', '\\"'),
    ]:
        assert plain == parser._replace_help_escaping(escaped)


@pytest.mark.parametrize("text", ["}", "a}", ",}"])
def test_a_brace_among_labels_is_an_error(text: str) -> None:
    """It keeps the official function busy for ever."""
    with pytest.raises(ValueError, match=r"^Invalid labels: "):
        parser.parse_labels(text)


def test_everything_a_registry_writes_is_read_back(registry: CollectorRegistry) -> None:
    """The other half of this package writes it."""
    counter = Counter("hits", "Pages.", ["path"], registry=registry)
    counter.labels('/"\\\n').inc(2)
    text = openmetrics_exposition.generate_latest(registry, "allow-utf-8").decode()
    [expected] = registry.collect()

    assert [expected] == list(openmetrics_parser.text_string_to_metric_families(text))
    text = generate_latest(registry, "allow-utf-8").decode()
    family, created = parser.text_string_to_metric_families(text)
    assert ("hits", "hits_created") == (family.name, created.name)
    assert {"path": '/"\\\n'} == family.samples[0].labels


def test_values_are_of_the_types_of_this_package() -> None:
    """So that they can go into any of its families."""
    text = 'a_total 1 2.5 # {b="c"} 3 4\n# EOF\n'
    [family] = openmetrics_parser.text_string_to_metric_families("# TYPE a counter\n" + text)
    [sample] = family.samples

    assert (
        Sample("a_total", {}, 1, Timestamp(2, 500000000), Exemplar({"b": "c"}, 3, Timestamp(4, 0)))
        == sample
    )
    assert (Sample, int, Exemplar) == (type(sample), type(sample.value), type(sample.exemplar))


def test_names_that_come_again_are_one_object() -> None:
    """An exposition of a million lines has few names."""
    text = "".join(f'some_name{{some_label="{value}"}} 1\n' for value in range(10))
    families = list(parser.text_string_to_metric_families(text))

    assert 1 == len({id(family.samples[0].name) for family in families})
    assert 1 == len({id(next(iter(family.samples[0].labels))) for family in families})


@pytest.mark.parametrize("module", PARSERS)
def test_a_parser_that_is_left_half_way_leaves_nothing_behind(module: ModuleType) -> None:
    """Its families are freed with it."""

    class Lines:
        """Lines without end."""

        def __iter__(self) -> Iterator[str]:
            number = 0
            while True:
                number += 1
                yield f"a{number} 1\n"

    families = module.text_fd_to_metric_families(Lines())
    for _ in range(3):
        next(families)
    del families
    gc.collect()

    assert not [it for it in gc.get_objects() if type(it) is Sample and it.name == "a1"]


def test_importing_the_package_does_not_import_the_parsers() -> None:
    """Who only counts does not pay for them."""
    code = "import sys, tallymark; print('tallymark.parser' in sys.modules)"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "False\n" == printed


def test_a_parser_is_busy_while_it_asks_for_a_line() -> None:
    """A line that asks the parser for a family cannot have one."""
    families: list[Iterator[object]] = []

    def lines() -> Iterator[str]:
        yield from ["a 1"]
        next(families[0])

    families.append(parser.text_fd_to_metric_families(lines()))
    next(families[0])
    with pytest.raises(ValueError, match="already executing"):
        next(families[0])
