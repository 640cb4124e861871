"""The metrics endpoint for Twisted, which must be installed: see ``twisted._exposition``."""

from ._exposition import MetricsResource

__all__ = ("MetricsResource",)
