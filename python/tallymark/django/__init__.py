"""The metrics endpoint for Django, which must be installed: see ``django.exposition``."""

from .exposition import PrometheusDjangoView

__all__ = ("PrometheusDjangoView",)
