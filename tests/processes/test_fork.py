"""A fork, in every way that Python forks: nothing is lost, counted twice, or hangs."""

from __future__ import annotations

import sys
import textwrap

import pytest
from host import Host


def test_parent_and_child_count_into_one_series(host: Host) -> None:
    """What the parent had counted is not counted again by the child that inherited it."""
    host.run(
        """
        hits = Counter("hits", "Hits.", ["who"])
        seconds = Histogram("seconds", "Seconds.", buckets=[1, 2])
        shared = hits.labels("both")
        shared.inc(10)
        seconds.observe(1.5)
        for _ in range(3):
            child = os.fork()
            if child == 0:
                shared.inc(5)
                hits.labels("child").inc()
                seconds.observe(0.5)
                os._exit(0)
            shared.inc()
            wait_for(child)
        hits.labels("parent").inc()
        """
    )
    found = host.scrape()

    assert {("both",): 28, ("child",): 3, ("parent",): 1} == found.values("hits_total")
    assert {("1.0",): 3, ("2.0",): 4, ("+Inf",): 4} == found.values("seconds_bucket")
    assert 3.0 == found.value("seconds_sum")


def test_a_child_takes_a_place_of_its_own_at_its_first_update(host: Host) -> None:
    """Its per-process values are not its parent's, and its death does not end the parent's."""
    worker = host.start(
        """
        own_value = Gauge("own_value", "Each its own.", multiprocess_mode="liveall")
        own_value.set(1)
        go, pause = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            os.read(go[0], 1)
            own_value.set(2)
            say("set")
            os.read(pause[0], 1)
            os._exit(0)
        say(child)
        hear()
        os.write(go[1], b"x")
        hear()
        os.write(pause[1], b"x")
        wait_for(child)
        say("ended")
        hear()
        """
    )
    child = int(worker.hear())
    before = host.scrape()
    worker.say("go")
    worker.hear("set")
    both = host.scrape()
    worker.say("go")
    worker.hear("ended")
    after = host.scrape()

    parent = str(worker.pid)

    assert {(parent,): 1} == before.values("own_value")
    assert 1 == before.value("tallymark_live_processes")
    assert {(parent,): 1, (str(child),): 2} == both.values("own_value")
    assert 2 == both.value("tallymark_live_processes")
    assert {(parent,): 1} == after.values("own_value")
    assert 1 == after.value("tallymark_live_processes")


def test_a_daemon_outlives_the_processes_it_was_forked_from(host: Host) -> None:
    """A double fork: the grandchild counts on when its parent and grandparent have ended."""
    worker = host.start(
        """
        hits = Counter("hits", "Hits.")
        hits.inc()
        if os.fork() != 0:
            hits.inc(10)
            os.wait()
            sys.exit()
        hits.inc(100)
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        hits.inc(1000)
        say(os.getpid())
        hear()
        hits.inc(10000)
        """
    )
    worker.hear()
    worker.process.wait(60)
    while_it_lives = host.scrape()
    # The daemon has the other ends of the pipes: the end of what it writes is its own end.
    worker.end()
    at_the_end = host.scrape()

    assert 1111 == while_it_lives.value("hits_total")
    assert 1 == while_it_lives.value("tallymark_live_processes")
    assert 11111 == at_the_end.value("hits_total")


def test_children_do_not_keep_a_killed_parent_alive(host: Host) -> None:
    """They have its memory, the mapped file included, but not its place."""
    worker = host.start(
        """
        import signal
        queue = Gauge("queue", "Waiting.", multiprocess_mode="livesum")
        queue.set(7)
        if os.fork() != 0:
            os.kill(os.getpid(), signal.SIGKILL)
        say(os.getpid())
        hear()
        """
    )
    worker.hear()
    worker.process.wait(60)
    orphaned = host.scrape()
    worker.end(status=-9)

    assert 0 == orphaned.value("tallymark_live_processes")
    assert {} == orphaned.values("queue")


@pytest.mark.parametrize("forking", ["main thread", "other thread"])
def test_forking_while_threads_update_loses_nothing_and_hangs_nobody(
    host: Host, forking: str
) -> None:
    """Whatever other threads are in the middle of, a child can count and scrape."""
    output = host.run(
        """
        hits = Counter("hits", "Hits.")
        paths = Counter("paths", "Paths.", ["path"])
        seconds = Histogram("seconds", "Seconds.", buckets=[1, 2])
        done = threading.Event()
        made = {}

        def update(number):
            turns = 0
            while not done.is_set():
                hits.inc()
                seconds.observe(1.5)
                paths.labels(f"{number}/{turns % 500}").inc()
                turns += 1
            made[number] = turns

        def scrape():
            while not done.is_set():
                generate_latest()

        def fork():
            for turn in range(150):
                child = os.fork()
                if child == 0:
                    signal.alarm(20)
                    hits.inc()
                    seconds.observe(0.5)
                    paths.labels(f"child/{turn}").inc()
                    if turn % 50 == 49:
                        generate_latest()
                    os._exit(0)
                wait_for(child)
            done.set()

        # The first scrape of a process: see the next test.
        generate_latest()

        threads = [threading.Thread(target=update, args=(number,)) for number in range(3)]
        threads.append(threading.Thread(target=scrape))
        if sys.argv[1] == "other thread":
            threads.append(threading.Thread(target=fork))
        for thread in threads:
            thread.start()
        if sys.argv[1] == "main thread":
            fork()
        for thread in threads:
            thread.join()
        say(sum(made.values()))
        """,
        forking,
    )
    turns = int(output)
    found = host.scrape()

    assert turns > 150
    assert turns + 150 == found.value("hits_total")
    assert {("1.0",): 150, ("2.0",): turns + 150, ("+Inf",): turns + 150} == found.values(
        "seconds_bucket"
    )
    assert turns + 150 == sum(found.values("paths_total").values())
    assert 150 == sum(path.startswith("child/") for (path,) in found.values("paths_total"))


def test_a_child_forked_during_the_first_scrape_can_scrape(host: Host) -> None:
    """
    What a process makes ready once, at its first scrape, is no trap for a child that is forked
    meanwhile.

    PyO3's interned strings are such a trap: a string is made with Python let go, and a child that
    finds one half made waits for ever for a thread that it does not have.
    """
    script = """
        class Family(list):
            # Long enough, and without a line of Python, that another thread gets its turn at the
            # very next place where the scrape lets Python go.
            name = property(max)
            documentation = property(max)
            type, unit, samples = "gauge", "", ()

        class Disk:
            families = [Family(["disk_free"] * 500_000)]

            def collect(self):
                inside.set()
                go.wait()
                return self.families

        inside, go = threading.Event(), threading.Event()
        registry = CollectorRegistry()
        registry.register(Disk())
        sys.setswitchinterval(1e-4)
        first = threading.Thread(target=generate_latest, args=(registry,))
        first.start()
        inside.wait()
        go.set()
        children = []
        while first.is_alive() and len(children) < 100:
            child = os.fork()
            if child == 0:
                signal.alarm(5)
                generate_latest(registry)
                os._exit(0)
            children.append(child)
        say({os.waitpid(child, 0)[1] for child in children})
    """

    assert ["{0}\n"] * 4 == host.run_all([script] * 4)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing_workers_add_up(host: Host, method: str) -> None:
    """A pool's workers, which end by a signal, and processes that end by themselves."""
    script = host.directory / "pool.py"
    script.write_text(
        textwrap.dedent(
            """
            import multiprocessing, sys
            from tallymark import Counter

            hits = Counter("hits", "Hits.", ["who"])

            def work(amount):
                hits.labels("worker").inc(amount)
                return amount

            if __name__ == "__main__":
                context = multiprocessing.get_context(sys.argv[1])
                hits.labels("main").inc()
                with context.Pool(2, maxtasksperchild=5) as pool:
                    assert sum(pool.map(work, range(20), chunksize=1)) == 190
                process = context.Process(target=work, args=(10,))
                process.start()
                process.join()
                assert process.exitcode == 0
                hits.labels("main").inc()
            """
        )
    )
    host.command([sys.executable, str(script), method]).end()

    assert {("worker",): 200, ("main",): 2} == host.scrape().values("hits_total")


def test_subprocesses_count_into_the_store_of_their_parent(host: Host) -> None:
    """The environment is all that a program started by a worker needs."""
    host.run(
        """
        hits = Counter("hits", "Hits.")
        hits.inc()
        job = "from tallymark import Counter; Counter('hits', 'Hits.').inc()"
        for _ in range(3):
            subprocess.run([sys.executable, "-c", job], check=True)
            hits.inc()
        # Between fork and exec the child is this process still.
        subprocess.run([sys.executable, "-c", job], check=True, preexec_fn=hits.inc)
        """
    )

    assert 9 == host.scrape().value("hits_total")
