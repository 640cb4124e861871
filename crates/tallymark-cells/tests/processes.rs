//! What a file promises while processes are killed: every update that returned is in the total once, no reader sees half
//! an observation, and size follows the processes that live.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tallymark_cells::file::{FamilyBytes, Options, Store, Total};
use tallymark_cells::{Attachment, Shape, fork};

/// Words that processes share to note what they attempted and what returned.
struct Notes {
    map: memmap2::MmapRaw,
}

impl Notes {
    fn new(path: &Path, words: usize) -> Notes {
        let file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).open(path).unwrap();
        file.set_len(8 * words as u64).unwrap();
        Notes { map: memmap2::MmapRaw::map_raw(&file).unwrap() }
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned and `len` bytes long, lives as long as `self`, and is touched as atomics
        // only.
        unsafe { std::slice::from_raw_parts(self.map.as_mut_ptr().cast(), self.map.len() / 8) }
    }
}

fn spawn(life: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child runs on in memory that the fork copied whole, with one thread; the allocator and this crate's
    // locks are fork-safe, and it leaves by `_exit`, past the test harness.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork");
    if child == 0 {
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(life));
        // SAFETY: ends this process.
        unsafe { libc::_exit(if ended.is_ok() { 0 } else { 101 }) };
    }
    child
}

fn kill(child: libc::pid_t) {
    // SAFETY: a child of ours that has not been waited for: the id is still its own.
    unsafe { libc::kill(child, libc::SIGKILL) };
}

fn wait(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    status
}

fn open(path: &Path) -> Store {
    Store::open(path, Options::default()).unwrap()
}

fn attach(store: &Store, family: &str, shape: Shape) -> Attachment {
    let cells = Attachment::default();
    let _gate = fork::gate();
    store.attach(&cells, FamilyBytes { key: family.as_bytes(), details: b"", most: None }, b"", shape, 1.0).unwrap();
    cells
}

/// The only series' total.
fn total(store: &Store) -> Total {
    store.read().series.swap_remove(0).total
}

fn number(store: &Store) -> f64 {
    match total(store) {
        Total::Number { whole, rest } => whole as f64 + rest.value(),
        other => panic!("{other:?}"),
    }
}

const PROCESSES: usize = 8;
const THREADS: usize = 4;
const UPDATES: u64 = 10_000_000;

/// Eight processes of four threads add ten million in all; the `killed` first are killed on the way. Gives what was
/// attempted, what returned, what the file holds.
fn race(killed: usize) -> (u64, u64, f64) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let notes = Notes::new(&directory.path().join("notes"), 2 * PROCESSES * THREADS);
    let each = UPDATES / (PROCESSES * THREADS) as u64;
    let life = |process: usize| {
        let store = open(&path);
        let cells = attach(&store, "hits", Shape::Number);
        let counts = &notes.words()[2 * THREADS * process..];
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (cells, attempted, returned) = (&cells, &counts[2 * thread], &counts[2 * thread + 1]);
                scope.spawn(move || {
                    for _ in 0..each {
                        attempted.fetch_add(1, Ordering::SeqCst);
                        cells.current().unwrap().add_whole(1);
                        returned.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
    };
    let children: Vec<_> = (0..PROCESSES).map(|process| spawn(|| life(process))).collect();
    for (index, child) in children.iter().enumerate().take(killed) {
        // Somewhere in its work, at a place that the scheduler chooses: as soon as a share of it is done.
        let begun = || notes.words()[2 * THREADS * index].load(Ordering::SeqCst) > each * (index as u64 + 1) / 20;
        while !begun() {
            thread::yield_now();
        }
        kill(*child);
    }
    children.into_iter().for_each(|child| _ = wait(child));
    let sum = |which: usize| notes.words().iter().skip(which).step_by(2).map(|word| word.load(Ordering::SeqCst)).sum();
    (sum(0), sum(1), number(&open(&path)))
}

#[test]
fn ten_million_increments_of_eight_processes_are_all_there() {
    let (attempted, returned, found) = race(0);
    assert_eq!((attempted, returned, found), (UPDATES, UPDATES, UPDATES as f64));
}

#[test]
fn what_returned_before_a_kill_is_there_and_nothing_that_was_not_attempted() {
    let (attempted, returned, found) = race(5);
    assert!(returned as f64 <= found && found <= attempted as f64, "{returned} <= {found} <= {attempted}");
    assert!(attempted - returned <= (5 * THREADS) as u64, "one for each thread killed");
    assert!(attempted < UPDATES, "the killed were killed on the way");
}

/// What each bucket's observations are worth: no other mix of counts has the same sum.
const WORTH: [f64; 3] = [1.0, 1000.0, 1_000_000.0];

fn assert_whole(store: &Store) -> u64 {
    let Total::Tally { counts, sum } = total(store) else { panic!("a tally") };
    let fitting: f64 = counts.iter().zip(WORTH).map(|(count, worth)| *count as f64 * worth).sum();
    assert_eq!(sum.value(), fitting, "{counts:?}");
    counts.iter().sum()
}

#[test]
fn two_thousand_kills_in_the_middle_of_observe_leave_no_half_observation() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let notes = Notes::new(&directory.path().join("notes"), 3);
    let [attempted, returned, started] = [0, 1, 2].map(|index| &notes.words()[index]);
    // A series exists before the reader looks for it.
    let store = open(&path);
    let _own = attach(&store, "seconds", Shape::Tally { counts: 3 });
    let done = AtomicBool::new(false);
    let reads = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut reads, mut last) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let count = assert_whole(&store);
                assert!(count >= last, "a total never falls");
                last = count;
                reads += 1;
            }
            reads
        });
        let mut state = 88_172_645_463_325_252_u64;
        for round in 1..=2000 {
            let child = spawn(|| {
                let store = open(&path);
                let cells = attach(&store, "seconds", Shape::Tally { counts: 3 });
                started.store(round, Ordering::SeqCst);
                for turn in 0.. {
                    let bucket = turn % 3;
                    attempted.fetch_add(1, Ordering::SeqCst);
                    // Ten at a time, so that most of the time goes into the middle of observe.
                    (0..10).for_each(|_| cells.current().unwrap().observe(Some(bucket), WORTH[bucket]));
                    returned.fetch_add(1, Ordering::SeqCst);
                }
            });
            while started.load(Ordering::SeqCst) != round {
                thread::yield_now();
            }
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let moment = Instant::now();
            while moment.elapsed() < Duration::from_nanos(state % 20_000) {}
            kill(child);
            wait(child);
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    let found = assert_whole(&store);
    let (attempted, returned) = (attempted.load(Ordering::SeqCst), returned.load(Ordering::SeqCst));
    assert!((10 * returned..=10 * attempted).contains(&found), "{returned}0 <= {found} <= {attempted}0");
    assert!(reads > 100, "the reader read all the while: {reads} times");
    println!("{found} observations, {reads} reads, {} kills in a batch", attempted - returned);
}

#[test]
fn a_total_never_falls_while_the_ended_are_folded_into_new_chunks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let store = open(&path);
    let done = AtomicBool::new(false);
    let reads = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut reads, mut last) = (0, Vec::new());
            while !done.load(Ordering::Relaxed) {
                let mut totals: Vec<u64> = Vec::new();
                for series in store.read().series {
                    let Total::Number { whole, .. } = series.total else { panic!("a number") };
                    totals.resize(totals.len().max(series.series as usize + 1), 0);
                    totals[series.series as usize] = whole;
                }
                for (series, before) in last.iter().enumerate() {
                    let now = totals.get(series).copied().unwrap_or(0);
                    assert!(now >= *before, "series {series} fell from {before} to {now}");
                }
                last = totals;
                reads += 1;
            }
            reads
        });
        for round in 0..400 {
            // Every process brings series of its own, so that the base shard grows all the while.
            let child = spawn(|| {
                let store = open(&path);
                for series in 0..24 {
                    attach(&store, &format!("{}", (round * 7 + series) % 3000), Shape::Number)
                        .current()
                        .unwrap()
                        .add_whole(1);
                }
            });
            assert_eq!(wait(child), 0);
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(reads > 100, "{reads} reads");
}

#[test]
fn after_two_thousand_processes_the_file_is_as_large_as_after_twenty() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let store = open(&path);
    let mut size_after_twenty = 0;
    for process in 1..=2000 {
        let child = spawn(|| {
            let store = open(&path);
            let hits = attach(&store, "hits", Shape::Number);
            let seconds = attach(&store, "seconds", Shape::Tally { counts: 15 });
            hits.current().unwrap().add_whole(1);
            seconds.current().unwrap().observe(Some(3), 0.1);
            if process % 2 == 0 {
                // Without the clean exit that drops the store.
                std::mem::forget(store);
            }
        });
        assert_eq!(wait(child), 0);
        if process == 20 {
            store.read();
            size_after_twenty = store.status().bytes;
        }
    }
    let reading = store.read();
    let status = store.status();
    assert_eq!(status.bytes, size_after_twenty);
    assert_eq!((status.folded, status.live), (2000, 0));
    assert!(matches!(&reading.series[0].total, Total::Number { whole: 2000, .. }), "{:?}", reading.series[0]);
    let Total::Tally { counts, sum } = &reading.series[1].total else { panic!("a tally") };
    assert_eq!(counts[3], 2000);
    // Exact: 2000 times the float nearest to 0.1, rounded once.
    assert_eq!(sum.value(), 0.1 * 2000.0);
}

#[test]
fn a_stopped_process_keeps_its_place_and_delays_no_reader() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let notes = Notes::new(&directory.path().join("notes"), 1);
    let child = spawn(|| {
        let store = open(&path);
        let cells = attach(&store, "hits", Shape::Number);
        loop {
            cells.current().unwrap().add_whole(1);
            notes.words()[0].fetch_add(1, Ordering::SeqCst);
        }
    });
    while notes.words()[0].load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    // SAFETY: a child of ours that has not been waited for.
    unsafe { libc::kill(child, libc::SIGSTOP) };
    let store = open(&path);
    let before = number(&store);
    assert_eq!((store.status().live, store.status().folded), (1, 0));
    // SAFETY: as above.
    unsafe { libc::kill(child, libc::SIGCONT) };
    while number(&store) <= before {
        thread::yield_now();
    }
    kill(child);
    wait(child);
    let last = number(&store);
    assert_eq!((store.status().live, store.status().folded), (0, 1));
    assert_eq!(number(&store), last);
}
