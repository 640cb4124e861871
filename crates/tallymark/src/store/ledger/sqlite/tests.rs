//! The SQLite ledger on real files, beside real other connections and processes.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::{FromSql, ValueRef};
use tallymark_cells::file::Total;
use tallymark_cells::fork;
use tallymark_model::{Exemplar, Family, GaugeMode, Kind};
use tempfile::TempDir;

use super::Sqlite;
use crate::record;
use crate::series::Note;
use crate::store::ledger::contract::{
    Writer, apply, change, contract, family, find, plus, read, soon, total_of, value, values_of,
};
use crate::store::ledger::{
    Answer, Batch, Change, Delta, Hello, Ledger, Reason, Removal, Stored, StoredValue, Trouble,
};

contract!(empty);

/// An empty store, which is gone when its directory is dropped.
fn empty() -> (TempDir, Sqlite) {
    let directory = TempDir::new().unwrap();
    let ledger = at(&path_in(&directory));
    (directory, ledger)
}

fn at(path: &Path) -> Sqlite {
    Sqlite::new(path.to_owned(), Duration::from_secs(30))
}

fn path_in(directory: &TempDir) -> PathBuf {
    directory.path().join("metrics.db")
}

/// A store with a counter that stands at 1, and the writer that counted.
fn with_one() -> (TempDir, Sqlite, Writer, Arc<Family>) {
    let (directory, mut ledger) = empty();
    let counter = family(Kind::Counter, "c", &[]);
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    writer.send(&mut ledger, &counter, plus(1, 0.0));
    (directory, ledger, writer, counter)
}

/// What a person or another program says in SQL.
fn shell(directory: &TempDir, sql: &str) {
    let connection = Connection::open(path_in(directory)).unwrap();
    connection
        .execute_batch(&format!("PRAGMA foreign_keys = off; PRAGMA ignore_check_constraints = on; {sql}"))
        .unwrap();
}

fn ask<T: FromSql>(directory: &TempDir, sql: &str) -> T {
    Connection::open(path_in(directory)).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn greet(ledger: &mut Sqlite) -> Result<(), Trouble> {
    let lease = Duration::from_secs(30);
    let hello = Hello { writer: 9, instance: "a", lease, processes: 1, users: &[], removals: 0 };
    ledger.greet(&hello, soon()).map(drop)
}

/// Runs the ignored test of this name in another process, with a store.
fn start(test: &str, store: &Path, writer: u128) -> Child {
    command(&std::env::current_exe().unwrap(), test, store, writer).spawn().unwrap()
}

fn command(program: &Path, test: &str, store: &Path, writer: u128) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", &format!("store::ledger::sqlite::tests::{test}"), "--ignored", "--nocapture"])
        .env("STORE", store)
        .env("WRITER", writer.to_string())
        .stdout(Stdio::piped());
    command
}

/// The store and the writer of a process that [`start`] made.
fn told() -> (Sqlite, u128) {
    let store = std::env::var_os("STORE").expect("started by another test");
    (at(store.as_ref()), std::env::var("WRITER").unwrap().parse().unwrap())
}

fn members() -> Arc<Family> {
    family(Kind::Counter, "members", &["n"])
}

/// A batch that adds one to each of fifty series.
fn to_all(writer: &mut Writer, ledger: &Sqlite) -> Batch {
    let mut batch = writer.next(ledger, &members(), plus(0, 0.0));
    let add = |n: u32| change(&[&n.to_string()], Delta::Number { whole: 1, rest: 0.0 });
    batch.changes = (0..50).map(add).collect();
    batch
}

/// What the fifty series stand at, which must be the same.
fn of_all(ledger: &mut Sqlite) -> u64 {
    let stored = read(ledger);
    let numbers: BTreeSet<u64> = stored
        .series
        .iter()
        .map(|one| match &one.value {
            StoredValue::Total(Total::Number { whole, .. }) => *whole,
            _ => panic!("no number"),
        })
        .collect();
    assert!(numbers.len() <= 1, "some of a batch: {numbers:?}");
    numbers.first().copied().unwrap_or(0)
}

#[test]
#[ignore = "a process that other tests start"]
fn adds_for_ever() {
    let (mut ledger, id) = told();
    let mut writer = Writer::greeted(&mut ledger, id, "a");
    loop {
        let batch = to_all(&mut writer, &ledger);
        assert_eq!(apply(&mut ledger, &batch), Answer::Applied);
    }
}

#[test]
#[ignore = "a process that other tests start"]
fn adds_a_hundred_times() {
    let (mut ledger, id) = told();
    let mut writer = Writer::greeted(&mut ledger, id, "a");
    for _ in 0..100 {
        let batch = to_all(&mut writer, &ledger);
        assert_eq!(apply(&mut ledger, &batch), Answer::Applied);
    }
}

#[test]
#[ignore = "a process that other tests start"]
fn tells_its_trouble() {
    let trouble = greet(&mut told().0).unwrap_err();
    println!("trouble={}={}", trouble.reason.name(), trouble.message);
}

#[test]
fn processes_that_make_the_store_and_apply_at_once_lose_nothing() {
    let directory = TempDir::new().unwrap();
    let processes: Vec<Child> =
        (1..=4).map(|writer| start("adds_a_hundred_times", &path_in(&directory), writer)).collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }

    assert_eq!(of_all(&mut at(&path_in(&directory))), 400);
}

#[test]
fn threads_that_make_the_store_and_apply_at_once_lose_nothing() {
    let directory = TempDir::new().unwrap();
    let path = path_in(&directory);
    std::thread::scope(|scope| {
        for id in 1..=6 {
            let path = &path;
            scope.spawn(move || {
                let mut ledger = at(path);
                let mut writer = Writer::greeted(&mut ledger, id, "a");
                for _ in 0..50 {
                    let batch = to_all(&mut writer, &ledger);
                    assert_eq!(apply(&mut ledger, &batch), Answer::Applied);
                }
            });
        }
    });

    assert_eq!(of_all(&mut at(&path)), 300);
}

#[test]
fn of_a_process_that_is_killed_each_batch_is_there_or_is_not() {
    let directory = TempDir::new().unwrap();
    let mut ledger = at(&path_in(&directory));
    let mut before = 0;
    for writer in 1..=8 {
        let mut process = start("adds_for_ever", &path_in(&directory), writer);
        let deadline = soon();
        while ledger.read(soon()).is_err() || of_all(&mut ledger) < before + 3 {
            assert!(Instant::now() < deadline && process.try_wait().unwrap().is_none(), "it does not add");
        }
        process.kill().unwrap();
        process.wait().unwrap();

        before = of_all(&mut ledger);
        let sequences: i64 = ask(&directory, "SELECT sum(sequence) FROM writers");
        assert_eq!(i64::try_from(before), Ok(sequences), "a batch and its number are taken together");
    }
    assert_eq!(ask::<String>(&directory, "PRAGMA integrity_check"), "ok");
}

#[test]
fn a_store_that_stays_locked_is_given_up_in_time_and_taken_up_again() {
    let (directory, mut ledger, mut writer, counter) = with_one();
    let batch = writer.next(&ledger, &counter, plus(1, 0.0));
    let other = Connection::open(path_in(&directory)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let in_no_time = || Instant::now() + Duration::from_millis(50);
    let trouble = ledger.apply(std::slice::from_ref(&batch), in_no_time()).remove(0).unwrap_err();

    assert_eq!(trouble.reason, Reason::Timeout);
    assert!(trouble.message.contains(&*path_in(&directory).to_string_lossy()), "{trouble}");
    assert!(!trouble.message.contains("is locked"), "{trouble}");
    assert_eq!(total_of(&mut ledger, &counter), Some(1.0), "who writes keeps no one from reading");
    let impatient = &mut Sqlite::new(path_in(&directory), Duration::from_millis(50));
    assert_eq!(greet(impatient).unwrap_err().reason, Reason::Timeout, "its own time is shorter than the limit");

    drop(other);
    assert_eq!(apply(&mut ledger, &batch), Answer::Applied);
}

/// The longest that a fork waits while something is done, and how long that takes in all.
fn fork_waits(work: impl FnOnce() + Send) -> (Duration, Duration) {
    std::thread::scope(|scope| {
        let began = Instant::now();
        let working = scope.spawn(work);
        let mut longest = Duration::ZERO;
        while !working.is_finished() {
            let asked = Instant::now();
            drop(fork::still());
            longest = longest.max(asked.elapsed());
            std::thread::sleep(Duration::from_micros(200));
        }
        (longest, began.elapsed())
    })
}

#[test]
fn a_fork_does_not_wait_for_the_lock_that_somebody_else_holds() {
    let (directory, mut ledger, mut writer, counter) = with_one();
    let batch = writer.next(&ledger, &counter, plus(1, 0.0));
    let other = Connection::open(path_in(&directory)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let limit = || Instant::now() + Duration::from_secs(1);
    let (longest, all) = fork_waits(|| {
        let answer = ledger.apply(std::slice::from_ref(&batch), limit()).remove(0);
        assert_eq!(answer.unwrap_err().reason, Reason::Timeout);
        let another = &mut Sqlite::new(path_in(&directory), Duration::from_secs(1));
        assert_eq!(greet(another).unwrap_err().reason, Reason::Timeout, "not while opening it, either");
    });

    assert!(longest < all / 4, "{longest:?} of {all:?}");
}

#[test]
fn who_reads_keeps_no_one_from_writing_and_sees_one_moment() {
    let (directory, mut ledger, mut writer, counter) = with_one();
    let mut other = Connection::open(path_in(&directory)).unwrap();
    let reader = other.transaction().unwrap();
    let stands_at =
        |reader: &Connection| -> i64 { reader.query_row("SELECT value FROM counters", [], |row| row.get(0)).unwrap() };
    assert_eq!(stands_at(&reader), 1);
    writer.send(&mut ledger, &counter, plus(1, 0.0));

    assert_eq!(stands_at(&reader), 1);
    assert_eq!(total_of(&mut ledger, &counter), Some(2.0));
}

#[test]
fn reading_ends_when_its_time_is_up() {
    let (_directory, mut ledger) = empty();
    let counter = family(Kind::Counter, "c", &["n"]);
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    let mut batch = writer.next(&ledger, &counter, plus(0, 0.0));
    batch.changes = (0..3000).map(|n| change(&[&n.to_string()], Delta::Nothing)).collect();
    assert_eq!(apply(&mut ledger, &batch), Answer::Applied);

    assert_eq!(ledger.read(Instant::now()).err().map(|trouble| trouble.reason), Some(Reason::Timeout));
    assert_eq!(read(&mut ledger).series.len(), 3000);
}

#[test]
fn what_is_not_ours_is_left_untouched_and_said() {
    let make = |sql: &str, path: &Path| Connection::open(path).unwrap().execute_batch(sql).unwrap();
    let of_ours = |sql: &str, path: &Path| {
        greet(&mut at(path)).unwrap();
        make(sql, path);
    };
    type Arrange<'a> = Box<dyn Fn(&Path) + 'a>;
    let cases: [(Arrange<'_>, &str); 8] = [
        (Box::new(|path| std::fs::write(path, "hello").unwrap()), "not an SQLite database"),
        (Box::new(|path| std::fs::write(path, [b'x'; 9000]).unwrap()), "not an SQLite database"),
        (Box::new(|path| make("CREATE TABLE t (x)", path)), "a database of another program"),
        (Box::new(|path| make("PRAGMA application_id = 7", path)), "its application_id is 7"),
        (Box::new(|path| make("PRAGMA user_version = 7", path)), "a database of another program"),
        (Box::new(|path| make("PRAGMA journal_mode = WAL; CREATE TABLE t (x)", path)), "it has 1 tables"),
        (Box::new(|path| of_ours("PRAGMA user_version = 2", path)), "written by format 2, this build reads up to 1"),
        (Box::new(|path| of_ours("PRAGMA user_version = 0", path)), "of format 0"),
    ];
    for (arrange, what) in cases {
        let directory = TempDir::new().unwrap();
        let path = path_in(&directory);
        arrange(&path);
        let before = std::fs::read(&path).unwrap();
        for trouble in [greet(&mut at(&path)).unwrap_err(), at(&path).read(soon()).err().unwrap()] {
            assert_eq!(trouble.reason, Reason::Foreign, "{trouble}");
            assert!(trouble.message.starts_with(&format!("sqlite:{}: ", path.display())), "{trouble}");
            assert!(trouble.message.contains(what) && trouble.message.contains("choose another path"), "{trouble}");
        }

        assert_eq!(std::fs::read(&path).unwrap(), before, "{what}");
    }
}

#[test]
fn a_path_that_cannot_be_a_file_is_said() {
    let directory = TempDir::new().unwrap();
    for (path, reason, what) in [
        (directory.path().to_owned(), Reason::Foreign, "choose the path of a file"),
        (directory.path().join("not/there.db"), Reason::Unreachable, "make its directory"),
        (PathBuf::from("/dev/null/x.db"), Reason::Unreachable, "make its directory"),
    ] {
        let trouble = greet(&mut at(&path)).unwrap_err();
        assert_eq!(trouble.reason, reason, "{trouble}");
        assert!(trouble.message.contains(what), "{trouble}");
    }
}

/// Runs as somebody whom the modes of files bind: root may do anything.
fn trouble_of_somebody(program: &Path, store: &Path) -> (String, String) {
    let mut command = command(program, "tells_its_trouble", store, 1);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let told = text.split("trouble=").nth(1).unwrap_or_else(|| panic!("{text}"));
    let (reason, message) = told.lines().next().unwrap().split_once('=').unwrap();
    (reason.to_owned(), message.to_owned())
}

#[test]
fn files_that_one_may_not_write_are_said() {
    let directory = TempDir::new().unwrap();
    let chmod = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let program = directory.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let place = directory.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let store = place.join("metrics.db");
    chmod(directory.path(), 0o755);
    for (make, file, around, expected) in
        [(false, 0, 0o555, Reason::Denied), (true, 0, 0o755, Reason::Denied), (true, 0o444, 0o555, Reason::ReadOnly)]
    {
        chmod(&place, 0o755);
        if make {
            greet(&mut at(&store)).unwrap();
            chmod(&store, file);
        }
        chmod(&place, around);
        let (reason, message) = trouble_of_somebody(&program, &store);

        assert_eq!(reason, expected.name(), "{message}");
        assert!(message.starts_with(&format!("sqlite:{}: ", store.display())), "{message}");
        assert!(message.contains("check the owner and the mode"), "{message}");
    }
}

#[test]
fn a_file_without_room_takes_a_batch_whole_or_not_at_all() {
    let (directory, mut ledger, mut writer, counter) = with_one();
    let long = "x".repeat(20_000);
    let mut batch = writer.next(&ledger, &counter, plus(1, 0.0));
    let wide = family(Kind::Counter, "wide", &["n"]);
    batch.families.push(Arc::clone(&wide));
    let one = |n: usize| change(&[&format!("{n}{long}")], Delta::Number { whole: 1, rest: 0.0 });
    batch.changes.extend((0..20).map(|n| Change { family: 1, ..one(n) }));
    let pages: i64 = ask(&directory, "PRAGMA page_count");
    let connection = &ledger.database.open.as_ref().unwrap().connection;
    connection.query_row(&format!("PRAGMA max_page_count = {}", pages + 3), [], |_| Ok(())).unwrap();
    let trouble = ledger.apply(std::slice::from_ref(&batch), soon()).remove(0).unwrap_err();

    assert_eq!(trouble.reason, Reason::Full);
    assert!(trouble.message.contains("free some"), "{trouble}");
    assert_eq!(total_of(&mut ledger, &counter), Some(1.0));
    assert_eq!(read(&mut ledger).series.len(), 1);
    assert_eq!(apply(&mut ledger, &batch), Answer::Applied, "with room it is taken");
    assert_eq!(read(&mut ledger).series.len(), 21);
}

#[test]
fn its_files_are_the_owner_s_alone() {
    let (directory, _ledger, _writer, _counter) = with_one();
    let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 3, "the database, its log and the log's index");
    for file in files {
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[test]
fn an_empty_file_becomes_a_store() {
    let (directory, mut ledger) = empty();
    std::fs::write(path_in(&directory), "").unwrap();
    assert_eq!(ledger.read(soon()).err().map(|trouble| trouble.reason), Some(Reason::Unreachable));
    assert_eq!(std::fs::metadata(path_in(&directory)).unwrap().len(), 0, "who reads makes nothing");
    greet(&mut ledger).unwrap();

    assert!(read(&mut ledger).series.is_empty());
}

#[test]
fn where_there_is_no_store_reading_makes_none_and_a_batch_hears_of_another_epoch() {
    let (directory, mut ledger, mut writer, counter) = with_one();
    let batch = writer.next(&ledger, &counter, plus(1, 0.0));
    let (elsewhere, mut other) = empty();
    let trouble = other.read(soon()).err().unwrap();
    assert_eq!(trouble.reason, Reason::Unreachable);
    assert!(trouble.message.contains("no store yet"), "{trouble}");
    assert_eq!(apply(&mut other, &batch), Answer::OtherEpoch);
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);

    drop(directory);
    assert_eq!(apply(&mut ledger, &batch), Answer::OtherEpoch);
}

#[test]
fn a_file_that_was_deleted_or_replaced_is_another_store() {
    let (directory, mut ledger, mut writer, counter) = with_one();
    let batch = writer.next(&ledger, &counter, plus(1, 0.0));
    // Its log stays behind, and is of no use to the next one.
    std::fs::remove_file(path_in(&directory)).unwrap();
    assert_eq!(apply(&mut ledger, &batch), Answer::OtherEpoch);
    let mut again = Writer::greeted(&mut ledger, 1, "a");
    assert_ne!(again.epochs, writer.epochs);
    assert_eq!(apply(&mut ledger, &batch), Answer::OtherEpoch);
    again.send(&mut ledger, &counter, plus(7, 0.0));
    assert_eq!(total_of(&mut ledger, &counter), Some(7.0));

    let (other, another, _, _) = with_one();
    drop(another);
    let all = std::fs::read_dir(directory.path()).unwrap();
    all.for_each(|file| std::fs::remove_file(file.unwrap().path()).unwrap());
    std::fs::rename(path_in(&other), path_in(&directory)).unwrap();
    assert_eq!(total_of(&mut ledger, &counter), Some(1.0));
}

/// Sets the store's clock on, as if that much time had passed.
fn hours_pass(directory: &TempDir, hours: u64) {
    shell(directory, &format!("UPDATE store SET clock = clock + {hours} * 3600 * 1000000000"));
}

#[test]
fn the_clock_never_goes_back() {
    let (directory, mut ledger, writer, _counter) = with_one();
    let before = writer.greet(&mut ledger, Duration::from_secs(1)).now;
    hours_pass(&directory, 50);
    let after = writer.greet(&mut ledger, Duration::from_secs(1)).now;

    assert!(after >= before + 50 * 3600 * 1_000_000_000);
    assert!(read(&mut ledger).now >= after);
    assert!(writer.greet(&mut ledger, Duration::from_secs(1)).now >= after);
}

#[test]
fn of_writers_that_are_gone_for_a_day_remains_what_the_mode_keeps() {
    let (directory, mut ledger, mut gone, counter) = with_one();
    let sum = Arc::new(Family::builder(Kind::Gauge, "sum", "").mode(GaugeMode::Sum).build().unwrap());
    let live = Arc::new(Family::builder(Kind::Gauge, "live", "").mode(GaugeMode::LiveSum).build().unwrap());
    let mut staying = Writer::greeted(&mut ledger, 2, "b");
    for (writer, number) in [(&mut gone, 3.0), (&mut staying, 4.0)] {
        for gauge in [&sum, &live] {
            let values = vec![value(7, number, 5), value(8, number, 6)];
            writer.send(&mut ledger, gauge, change(&[], Delta::Gauge(values)));
        }
    }
    let numbers = |ledger: &mut Sqlite, gauge| -> Vec<(f64, bool, bool)> {
        values_of(ledger, gauge).iter().map(|value| (value.value, value.live, value.kept)).collect()
    };
    // The lease of an hour is over, the day after it is not.
    hours_pass(&directory, 24);
    staying.greet(&mut ledger, Duration::from_secs(90_000));
    let ended = [(3.0, false, false), (4.0, true, false), (3.0, false, false), (4.0, true, false)];
    assert_eq!(numbers(&mut ledger, &sum), ended);
    assert!(gone.greet(&mut ledger, Duration::from_secs(1)).known);

    hours_pass(&directory, 25);
    staying.greet(&mut ledger, Duration::from_secs(3600));
    assert_eq!(numbers(&mut ledger, &live), [(4.0, true, false), (4.0, true, false)]);
    let mut of_sum = numbers(&mut ledger, &sum);
    of_sum.sort_by(|one, other| one.0.total_cmp(&other.0));
    assert_eq!(of_sum, [(4.0, true, false), (4.0, true, false), (6.0, false, true)]);
    assert_eq!(ask::<i64>(&directory, "SELECT count(*) FROM writers"), 1);
    assert_eq!(total_of(&mut ledger, &counter), Some(1.0), "only gauges are their writers' own");

    let late = gone.next(&ledger, &counter, plus(1, 0.0));
    assert_eq!(apply(&mut ledger, &late), Answer::Gap(None), "its batches are forgotten, too");
    assert!(!gone.greet(&mut ledger, Duration::from_secs(1)).known);
}

#[test]
fn a_writer_that_said_goodbye_is_remembered_for_a_day() {
    let (directory, mut ledger, mut writer, counter) = with_one();
    let other = Writer::greeted(&mut ledger, 2, "b");
    let batch = Batch { sequence: 1, ..writer.next(&ledger, &counter, plus(1, 0.0)) };
    writer.greet(&mut ledger, Duration::ZERO);
    hours_pass(&directory, 23);
    other.greet(&mut ledger, Duration::from_secs(1));
    assert_eq!(apply(&mut ledger, &batch), Answer::Old(1));

    hours_pass(&directory, 2);
    other.greet(&mut ledger, Duration::from_secs(1));
    assert_eq!(ask::<String>(&directory, "SELECT group_concat(instance) FROM writers"), "b");
}

#[test]
fn gauges_of_a_writer_that_never_said_who_it_is_are_of_no_host_and_do_not_live() {
    let (directory, mut ledger, writer, _counter) = with_one();
    let gauge = family(Kind::Gauge, "g", &[]);
    let mut stranger = Writer::greeted(&mut ledger, 2, "b");
    shell(&directory, "DELETE FROM writers WHERE instance = 'b'");
    stranger.send(&mut ledger, &gauge, change(&[], Delta::Gauge(vec![value(7, 1.0, 5)])));
    let values = values_of(&mut ledger, &gauge);
    assert_eq!((values.len(), values[0].live, values[0].instance.as_deref()), (1, false, None));

    assert!(!stranger.greet(&mut ledger, Duration::from_secs(60)).known);
    let values = values_of(&mut ledger, &gauge);
    assert_eq!((values[0].live, values[0].instance.as_deref()), (true, Some("b")));
    assert!(writer.greet(&mut ledger, Duration::from_secs(60)).known);
}

#[test]
fn the_last_thousand_removals_are_kept() {
    let (directory, mut ledger, writer, counter) = with_one();
    for id in 1..=1003 {
        let removal = Removal { writer: 2, id, family: Arc::clone(&counter), wanted: Vec::new() };
        ledger.remove(&removal, soon()).unwrap();
    }
    let greeting = writer.greet(&mut ledger, Duration::from_secs(1));

    assert_eq!(greeting.removals.iter().map(|removal| removal.id).collect::<Vec<_>>(), (4..=1003).collect::<Vec<_>>());
    assert_eq!(greeting.last_removal, 1003);
    assert_eq!(ask::<i64>(&directory, "SELECT count(*) FROM removals"), 1000);
}

#[test]
fn counts_stay_whole_numbers_however_many_there_are() {
    let (directory, mut ledger) = empty();
    let histogram = family(Kind::Histogram, "h", &[]);
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    for count in [1, i64::MAX as u64 - 1, 5, u64::MAX] {
        let counts = vec![(1, count), (9, 1)];
        writer.send(&mut ledger, &histogram, change(&[], Delta::Tally { counts, sum: 0.0 }));
    }

    let all = "SELECT group_concat(bucket || ' ' || count) FROM bucket_counts";
    assert_eq!(ask::<String>(&directory, all), format!("1 {}", i64::MAX), "there is no bucket 9");
}

#[test]
fn labels_are_as_sqlite_writes_them() {
    let (directory, mut ledger) = empty();
    let counter = family(Kind::Counter, "c", &["path", "é"]);
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    let odd = "a\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}é\u{2028}\u{10ffff}";
    writer.send(&mut ledger, &counter, change(&[odd, ""], Delta::Nothing));
    let connection = Connection::open(path_in(&directory)).unwrap();
    let same = "SELECT labels = json_object('path', ?, 'é', '') FROM series";

    assert!(connection.query_row(same, [odd], |row| row.get::<_, bool>(0)).unwrap());
}

#[test]
fn a_label_name_may_come_twice() {
    let (_directory, mut ledger) = empty();
    let counter = family(Kind::Counter, "c", &["l", "l"]);
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    for labels in [["x", "z"], ["y", "z"]] {
        writer.send(&mut ledger, &counter, change(&labels, Delta::Nothing));
    }

    let stored = read(&mut ledger);
    assert!(find(&stored, &counter, &["x", "z"]).is_some() && find(&stored, &counter, &["y", "z"]).is_some());
}

#[test]
fn a_series_that_is_deleted_by_hand_leaves_nothing() {
    let (directory, mut ledger) = empty();
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    let (histogram, gauge) = (family(Kind::Histogram, "h", &[]), family(Kind::Gauge, "g", &[]));
    writer.send(&mut ledger, &histogram, change(&[], Delta::Tally { counts: vec![(0, 1)], sum: 1.0 }));
    writer.send(&mut ledger, &gauge, change(&[], Delta::Gauge(vec![value(1, 1.0, 1)])));
    shell(&directory, "DELETE FROM series");

    let left = "SELECT (SELECT count(*) FROM bucket_counts) + (SELECT count(*) FROM gauge_values)";
    assert_eq!(ask::<i64>(&directory, left), 0);
    assert!(read(&mut ledger).series.is_empty());
}

/// What is done to a store by hand, and how many of its five series are left.
const DAMAGE: [(&str, usize); 22] = [
    ("UPDATE families SET type = 'thermometer' WHERE name = 'c'", 4),
    ("UPDATE families SET name = '' WHERE name = 'c'", 4),
    ("UPDATE families SET label_names = '{' WHERE name = 'c'", 4),
    ("UPDATE families SET label_names = '[1]' WHERE name = 'c'", 4),
    ("UPDATE families SET mode = 7 WHERE name = 'g'", 4),
    ("UPDATE families SET bounds = '[\"2\",\"1\"]' WHERE name = 'h'", 4),
    ("UPDATE families SET bounds = '[\"one\"]' WHERE name = 'h'", 4),
    ("UPDATE families SET bounds = '[\"1.0\",\"+Inf\"]' WHERE name = 'h'", 5),
    ("DELETE FROM families WHERE name = 'h'", 4),
    ("UPDATE series SET labels = '[]' WHERE id = 1", 4),
    ("UPDATE series SET labels = x'ff00' WHERE id = 1", 4),
    ("UPDATE series SET labels = '{\"other\":\"x\"}' WHERE id = 1", 4),
    ("UPDATE series SET labels = '{\"l\":1}' WHERE id = 1", 4),
    ("UPDATE series SET whole = x'01', created = 'then', used = 'now' WHERE id = 1", 4),
    ("UPDATE series SET whole = -5 WHERE id = 1", 5),
    ("UPDATE series SET sum = 'much' WHERE id = 1", 4),
    ("UPDATE bucket_counts SET bucket = -1; INSERT INTO bucket_counts VALUES (99, 0, 1), (0, 0, 1)", 5),
    ("UPDATE bucket_counts SET count = 'many'", 5),
    ("UPDATE gauge_values SET value = 'warm', pid = -1", 5),
    ("UPDATE notes SET labels = '', part = 70000", 5),
    ("UPDATE writers SET users = 'nobody', instance = x'ff', lease_ends = 'soon', processes = 'few'", 5),
    ("UPDATE removals SET wanted = 'all'; UPDATE store SET clock = -1", 5),
];

#[test]
fn rows_that_say_nothing_possible_are_passed_over() {
    for (damage, left) in DAMAGE {
        let (directory, mut ledger) = empty();
        let mut writer = Writer::greeted(&mut ledger, 1, "a");
        let all = [
            (family(Kind::Counter, "c", &["l"]), Delta::Number { whole: 1, rest: 0.5 }),
            (family(Kind::Gauge, "g", &["l"]), Delta::Gauge(vec![value(1, 2.0, 3)])),
            (family(Kind::Histogram, "h", &["l"]), Delta::Tally { counts: vec![(1, 1)], sum: 0.7 }),
            (family(Kind::Summary, "s", &["l"]), Delta::Tally { counts: vec![(0, 1)], sum: 0.7 }),
            (family(Kind::Info, "i", &["l"]), Delta::Nothing),
        ];
        let note = Note { part: 0, stamp: 1, bytes: Vec::new() };
        let send = |writer: &mut Writer, ledger: &mut Sqlite| {
            for (family, delta) in &all {
                let change = change(&["x"], delta.clone());
                let notes = if family.kind() == Kind::Info { vec![note.clone()] } else { Vec::new() };
                writer.send(ledger, family, Change { notes, ..change });
            }
        };
        send(&mut writer, &mut ledger);
        let removal = Removal { writer: 2, id: 1, family: family(Kind::Counter, "gone", &[]), wanted: Vec::new() };
        ledger.remove(&removal, soon()).unwrap();
        shell(&directory, damage);

        assert_eq!(read(&mut ledger).series.len(), left, "{damage}");
        greet(&mut ledger).unwrap();
        send(&mut writer, &mut ledger);
        ledger.remove(&Removal { wanted: vec![(0, "x".into())], id: 2, ..removal }, soon()).unwrap();
        hours_pass(&directory, 100);
        greet(&mut ledger).unwrap();
        let Stored { series, .. } = read(&mut ledger);
        assert!(series.len() >= left, "{damage}");
    }
}

#[test]
fn rows_of_no_series_count_nowhere_and_hide_nothing() {
    let (directory, mut ledger, mut writer, _counter) = with_one();
    let (gauge, histogram) = (family(Kind::Gauge, "g", &[]), family(Kind::Histogram, "h", &[]));
    writer.send(&mut ledger, &gauge, change(&[], Delta::Gauge(vec![value(1, 2.0, 3)])));
    writer.send(&mut ledger, &histogram, change(&[], Delta::Tally { counts: vec![(1, 5)], sum: 0.7 }));
    shell(
        &directory,
        "INSERT INTO bucket_counts VALUES (0, 1, 9), (99, 1, 9);
         INSERT INTO gauge_values VALUES (0, 1, 0, NULL, 1, 9.0, 9, 1, 0);
         INSERT INTO notes VALUES (0, 0, 9, '{}', 9.0, NULL)",
    );

    let stored = read(&mut ledger);
    let series = find(&stored, &histogram, &[]).unwrap();
    assert!(matches!(&series.value, StoredValue::Total(Total::Tally { counts, .. }) if **counts == [0, 5, 0, 0]));
    assert_eq!(values_of(&mut ledger, &gauge).iter().map(|value| value.value).collect::<Vec<_>>(), [2.0]);
    assert!(stored.series.iter().all(|one| one.notes.is_empty()));
}

#[test]
fn a_store_without_its_epoch_gets_another() {
    for damage in ["DELETE FROM store", "UPDATE store SET epoch = 'long ago'"] {
        let (directory, mut ledger, mut writer, counter) = with_one();
        let batch = writer.next(&ledger, &counter, plus(1, 0.0));
        shell(&directory, damage);
        assert_eq!(apply(&mut ledger, &batch), Answer::OtherEpoch);
        assert!(read(&mut ledger).series.len() == 1);

        let epochs = writer.greet(&mut ledger, Duration::from_secs(60)).epochs;
        assert_ne!(epochs, writer.epochs);
    }
}

/// The store that the examples of the documentation are about.
fn example() -> (TempDir, Sqlite) {
    let (directory, mut ledger) = empty();
    let [mut one, mut two] = [(1, "web-1"), (2, "web-2")].map(|(id, host)| Writer::greeted(&mut ledger, id, host));
    ledger.greet(&Hello { processes: 2, ..one.hello() }, soon()).unwrap();
    let requests = family(Kind::Counter, "http_requests", &["method", "code"]);
    for (labels, whole) in [(["GET", "200"], 1024), (["GET", "500"], 3), (["POST", "201"], 17)] {
        one.send(&mut ledger, &requests, change(&labels, Delta::Number { whole, rest: 0.0 }));
    }
    let seconds = Family::builder(Kind::Histogram, "http_seconds", "").label_names(["path"]).bounds([0.1, 0.5, 1.0]);
    let labels = vec![("trace_id".to_owned(), "4bf92f".to_owned())];
    let exemplar = record::encode_exemplar(&Exemplar { labels, value: 0.31, timestamp: None });
    let observed = change(&["/"], Delta::Tally { counts: vec![(0, 5), (1, 2), (3, 1)], sum: 3.25 });
    let observed = Change { notes: vec![Note { part: 1, stamp: 1, bytes: exemplar }], ..observed };
    one.send(&mut ledger, &Arc::new(seconds.build().unwrap()), observed);
    let jobs = change(&[], Delta::Tally { counts: vec![(0, 4)], sum: 10.5 });
    one.send(&mut ledger, &family(Kind::Summary, "job_seconds", &[]), jobs);
    let gauge = |name, mode| Arc::new(Family::builder(Kind::Gauge, name, "").mode(mode).build().unwrap());
    let busy = gauge("requests_in_progress", GaugeMode::LiveSum);
    one.send(&mut ledger, &busy, change(&[], Delta::Gauge(vec![value(71, 3.0, 0), value(72, 2.0, 0)])));
    two.send(&mut ledger, &busy, change(&[], Delta::Gauge(vec![value(71, 4.0, 0)])));
    let depth = gauge("queue_depth", GaugeMode::Auto);
    let at_ten = 1_767_607_200_000_000_000;
    one.send(&mut ledger, &depth, change(&[], Delta::Gauge(vec![value(71, 12.0, at_ten)])));
    two.send(&mut ledger, &depth, change(&[], Delta::Gauge(vec![value(71, 9.0, at_ten + 120_000_000_000)])));
    let facts = Note { part: 0, stamp: 1, bytes: record::encode_pairs(&[("version", "1.4")]) };
    let facts = Change { notes: vec![facts], ..change(&[], Delta::Nothing) };
    one.send(&mut ledger, &family(Kind::Info, "build", &[]), facts);
    let phase = Family::builder(Kind::StateSet, "job_phase", "").states(["starting", "running"]).build().unwrap();
    one.send(&mut ledger, &Arc::new(phase), change(&[], Delta::Gauge(vec![value(71, 1.0, 5)])));
    (directory, ledger)
}

/// What the shell shows of a query's rows with `-header -column`.
fn columns(statement: &mut rusqlite::Statement<'_>) -> String {
    let mut table = vec![statement.column_names().map(str::to_owned).collect::<Vec<_>>()];
    let count = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let cell = |column| match row.get_ref(column).unwrap() {
            ValueRef::Null => String::new(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => format!("{number:?}"),
            ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
        };
        table.push((0..count).map(cell).collect());
    }
    if table.len() == 1 {
        return String::new();
    }
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    table.insert(1, widths.iter().map(|width| "-".repeat(*width)).collect());
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>();
        format!("{}\n", padded.join("  ").trim_end())
    };
    table.iter().map(line).collect()
}

/// Runs all statements, and shows what the shell would.
fn session(connection: &Connection, sql: &str) -> String {
    let mut shown = String::new();
    let mut batch = rusqlite::Batch::new(connection, sql);
    while let Some(mut statement) = batch.next().unwrap() {
        if statement.column_count() > 0 {
            shown += &columns(&mut statement);
        } else {
            statement.execute([]).unwrap();
        }
    }
    shown
}

/// The fenced blocks of a page: what they are in, and their text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let inside = page.split("```").skip(1).step_by(2);
    inside.map(|block| block.split_once('\n').expect("a block has lines")).collect()
}

#[test]
fn the_examples_of_the_documentation_show_what_it_says() {
    let (directory, mut ledger) = example();
    let page = include_str!("../../../../../../docs/stores/sqlite.md");
    let connection = Connection::open(path_in(&directory)).unwrap();
    let (mut shown, mut seen) = (String::new(), 0);
    for (language, text) in blocks(page) {
        match language {
            "sql" => {
                assert_eq!(shown, "", "said nowhere");
                shown = session(&connection, text);
                seen += 1;
            }
            "text" => assert_eq!(std::mem::take(&mut shown), text),
            _ => {}
        }
    }
    assert_eq!((seen, &*shown), (9, ""));

    let jobs = Family::builder(Kind::Counter, "jobs", "Jobs that were done.").label_names(["queue"]).build().unwrap();
    let duration = Family::builder(Kind::Histogram, "job_duration", "Seconds.").bounds([0.5, 1.0]).build().unwrap();
    let stored = read(&mut ledger);
    assert!(matches!(
        &find(&stored, &jobs, &["night"]).unwrap().value,
        StoredValue::Total(Total::Number { whole: 3, .. })
    ));
    assert!(matches!(
        &find(&stored, &duration, &[]).unwrap().value,
        StoredValue::Total(Total::Tally { counts, sum }) if **counts == [1, 0, 0] && sum.value() == 0.25
    ));
    assert_eq!(stored.processes, 4);
    let mut writer = Writer::greeted(&mut ledger, 3, "web-3");
    writer.send(
        &mut ledger,
        &Arc::new(duration.clone()),
        change(&[], Delta::Tally { counts: vec![(0, 1)], sum: 0.25 }),
    );
    let stored = read(&mut ledger);
    assert!(matches!(
        &find(&stored, &duration, &[]).unwrap().value,
        StoredValue::Total(Total::Tally { counts, sum }) if **counts == [2, 0, 0] && sum.value() == 0.5
    ));
}
