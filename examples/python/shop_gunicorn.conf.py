"""
gunicorn's settings for `shop.py`: four workers that are replaced after some 150 requests each.

There is nothing about metrics here. No `child_exit` hook, no directory to empty at the start, no
`preload_app`: a worker that ends leaves its counts in the store.
"""

bind = "127.0.0.1:8000"
workers = 4
worker_class = "gthread"
threads = 2
max_requests = 150
max_requests_jitter = 50
control_socket_disable = True
