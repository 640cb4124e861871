"""
A course catalogue with a home page and a JSON API, measured from the outside in.

No view knows about metrics: a hook before each request looks at the clock, a hook after it counts
and times. `/metrics` is the ready-made WSGI application, mounted beside Flask.

Run it:

    export TALLYMARK_STORE=file:/tmp/university.tally
    gunicorn --workers 2 university:app
    curl --json '{"code": "CS101", "title": "Programs"}' http://127.0.0.1:8000/api/courses
    curl 'http://127.0.0.1:8000/api/courses?search=prog'
    curl http://127.0.0.1:8000/metrics
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing

from flask import Flask, Response, abort, g, jsonify, render_template_string, request
from flask.typing import ResponseReturnValue
from tallymark import Counter, Histogram, make_wsgi_app
from werkzeug.middleware.dispatcher import DispatcherMiddleware

DATABASE = os.environ.get("UNIVERSITY_DB", "university.db")

REQUEST_COUNT = Counter(
    "app_request_count", "Requests answered.", ["method", "endpoint", "http_status"]
)
REQUEST_LATENCY = Histogram(
    "app_request_latency_seconds", "Time to answer a request.", ["method", "endpoint"]
)

FIND = """
SELECT code, title FROM courses WHERE instr(lower(code || ' ' || title), lower(?)) ORDER BY code
"""

HOME = """<!doctype html>
<title>University</title>
<h1>Courses</h1>
<form><input name="search" value="{{ search }}"> <button>Search</button></form>
<ul>
{% for course in courses %}<li>{{ course.code }}: {{ course.title }}</li>
{% else %}<li>none</li>
{% endfor %}
</ul>
"""

app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
    app.wsgi_app, {"/metrics": make_wsgi_app()}
)


def connect() -> sqlite3.Connection:
    """Opens the catalogue; a writer waits up to ten seconds for its turn."""
    db = sqlite3.connect(DATABASE, timeout=10)
    db.row_factory = sqlite3.Row
    return db


with closing(connect()) as _db:
    _db.execute("CREATE TABLE IF NOT EXISTS courses (code TEXT PRIMARY KEY, title TEXT NOT NULL)")


def find_courses(search: str) -> list[dict[str, str]]:
    """Finds the courses that have *search* in their code or title, in any case."""
    with closing(connect()) as db:
        rows = db.execute(FIND, [search])
        return [dict(row) for row in rows]


@app.before_request
def start_timer() -> None:
    """Remembers when the request came in."""
    g.started = time.perf_counter()


@app.after_request
def record_request(response: Response) -> Response:
    """Counts and times the request, errors included."""
    if request.url_rule is None:
        # The path and the method are what a stranger typed: not for label values.
        method, endpoint = "other", "unmatched"
    else:
        method, endpoint = request.method, request.url_rule.rule
    REQUEST_COUNT.labels(method, endpoint, response.status_code).inc()
    REQUEST_LATENCY.labels(method, endpoint).observe(time.perf_counter() - g.started)
    return response


@app.get("/")
def home() -> ResponseReturnValue:
    """The page people see."""
    search = request.args.get("search", "")
    return render_template_string(HOME, search=search, courses=find_courses(search))


@app.get("/api/courses")
def search_courses() -> ResponseReturnValue:
    """Finds courses: `?search=` in code or title, all without it."""
    return jsonify(find_courses(request.args.get("search", "")))


@app.post("/api/courses")
def create_course() -> ResponseReturnValue:
    """Creates a course from `{"code": …, "title": …}`; 409 if the code is taken."""
    course = request.get_json()
    try:
        code, title = str(course["code"]), str(course["title"])
    except (KeyError, TypeError):
        abort(400, "a course has a code and a title")
    try:
        with closing(connect()) as db, db:
            db.execute("INSERT INTO courses (code, title) VALUES (?, ?)", [code, title])
    except sqlite3.IntegrityError:
        abort(409, f"{code} is taken")
    return jsonify(code=code, title=title), 201
