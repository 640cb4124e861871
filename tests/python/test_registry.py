"""A registry asks the right collectors, keeps names apart, and is never in the way."""

from __future__ import annotations

import copy
import gc
import os
import threading
from collections.abc import Iterable
from unittest.mock import MagicMock

import pytest
from tallymark import CollectorRegistry, Counter, Gauge, ProcessCollector, Summary, generate_latest
from tallymark.core import REGISTRY, DuplicateTimeseries, GaugeMetricFamily, Metric
from tallymark.registry import Collector


class Fixed:
    """A collector that gives what it was given, and counts how often it was asked."""

    def __init__(self, *families: Metric) -> None:
        self.families = families
        self.asked = 0

    def collect(self) -> Iterable[Metric]:
        self.asked += 1
        return self.families


def names(registry: CollectorRegistry) -> list[str]:
    """Give the names of the families in a scrape."""
    return [family.name for family in registry.collect()]


def test_collectors_are_asked_in_the_order_of_registration(registry: CollectorRegistry) -> None:
    """Native and custom ones alike."""
    Gauge("b", "h", registry=registry)
    registry.register(Fixed(GaugeMetricFamily("a", "h", value=1)))
    Gauge("c", "h", registry=registry)

    assert ["b", "a", "c"] == names(registry)


def test_a_duplicate_is_refused_and_names_what_clashes(registry: CollectorRegistry) -> None:
    """Every clashing name is listed, in the same order every time."""
    Summary("s", "h", registry=registry)

    with pytest.raises(DuplicateTimeseries) as caught:
        Summary("s", "h", registry=registry)

    assert {"s", "s_sum", "s_count", "s_created"} == caught.value.duplicates
    assert (
        "Duplicated timeseries in CollectorRegistry: {'s', 's_count', 's_created', 's_sum'}"
        == str(caught.value)
    )
    assert ["s"] == names(registry)


def test_a_name_claimed_by_a_suffix_clashes(registry: CollectorRegistry) -> None:
    """A gauge may not be called like a summary's sample."""
    Summary("s", "h", registry=registry)

    with pytest.raises(DuplicateTimeseries):
        Gauge("s_sum", "h", registry=registry)


def test_unregistering_frees_the_names(registry: CollectorRegistry) -> None:
    """The next metric may have them."""
    registry.unregister(Gauge("g", "h", registry=registry))
    Gauge("g", "again", registry=registry)

    assert b"# HELP g again\n# TYPE g gauge\ng 0.0\n" == generate_latest(registry)


def test_unregistering_a_stranger_is_an_error(registry: CollectorRegistry) -> None:
    """It would go unnoticed otherwise."""
    with pytest.raises(KeyError):
        registry.unregister(Fixed())


def test_auto_describe_collects_once_at_registration() -> None:
    """To learn the names, so that clashes are found at once."""
    registry = CollectorRegistry(auto_describe=True)
    collector = Fixed(GaugeMetricFamily("g", "h", value=1))
    registry.register(collector)

    assert 1 == collector.asked
    with pytest.raises(DuplicateTimeseries):
        Gauge("g", "h", registry=registry)


def test_without_auto_describe_a_collector_is_left_alone(registry: CollectorRegistry) -> None:
    """Until somebody scrapes."""
    collector = Fixed()
    registry.register(collector)

    assert 0 == collector.asked
    assert [] == registry._collector_to_names[collector]


def test_a_describe_that_gives_nothing_claims_nothing() -> None:
    """And keeps the collector from being asked at registration."""
    registry = CollectorRegistry(auto_describe=True)
    collector = MagicMock()
    collector.describe.return_value = []
    registry.register(collector)

    collector.collect.assert_not_called()
    assert {} == registry._names_to_collectors


def test_a_collector_may_register_another_while_it_describes_itself() -> None:
    """No lock is held while it is asked."""
    registry = CollectorRegistry(auto_describe=True)

    class Nested:
        def collect(self) -> Iterable[Metric]:
            if "inner" not in registry._names_to_collectors:
                Gauge("inner", "h", registry=registry)
            return []

    registry.register(Nested())

    assert ["inner"] == names(registry)


def test_a_collector_that_registers_itself_during_a_scrape_does_no_harm(
    registry: CollectorRegistry,
) -> None:
    """The new one is there at the next scrape at the latest."""

    class Growing:
        def collect(self) -> Iterable[Metric]:
            Gauge(f"g_{len(registry._collector_to_names)}", "h", registry=registry)
            return []

    registry.register(Growing())
    generate_latest(registry)
    generate_latest(registry)

    assert {"g_1", "g_2"} <= set(registry._names_to_collectors)


def test_target_info_comes_first_and_can_change(registry: CollectorRegistry) -> None:
    """It is a metric of the registry itself."""
    Gauge("g", "h", registry=registry)
    registry.set_target_info({"env": "test"})

    assert {"env": "test"} == registry.get_target_info()
    assert ["target", "g"] == names(registry)
    assert b'target_info{env="test"} 1.0' in generate_latest(registry)

    registry.set_target_info(None)

    assert registry.get_target_info() is None
    assert ["g"] == names(registry)


def test_target_info_keeps_its_name_for_itself() -> None:
    """Both ways round."""
    registry = CollectorRegistry(target_info={"a": "b"})

    with pytest.raises(DuplicateTimeseries):
        Gauge("target_info", "h", registry=registry)

    registry = CollectorRegistry()
    Gauge("target_info", "h", registry=registry)

    with pytest.raises(ValueError, match="already contains a target_info"):
        registry.set_target_info({"a": "b"})


def test_a_restricted_registry_asks_only_whose_name_was_given() -> None:
    """The others may be slow."""
    registry = CollectorRegistry(auto_describe=True)
    wanted, other = (Fixed(GaugeMetricFamily(name, "h", value=1)) for name in "wo")
    registry.register(wanted)
    registry.register(other)
    view = registry.restricted_registry(["w"])

    assert ["w"] == [family.name for family in view.collect()]
    assert b"# HELP w h\n# TYPE w gauge\nw 1.0\n" == generate_latest(view)
    assert (3, 1) == (wanted.asked, other.asked)


def test_a_restricted_registry_sees_metrics_that_come_later(registry: CollectorRegistry) -> None:
    """Names are looked up when somebody scrapes."""
    view = registry.restricted_registry(["s_sum"])

    assert [] == list(view.collect())

    Summary("s", "h", registry=registry).observe(7)

    assert [("s", [("s_sum", {}, 7.0)])] == [
        (family.name, [sample[:3] for sample in family.samples]) for family in view.collect()
    ]


def test_a_restricted_registry_keeps_the_order_of_registration(registry: CollectorRegistry) -> None:
    """Whatever the order of the names: the same text every time."""
    for name in "zyxwvu":
        Gauge(name, "h", registry=registry)

    view = registry.restricted_registry(set("uvwxyz"))

    assert list("zyxwvu") == [family.name for family in view.collect()]


@pytest.mark.parametrize("supported", [True, False])
def test_collectors_without_names_join_restricted_registries_on_demand(supported: bool) -> None:
    """They might have what was asked for."""
    registry = CollectorRegistry(support_collectors_without_names=supported)
    registry.register(Fixed(GaugeMetricFamily("g", "h", value=1)))

    families = registry.restricted_registry(["g"]).collect()

    assert (["g"] if supported else []) == [family.name for family in families]


def test_no_lock_is_held_while_families_are_given(registry: CollectorRegistry) -> None:
    """Whoever takes them may register something."""
    registry.set_target_info({"a": "b"})
    Summary("s", "h", registry=registry)
    for source in (registry, registry.restricted_registry(["target_info", "s_sum"])):
        for _ in source.collect():
            assert not registry._lock.locked()

    with registry._lock:
        assert registry._lock.locked()


def test_a_value_is_found_by_name_and_all_labels(registry: CollectorRegistry) -> None:
    """And None if there is none."""
    hits = Counter("hits", "h", ["a"], registry=registry)
    hits.labels("x").inc(2)

    assert 2 == registry.get_sample_value("hits_total", {"a": "x"})
    assert registry.get_sample_value("hits_total") is None
    assert registry.get_sample_value("hits_total", {"a": "y"}) is None


@pytest.mark.parametrize(
    "forget",
    [
        lambda r: [r.unregister(c) for c in list(r._collector_to_names)],
        lambda r: (r._collector_to_names.clear(), r._names_to_collectors.clear()),
        lambda r: [r._collector_to_names.pop(c) for c in list(r._collector_to_names)],
        lambda r: [r._collector_to_names.popitem() for _ in range(2)],
        lambda r: setattr(r, "_collector_to_names", {}),
    ],
)
def test_clearing_the_dicts_clears_the_exposition(
    registry: CollectorRegistry, forget: object
) -> None:
    """Notebooks, reloaders and test suites do so; the native twin follows."""
    Gauge("g", "h", registry=registry)
    registry.register(Fixed(GaugeMetricFamily("f", "h", value=1)))

    assert callable(forget)
    forget(registry)

    assert b"" == generate_latest(registry)
    assert [] == registry._core.collectors()


def test_putting_collectors_back_into_the_dict_shows_them_again(
    registry: CollectorRegistry,
) -> None:
    """A saved copy is a plain dict and can be restored, in its order."""
    first, second = (Gauge(name, "h", registry=registry) for name in "ab")
    saved = copy.copy(registry._collector_to_names)
    registry._collector_to_names.clear()
    registry._collector_to_names.update(saved)
    registry._collector_to_names.setdefault(first, ["never"])

    assert dict is type(saved)
    assert ["a", "b"] == names(registry)
    assert [first, second] == registry._core.collectors()
    assert ["a"] == registry._collector_to_names[first]


def test_a_metric_is_found_by_its_name(registry: CollectorRegistry) -> None:
    """Get-or-create, as many programs do it."""
    gauge = Gauge("g", "h", registry=registry)

    assert gauge is registry._names_to_collectors["g"]
    assert ["g"] == registry._collector_to_names[gauge]


def test_a_subclass_that_collects_otherwise_is_asked(registry: CollectorRegistry) -> None:
    """The native way is taken only where it comes to the same."""

    class Doubled(CollectorRegistry):
        def collect(self) -> Iterable[Metric]:  # type: ignore[override]
            return [*super().collect(), GaugeMetricFamily("extra", "h", value=1)]

    doubled = Doubled()
    Gauge("g", "h", registry=doubled)

    assert b"extra 1.0\n" in generate_latest(doubled)
    assert b"g 0.0\n" in generate_latest(doubled)


def test_a_registry_may_be_used_while_it_is_locked(registry: CollectorRegistry) -> None:
    """By a finalizer or a signal handler, which cannot wait for the code they interrupt."""
    with registry._lock:
        registry.unregister(Gauge("g", "h", registry=registry))

    assert [] == names(registry)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_may_register_although_a_lock_was_held_at_the_fork(
    registry: CollectorRegistry,
) -> None:
    """The thread that held it does not exist in the child."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with registry._lock:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    pid = os.fork()
    if pid == 0:
        try:
            Gauge("g", "h", registry=registry)
            os._exit(0)
        finally:
            os._exit(1)
    done.set()
    thread.join()

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_scrape_makes_no_cyclic_garbage(registry: CollectorRegistry) -> None:
    """Programs that switch the collector off must not grow."""
    Counter("hits", "h", ["a"], registry=registry).labels("x").inc()
    registry.register(Fixed(GaugeMetricFamily("g", "h", value=1)))
    generate_latest(registry)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            generate_latest(registry)
            list(registry.restricted_registry(["g", "hits_total"]).collect())

        assert 0 == gc.collect()
    finally:
        gc.enable()


def test_what_has_collect_is_a_collector() -> None:
    """No base class is needed, and metrics are collectors too."""
    assert isinstance(Fixed(), Collector)
    assert isinstance(Gauge("g", "h", registry=None), Collector)
    assert not isinstance(object(), Collector)


def test_the_default_registry_describes_and_has_the_standard_collectors() -> None:
    """As the official client's."""
    assert {"python_info", "python_gc_collections"} <= set(REGISTRY._names_to_collectors)


def test_an_equal_collector_is_unregistered(registry: CollectorRegistry) -> None:
    """As a dict finds it."""

    class Disk:
        def __init__(self, path: str) -> None:
            self.path = path

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Disk) and self.path == other.path

        def __hash__(self) -> int:
            return hash(self.path)

        def collect(self) -> list[Metric]:
            return [Metric("disk", "D.", "gauge")]

    registry.register(Disk("/"))
    registry.unregister(Disk("/"))

    assert [] == list(registry.collect())


def test_a_process_collector_claims_no_names_unless_it_is_asked(
    registry: CollectorRegistry,
) -> None:
    """Only a registry that describes its collectors itself asks."""
    ProcessCollector(registry=registry)
    ProcessCollector(registry=registry)

    with pytest.raises(ValueError, match="Duplicated"):
        ProcessCollector(registry=REGISTRY)
