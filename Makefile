# Two commands: `make demo` runs the main job, `make test` passes every test. What they need is installed by scripts/.

.PHONY: demo test lint bench clean

demo:  ## A shop under gunicorn with shared metrics, scraped live. ONCE=1 ends by itself, PROMETHEUS=1 installs Prometheus.
	scripts/demo

test:  ## Every gate: format, lints, Rust and Python tests, types, docs, model checking, the demo.
	scripts/test

lint:  ## The quick gates alone: format, lints, types.
	scripts/lint

bench:  ## Timings beside the official client, as tables. RECORD=1 keeps them.
	scripts/bench

clean:  ## What the scripts made.
	rm -rf target .venv* .demo python/tallymark/*.so
