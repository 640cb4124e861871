"""What is ordered: a table whose inserts the library counts."""

from django.db import models
from django_prometheus.models import ExportModelOperationsMixin


class Order(ExportModelOperationsMixin("order"), models.Model):
    """One dish for one guest."""

    dish = models.CharField(max_length=30)
