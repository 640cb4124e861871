"""The metrics endpoint for aiohttp, which must be installed: see ``aiohttp.exposition``."""

from .exposition import make_aiohttp_handler

__all__ = ("make_aiohttp_handler",)
