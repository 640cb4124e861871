"""Which Python this is, as one series whose labels say it.

Read once, since it does not change while a process lives. What the process is doing is told by
``process_collector``.
"""

from __future__ import annotations

import platform as _platform
from collections.abc import Iterable
from typing import Any

from .metrics_core import GaugeMetricFamily, Metric
from .registry import REGISTRY, Collector, CollectorRegistry


class PlatformCollector(Collector):
    """
    The family ``python_info``.

    Args:
        registry: Where to register, None for nowhere.

        platform: What to ask instead of the module ``platform``.

    Example:
        >>> family, = PlatformCollector(registry=None).collect()
        >>> sorted(family.samples[0].labels)
        ['implementation', 'major', 'minor', 'patchlevel', 'version']
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = REGISTRY,
        platform: Any | None = None,
    ) -> None:
        self._platform = _platform if platform is None else platform
        info = self._python()
        if self._platform.system() == "Java":
            info.update(self._java())
        family = GaugeMetricFamily("python_info", "Python platform information", labels=info)
        family.add_metric(info.values(), 1)
        self._families: list[Metric] = [family]
        if registry:
            registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Give the one family."""
        return self._families

    def _python(self) -> dict[str, str]:
        major, minor, patchlevel = self._platform.python_version_tuple()
        return {
            "version": self._platform.python_version(),
            "implementation": self._platform.python_implementation(),
            "major": major,
            "minor": minor,
            "patchlevel": patchlevel,
        }

    def _java(self) -> dict[str, str]:
        version, _, (name, release, vendor), _ = self._platform.java_ver()
        return {
            "jvm_version": version,
            "jvm_release": release,
            "jvm_vendor": vendor,
            "jvm_name": name,
        }


PLATFORM_COLLECTOR = PlatformCollector()
"""The collector in `REGISTRY`."""
