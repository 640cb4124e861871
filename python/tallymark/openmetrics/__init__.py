"""The OpenMetrics side of ``tallymark.exposition``: see ``openmetrics.exposition``."""
