"""A Django project as django-prometheus's documentation sets one up."""
