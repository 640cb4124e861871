//! A process that dies at any step leaves a file that the next one opens, reads and extends; and no bytes that a file
//! can hold make a reader panic.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::{Attachment, HeapBlock, Keep, Shape, fork};

static PASSED: AtomicU64 = AtomicU64::new(0);
static DIE_AT: AtomicU64 = AtomicU64::new(u64::MAX);

pub(super) fn die_at(_name: &'static str) {
    if PASSED.fetch_add(1, Ordering::Relaxed) == DIE_AT.load(Ordering::Relaxed) {
        // SAFETY: sends this process a signal; nothing of it is touched.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
}

/// Runs `life` in a forked child; gives how it ended.
fn in_child(life: impl FnOnce()) -> i32 {
    // SAFETY: the child runs on with its one thread, in memory that the fork copied whole; the allocator and this
    // crate's locks are fork-safe, and it leaves by `_exit`, past the test harness.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(life));
        // SAFETY: ends this process without running the parent's exit handlers.
        unsafe { libc::_exit(if ended.is_ok() { 0 } else { 101 }) };
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call; `child` is ours and waited for once.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    status
}

fn open(path: &Path) -> Store {
    Store::open(path, Options::default()).unwrap()
}

fn attach(store: &Store, family: &str, key: &str, shape: Shape) -> Arc<Attachment> {
    let cells = Arc::new(Attachment::default());
    let _gate = fork::gate();
    let family = FamilyBytes { key: family.as_bytes(), details: b"help", most: None };
    store.attach(&cells, family, key.as_bytes(), shape, 1.0).unwrap();
    cells
}

/// Everything a process does with a file in its life; `told` is called after each counted update has returned.
fn life(path: &Path, told: impl Fn()) {
    let store = open(path);
    let hits = attach(&store, "hits", "a", Shape::Number);
    hits.current().unwrap().add(1.5);
    told();
    let seconds = attach(&store, "seconds", "", Shape::Tally { counts: 2 });
    seconds.current().unwrap().observe(Some(1), 10.0);
    let gauge = attach(&store, "gauge", "", Shape::Gauge(Keep::LastSet));
    gauge.current().unwrap().set(5.0, 7);
    {
        let _gate = fork::gate();
        store.write_image(&seconds, 1, 7, b"an exemplar");
        store.write_image(&seconds, 1, 8, &[b'x'; 100]);
        store.remove(b"other", &|_| true);
    }
    attach(&store, "other", "", Shape::Number).current().unwrap().add(1.0);
    store.read();
    drop(store);
}

fn total(reading: &Reading, store: &Store, family: &str) -> Option<Total> {
    let all = store.descriptors(0, 0);
    let number = all.series.iter().position(|series| all.families[series.family as usize].key == family.as_bytes())?;
    reading.series.iter().find(|series| series.series as usize == number).map(|series| series.total.clone())
}

fn hits(path: &Path) -> f64 {
    let store = open(path);
    match total(&store.read(), &store, "hits") {
        Some(Total::Number { whole, rest }) => whole as f64 + rest.value(),
        None => 0.0,
        other => panic!("hits are a number, not {other:?}"),
    }
}

#[test]
fn a_process_that_dies_at_any_step_leaves_a_file_to_go_on_with() {
    for (start, lives_before) in [("no file", 0), ("a file with an ended process", 1), ("one with two", 2)] {
        let mut step = 0;
        loop {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("metrics.tally");
            let told_path = directory.path().join("told");
            let told = std::fs::File::create(&told_path).unwrap();
            for _ in 0..lives_before {
                // Killed at the end, so that there is something to fold.
                in_child(|| {
                    let store = open(&path);
                    attach(&store, "hits", "a", Shape::Number).current().unwrap().add(1.5);
                    let gauge = attach(&store, "gauge", "", Shape::Gauge(Keep::LastSet));
                    gauge.current().unwrap().set(4.0, 6);
                    let seconds = attach(&store, "seconds", "", Shape::Tally { counts: 2 });
                    seconds.current().unwrap().observe(Some(0), 3.0);
                    let _gate = fork::gate();
                    store.write_image(&seconds, 1, 6, b"older");
                    std::mem::forget(store);
                });
            }
            let status = in_child(|| {
                PASSED.store(0, Ordering::Relaxed);
                DIE_AT.store(step, Ordering::Relaxed);
                life(&path, || drop(told.write_all_at(b"x", 0)));
            });
            let survived = libc::WIFEXITED(status);
            assert!(!survived || libc::WEXITSTATUS(status) == 0, "{start}, step {step}: the process panicked");
            let told = std::fs::read(&told_path).unwrap().len() as f64;
            let before = 1.5 * f64::from(lives_before);
            let found = hits(&path);
            let context = format!("{start}, killed at step {step}");
            assert!((before + told * 1.5..=before + 1.5).contains(&found), "{context}: {found}, told {told}");

            life(&path, || {});
            assert_eq!(hits(&path), found + 1.5, "{context}: the next process counts on");
            let store = open(&path);
            assert_eq!(store.status().damaged, 0, "{context}");
            let reading = store.read();
            match total(&reading, &store, "seconds") {
                Some(Total::Tally { counts, sum }) => {
                    assert_eq!(sum.value(), 3.0 * counts[0] as f64 + 10.0 * counts[1] as f64, "{context}");
                }
                other => panic!("{context}: {other:?}"),
            }
            match total(&reading, &store, "gauge") {
                Some(Total::Gauge(gauge)) => assert_eq!(gauge.kept.len(), 1, "{context}"),
                other => panic!("{context}: {other:?}"),
            }
            assert!(reading.images.iter().any(|image| image.bytes == [b'x'; 100]), "{context}");
            if survived {
                assert!(step > 20, "the life passes its steps");
                break;
            }
            step += 1;
        }
    }
}

#[test]
fn whatever_bits_are_flipped_a_file_is_refused_or_read_without_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let good = directory.path().join("good.tally");
    in_child(|| life(&good, || {}));
    in_child(|| {
        let store = open(&good);
        attach(&store, "hits", "b", Shape::Number).current().unwrap().add(1.0);
        std::mem::forget(store);
    });
    let bytes = std::fs::read(&good).unwrap();
    let written = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % below
    };
    // One bit of every eighth byte, so that every word is met, and some with more damage.
    for round in 0..written / 8 {
        let path = directory.path().join(format!("{round}.tally"));
        let mut damaged = bytes.clone();
        damaged[8 * round + random(8)] ^= 1 << random(8);
        if round % 10 == 0 {
            damaged[random(written)] ^= 1 << random(8);
        }
        if round % 100 == 0 {
            damaged.truncate(random(written));
        }
        std::fs::write(&path, &damaged).unwrap();
        if let Ok(store) = Store::open(&path, Options::default()) {
            store.read();
            store.descriptors(0, 0);
            store.status();
            let cells = Attachment::default();
            let _gate = fork::gate();
            let family = FamilyBytes { key: b"hits", details: b"", most: None };
            if store.attach(&cells, family, b"a", Shape::Number, 1.0).is_ok() {
                cells.current().unwrap().add(1.0);
            }
            store.leave();
        }
        std::fs::remove_file(&path).unwrap();
    }
}

/// The error's text, and that the file is as it was.
fn refusal(name: &str, content: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    let error = Store::open(&path, Options::default()).err().expect("refused").to_string();
    assert_eq!(std::fs::read(&path).unwrap(), content, "left untouched");
    error.replace(&directory.path().display().to_string(), "")
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_left_untouched() {
    assert_eq!(
        refusal("app.db", b"SQLite format 3\0 and more"),
        "/app.db: not a Tallymark file (starts with \"SQLite format 3\"); choose another path, it was left untouched"
    );
}

#[test]
fn truncated_newer_and_damaged_files_are_refused_with_what_was_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("good.tally");
    life(&path, || {});
    let good = std::fs::read(&path).unwrap();

    assert!(refusal("a", &good[..100]).contains("damaged: it has 100 bytes, less than a header's 4096"));
    assert!(refusal("a", &good[..5000]).contains("the file at byte 5000"));
    let mut newer = good.clone();
    newer[8] = 3;
    assert_eq!(
        refusal("a", &newer),
        "/a: written by format 3, this build reads up to 1; upgrade tallymark here or choose another path"
    );
    let mut flipped = good.clone();
    flipped[33] ^= 1;
    assert!(refusal("a", &flipped).contains("the checksum of its header does not fit"));
    let mut lost = good;
    lost[4096 + 4] = 1;
    lost[4096 + 5] = 0;
    assert!(refusal("a", &lost).contains("the length of a record makes no sense"));
}

#[test]
fn a_file_that_is_deleted_under_a_process_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let store = open(&path);
    let cells = attach(&store, "hits", "a", Shape::Number);
    cells.current().unwrap().add(1.0);
    std::fs::remove_file(&path).unwrap();
    assert!(total(&store.read(), &store, "hits").is_none());
    assert!(cells.current().is_none(), "the handle must come to the new file");
    assert_eq!(store.status().replaced, 1);
    attach(&store, "hits", "a", Shape::Number).current().unwrap().add(2.0);
    assert_eq!(hits(&path), 2.0);
}

#[test]
fn removal_is_seen_by_a_handle_of_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let (here, there) = (open(&path), open(&path));
    let cells = attach(&here, "hits", "a", Shape::Number);
    cells.current().unwrap().add(5.0);
    {
        let _gate = fork::gate();
        there.remove(b"hits", &|key| key == b"a");
    }
    assert!(cells.current().is_none());
    assert!(total(&there.read(), &there, "hits").is_none());
    attach(&here, "hits", "a", Shape::Number).current().unwrap().add(1.0);
    assert_eq!(hits(&path), 1.0, "a fresh series");
}

#[test]
fn the_clock_of_an_earlier_boot_is_older_than_this_ones() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    in_child(|| {
        let store = open(&path);
        attach(&store, "gauge", "", Shape::Gauge(Keep::LastSet)).current().unwrap().set(1.0, u64::MAX);
        std::mem::forget(store);
    });
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[7; 16], 8 * layout::header::BOOT_ID as u64).unwrap();
    let store = open(&path);
    attach(&store, "gauge", "", Shape::Gauge(Keep::LastSet)).current().unwrap().set(2.0, 2);
    match total(&store.read(), &store, "gauge") {
        Some(Total::Gauge(gauge)) => {
            assert_eq!((gauge.kept[0].value, gauge.kept[0].stamp), (1.0, 1));
            assert_eq!((gauge.processes[0].value, gauge.processes[0].stamp), (2.0, 2));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_last_ended_processes_values_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let mut sizes = Vec::new();
    for life in 0..100 {
        let store = open(&path);
        attach(&store, "each", "", Shape::Gauge(Keep::Each)).current().unwrap().set(f64::from(life), 3);
        sizes.push(store.status().bytes);
    }
    let store = open(&path);
    match total(&store.read(), &store, "each") {
        Some(Total::Gauge(gauge)) => {
            let kept: Vec<f64> = gauge.kept.iter().map(|process| process.value).collect();
            assert_eq!(kept, (84..100).map(f64::from).collect::<Vec<_>>());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(sizes[2], sizes[99], "the file does not grow with the processes that have lived");
}

#[test]
fn a_forked_child_counts_in_a_place_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let store = open(&path);
    let cells = attach(&store, "hits", "a", Shape::Number);
    cells.current().unwrap().add(1.0);
    let status = in_child(|| {
        assert!(cells.current().is_none(), "the parent's block is not the child's");
        let _gate = fork::gate();
        store.attach(&cells, FamilyBytes { key: b"hits", details: b"", most: None }, b"a", Shape::Number, 1.0).unwrap();
        cells.current().unwrap().add(10.0);
    });
    assert_eq!(status, 0);
    cells.current().unwrap().add(100.0);
    assert_eq!(hits(&path), 111.0);
    assert_eq!(store.status().live, 1, "the child's slot was given back");
}

#[test]
fn what_is_on_the_heap_moves_into_the_file_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let heap = Arc::new(HeapBlock::new(Shape::Number));
    heap.block().add(2.5);
    let store = open(&path);
    let cells = attach(&store, "hits", "a", Shape::Number);
    heap.drain_into(cells.current().unwrap());
    heap.drain_into(cells.current().unwrap());
    assert_eq!(hits(&path), 2.5);
}
