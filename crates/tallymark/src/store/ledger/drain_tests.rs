//! Draining against a ledger that fails in every way that networks and servers do: whatever happens, what two hosts have
//! counted is what the ledger holds once it answers again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tallymark_model::GaugeMode;

use super::drain::Drain;
use super::*;
use crate::store::Store;
use crate::store::file::FileStore;
use crate::{Counter, Family, Histogram, Registry};

/// A ledger on paper: what it must do, and no more.
#[derive(Clone, Default)]
struct Paper {
    shards: Vec<Shard>,
    known: Vec<u128>,
    removals: Vec<Removal>,
    epochs_drawn: u128,
}

/// A series: its family's name and its label values.
type Key = (String, Vec<Box<str>>);

#[derive(Clone, Default)]
struct Shard {
    epoch: u128,
    sequences: HashMap<u128, u64>,
    /// How many batches it has taken of each writer.
    taken: HashMap<u128, u64>,
    numbers: HashMap<Key, (u64, f64)>,
    /// By writer, too.
    gauges: HashMap<(Key, u128), Vec<GaugeValue>>,
}

/// What goes wrong with the next call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// The request is lost.
    Request,
    /// The reply is lost: what was asked was done.
    Reply,
}

struct Wire {
    paper: Arc<Mutex<Paper>>,
    faults: Arc<Mutex<Vec<Option<Fault>>>>,
}

impl Wire {
    fn call<T>(&mut self, act: impl FnOnce(&mut Paper) -> T) -> Result<T, Trouble> {
        let fault = self.faults.lock().unwrap().pop().flatten();
        let trouble = Trouble { reason: Reason::Unreachable, message: "cut".to_owned() };
        if fault == Some(Fault::Request) {
            return Err(trouble);
        }
        let answer = act(&mut self.paper.lock().unwrap());
        if fault == Some(Fault::Reply) { Err(trouble) } else { Ok(answer) }
    }
}

impl Paper {
    fn new() -> Paper {
        let mut paper = Paper { shards: vec![Shard::default(); 2], ..Paper::default() };
        paper.reset(0);
        paper.reset(1);
        paper
    }

    fn reset(&mut self, shard: usize) {
        self.epochs_drawn += 1;
        self.shards[shard] = Shard { epoch: self.epochs_drawn, ..Shard::default() };
    }

    fn apply(&mut self, batch: &Batch) -> Answer {
        let shard = &mut self.shards[batch.shard as usize];
        if shard.epoch != batch.epoch {
            return Answer::OtherEpoch;
        }
        let last = shard.sequences.get(&batch.writer).copied();
        match last.unwrap_or(0) {
            last if last >= batch.sequence => return Answer::Old(last),
            before if before + 1 < batch.sequence && !batch.rebase => return Answer::Gap(last),
            _ => {}
        }
        shard.sequences.insert(batch.writer, batch.sequence);
        *shard.taken.entry(batch.writer).or_default() += 1;
        for change in &batch.changes {
            let key = (batch.family(change).name().to_owned(), change.labels.clone());
            let (whole, rest) = match &change.delta {
                Delta::Nothing => (0, 0.0),
                Delta::Number { whole, rest } => (*whole, *rest),
                Delta::Tally { counts, sum } => (counts.iter().map(|(_, count)| count).sum(), *sum),
                Delta::Gauge(values) => {
                    shard.gauges.insert((key, batch.writer), values.clone());
                    continue;
                }
            };
            let total = shard.numbers.entry(key).or_default();
            *total = (total.0 + whole, total.1 + rest);
        }
        Answer::Applied
    }

    fn number(&self, name: &str, label: &str) -> (u64, f64) {
        let key = (name.to_owned(), vec![Box::from(label)]);
        let found = self.shards.iter().filter_map(|shard| shard.numbers.get(&key));
        found.fold((0, 0.0), |sum, more| (sum.0 + more.0, sum.1 + more.1))
    }

    /// How many batches of all writers it has gone on without.
    fn missing(&self) -> u64 {
        self.shards.iter().map(|shard| shard.sequences.values().sum::<u64>() - shard.taken.values().sum::<u64>()).sum()
    }
}

impl Ledger for Wire {
    fn greet(&mut self, hello: &Hello<'_>, _: Instant) -> Result<Greeting, Trouble> {
        let (writer, heard) = (hello.writer, hello.removals);
        self.call(|paper| {
            let known = paper.known.contains(&writer);
            if !known {
                paper.known.push(writer);
            }
            let of_others = paper.removals.iter().skip(heard as usize).filter(|removal| removal.writer != writer);
            Greeting {
                now: 1_000_000_000_000_000_000 + crate::clock::stamp(),
                epochs: paper.shards.iter().map(|shard| shard.epoch).collect(),
                removals: of_others.cloned().collect(),
                last_removal: paper.removals.len() as u64,
                known,
            }
        })
    }

    fn shard_of(&self, _: &tallymark_model::Family, labels: &[Box<str>]) -> usize {
        labels.first().map_or(0, |label| label.len() % 2)
    }

    fn apply(&mut self, batches: &[Batch], _: Instant) -> Vec<Result<Answer, Trouble>> {
        batches.iter().map(|batch| self.call(|paper| paper.apply(batch))).collect()
    }

    fn remove(&mut self, removal: &Removal, _: Instant) -> Result<(), Trouble> {
        self.call(|paper| {
            let matches = |name: &String, labels: &Vec<Box<str>>| {
                name == removal.family.name() && removal.wanted.iter().all(|(at, value)| *labels[*at] == **value)
            };
            for shard in &mut paper.shards {
                shard.numbers.retain(|(name, labels), _| !matches(name, labels));
                shard.gauges.retain(|((name, labels), _), _| !matches(name, labels));
            }
            if !paper.removals.iter().any(|known| (known.writer, known.id) == (removal.writer, removal.id)) {
                paper.removals.push(removal.clone());
            }
        })
    }

    fn read(&mut self, _: Instant) -> Result<Stored, Trouble> {
        Ok(Stored::default())
    }
}

/// A host: its spool, what counts there, and who drains it.
struct Host {
    spool: Arc<FileStore>,
    hits: Family<Counter>,
    seconds: Family<Histogram>,
    drain: Option<Drain>,
    faults: Arc<Mutex<Vec<Option<Fault>>>>,
    directory: tempfile::TempDir,
}

impl Host {
    fn new() -> Host {
        let directory = tempfile::tempdir().unwrap();
        let options = tallymark_cells::file::Options::default();
        let spool = Arc::new(FileStore::open_spool(&directory.path().join("spool.tally"), options).unwrap());
        let registry = Registry::with_store(Store::File(Arc::clone(&spool)));
        let hits = registry.counter("hits", "").label_names(["path"]).register().unwrap();
        let seconds = registry.histogram("seconds", "").bounds(&[1.0]).label_names(["path"]).register().unwrap();
        Host { spool, hits, seconds, drain: None, faults: Arc::default(), directory }
    }

    fn lose_the_journal(&mut self) {
        self.drain = None;
        for file in std::fs::read_dir(self.directory.path()).unwrap().flatten() {
            if file.file_name().to_string_lossy().contains("journal") {
                std::fs::remove_file(file.path()).unwrap();
            }
        }
    }

    fn journal(&self) -> PathBuf {
        self.directory.path().join("spool.tally.journal")
    }

    /// The journal drops all but the newest batches of each shard, as it does when there are too many.
    fn keep_recent(&self, count: u64) {
        if let Ok(journal) = rusqlite::Connection::open(self.journal()) {
            let newest = "SELECT max(sequence) FROM recent AS other WHERE other.shard = recent.shard";
            // A journal that was not opened yet has no batches.
            let _ = journal.execute(&format!("DELETE FROM recent WHERE sequence + ?1 <= ({newest})"), [count as i64]);
        }
    }

    fn lost(&self) -> u64 {
        self.drain.as_ref().and_then(|drain| drain.record()).map_or(0, |record| record.lost)
    }

    fn hits(&self, path: &str) -> Counter {
        self.hits.with(&[path]).unwrap()
    }

    /// One round, with these faults; `true` if it went through.
    fn drain(&mut self, paper: &Arc<Mutex<Paper>>, faults: &[Option<Fault>]) -> bool {
        *self.faults.lock().unwrap() = faults.to_vec();
        let wire = Wire { paper: Arc::clone(paper), faults: Arc::clone(&self.faults) };
        let journal = self.journal();
        let drain = self.drain.get_or_insert_with(|| {
            Drain::new(Box::new(wire), Some(journal), "host".to_owned(), Duration::from_secs(30))
        });
        let right = self.spool.try_drain().unwrap();
        drain.run(&self.spool, &right, false, Instant::now() + Duration::from_secs(9)).is_ok()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Count {
        host: usize,
        path: usize,
        amount: f64,
    },
    Observe {
        host: usize,
        path: usize,
    },
    /// A round of this host, with these faults.
    Drain {
        host: usize,
        faults: Vec<Option<Fault>>,
    },
    /// The process that drains dies; another one goes on with the journal.
    Crash {
        host: usize,
    },
    /// Its journal drops all but this many batches of each shard.
    Forget {
        host: usize,
        keep: u64,
    },
    /// A shard is lost.
    Reset {
        shard: usize,
    },
    /// The ledger's state is kept, as by a replica that falls behind, or put back to what was kept.
    Keep,
    PutBack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let host = 0usize..2;
    let path = 0usize..3;
    let fault = prop_oneof![3 => Just(None), 1 => Just(Some(Fault::Request)), 1 => Just(Some(Fault::Reply))];
    let step = prop_oneof![
        4 => (host.clone(), path.clone(), prop_oneof![Just(1.0), Just(0.5), 0.0f64..9.0])
            .prop_map(|(host, path, amount)| Step::Count { host, path, amount }),
        2 => (host.clone(), path).prop_map(|(host, path)| Step::Observe { host, path }),
        4 => (host.clone(), prop::collection::vec(fault, 0..9)).prop_map(|(host, faults)| Step::Drain { host, faults }),
        1 => host.clone().prop_map(|host| Step::Crash { host }),
        1 => (host, 0u64..4).prop_map(|(host, keep)| Step::Forget { host, keep }),
        1 => (0usize..2).prop_map(|shard| Step::Reset { shard }),
        1 => Just(Step::Keep),
        1 => Just(Step::PutBack),
    ];
    prop::collection::vec(step, 1..60)
}

const PATHS: [&str; 3] = ["a", "bb", "ccc"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_counted_is_what_the_ledger_holds(steps in steps()) {
        let paper = Arc::new(Mutex::new(Paper::new()));
        let mut kept: Option<Paper> = None;
        let mut hosts = [Host::new(), Host::new()];
        let mut counted: HashMap<(&str, &str), (u64, f64)> = HashMap::new();
        for step in steps {
            match step {
                Step::Count { host, path, amount } => {
                    hosts[host].hits(PATHS[path]).inc_by(amount).unwrap();
                    let total = counted.entry(("hits", PATHS[path])).or_default();
                    if amount.fract() == 0.0 { total.0 += amount as u64 } else { total.1 += amount }
                }
                Step::Observe { host, path } => {
                    hosts[host].seconds.with(&[PATHS[path]]).unwrap().observe(0.25);
                    let total = counted.entry(("seconds", PATHS[path])).or_default();
                    *total = (total.0 + 1, total.1 + 0.25);
                }
                Step::Drain { host, faults } => _ = hosts[host].drain(&paper, &faults),
                Step::Crash { host } => hosts[host].drain = None,
                Step::Forget { host, keep } => hosts[host].keep_recent(keep),
                Step::Reset { shard } => {
                    paper.lock().unwrap().reset(shard);
                    kept = None;
                }
                Step::Keep => kept = Some(paper.lock().unwrap().clone()),
                Step::PutBack => if let Some(kept) = &kept { *paper.lock().unwrap() = kept.clone() },
            }
        }
        for host in &mut hosts {
            // A store that was put back asks for what is missing when it is sent something.
            host.hits("a").inc();
            host.hits("bb").inc();
            prop_assert!(host.drain(&paper, &[]));
        }
        for path in ["a", "bb"] {
            counted.entry(("hits", path)).or_default().0 += 2;
        }
        let paper = paper.lock().unwrap();
        let (missing, said) = (paper.missing(), hosts.iter().map(Host::lost).sum::<u64>());
        prop_assert!(missing <= said, "{} batches are missing, {} were said to be lost", missing, said);
        for ((name, path), (whole, rest)) in counted {
            let found = paper.number(name, path);
            if missing > 0 {
                prop_assert!(found.0 <= whole && found.1 < rest + 1e-9, "{} {}: too much", name, path);
                continue;
            }
            prop_assert_eq!(found.0, whole, "{} {}", name, path);
            prop_assert!((found.1 - rest).abs() < 1e-9, "{} {}: {} instead of {}", name, path, found.1, rest);
        }
    }
}

#[test]
fn a_removal_on_one_host_reaches_the_other_which_starts_anew() {
    let paper = Arc::new(Mutex::new(Paper::new()));
    let mut hosts = [Host::new(), Host::new()];
    for host in &mut hosts {
        host.hits("a").inc_by(5.0).unwrap();
        assert!(host.drain(&paper, &[]));
    }
    hosts[0].hits.remove(&["a"]).unwrap();
    hosts[0].hits("a").inc();
    assert!(hosts[0].drain(&paper, &[Some(Fault::Reply), None, None]) || hosts[0].drain(&paper, &[]));
    assert!(hosts[1].drain(&paper, &[]));
    hosts[1].hits("a").inc_by(2.0).unwrap();
    assert!(hosts[1].drain(&paper, &[]));
    assert_eq!(paper.lock().unwrap().number("hits", "a"), (3, 0.0));
}

#[test]
fn who_removes_all_the_time_holds_up_nobody() {
    let paper = Arc::new(Mutex::new(Paper::new()));
    let mut host = Host::new();
    for number in 0..500 {
        // So that a reading takes longer than a removal.
        host.hits(&format!("c{number}")).inc();
    }
    let (hits, is_over, mut rounds) = (host.hits.clone(), AtomicBool::new(false), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                hits.with(&["b"]).unwrap().inc_by(7.0).unwrap();
                hits.remove(&["b"]).unwrap();
            }
        });
        for _ in 0..40 {
            host.hits("a").inc();
            rounds.push((host.drain(&paper, &[]), paper.lock().unwrap().number("hits", "b").0));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(rounds.iter().all(|(is_drained, b)| *is_drained && *b <= 7), "of one life at most: {rounds:?}");
    host.hits("b").inc_by(3.0).unwrap();
    assert!(host.drain(&paper, &[]));
    let paper = paper.lock().unwrap();
    assert_eq!((paper.number("hits", "a"), paper.number("hits", "b")), ((40, 0.0), (3, 0.0)));
}

#[test]
fn a_removal_of_everything_reaches_series_that_the_host_never_had() {
    let paper = Arc::new(Mutex::new(Paper::new()));
    let mut hosts = [Host::new(), Host::new()];
    hosts[1].hits("a").inc();
    assert!(hosts[1].drain(&paper, &[]));
    hosts[0].hits.clear();
    assert!(hosts[0].drain(&paper, &[]));
    assert_eq!(paper.lock().unwrap().number("hits", "a"), (0, 0.0));
    hosts[0].hits.clear();
    hosts[1].hits("a").inc();
    assert!(hosts[1].drain(&paper, &[]));
    assert!(hosts[0].drain(&paper, &[]));
    assert_eq!(paper.lock().unwrap().number("hits", "a"), (0, 0.0), "clearing again removes again");
}

#[test]
fn a_lost_journal_counts_too_little_rather_than_too_much() {
    let paper = Arc::new(Mutex::new(Paper::new()));
    let mut host = Host::new();
    host.hits("a").inc_by(5.0).unwrap();
    assert!(host.drain(&paper, &[]));
    host.lose_the_journal();
    // The first round fails, after the journal was made anew.
    assert!(!host.drain(&paper, &[Some(Fault::Request)]));
    host.hits("a").inc();
    assert!(host.drain(&paper, &[]));
    host.hits("a").inc_by(2.0).unwrap();
    assert!(host.drain(&paper, &[]));
    assert_eq!(paper.lock().unwrap().number("hits", "a"), (7, 0.0));
    assert_eq!(host.lost(), 1);
}

#[test]
fn a_gauge_of_live_processes_goes_when_its_process_has_gone() {
    let paper = Arc::new(Mutex::new(Paper::new()));
    let mut host = Host::new();
    let other = host.spool.as_process(Some(77)).unwrap();
    let registry = Registry::with_store(Store::File(Arc::new(other)));
    let depth = registry.gauge("depth", "").mode(GaugeMode::LiveSum).label_names(["path"]).register().unwrap();
    depth.with(&["a"]).unwrap().set(3.0);
    assert!(host.drain(&paper, &[]));
    let shown = |paper: &Paper| paper.shards.iter().flat_map(|shard| shard.gauges.values()).flatten().count();
    assert_eq!(shown(&paper.lock().unwrap()), 1);
    drop((depth, registry));
    assert!(host.drain(&paper, &[]));
    assert_eq!(shown(&paper.lock().unwrap()), 0);
}

#[test]
fn a_lost_journal_repeats_no_removal() {
    let paper = Arc::new(Mutex::new(Paper::new()));
    let mut hosts = [Host::new(), Host::new()];
    hosts[0].hits.clear();
    assert!(hosts[0].drain(&paper, &[]));
    hosts[1].hits("a").inc_by(3.0).unwrap();
    assert!(hosts[1].drain(&paper, &[]));
    hosts[0].lose_the_journal();
    assert!(hosts[0].drain(&paper, &[]));
    assert_eq!(paper.lock().unwrap().number("hits", "a"), (3, 0.0));
}

#[test]
fn a_new_host_is_not_told_of_old_removals() {
    let paper = Arc::new(Mutex::new(Paper::new()));
    let mut old = Host::new();
    old.hits.clear();
    assert!(old.drain(&paper, &[]));
    let mut new = Host::new();
    new.hits("a").inc_by(5.0).unwrap();
    // Also if its first greeting has no answer.
    assert!(!new.drain(&paper, &[Some(Fault::Reply)]));
    assert!(new.drain(&paper, &[]));
    assert_eq!(paper.lock().unwrap().number("hits", "a"), (5, 0.0));
    old.hits.remove(&["a"]).unwrap();
    assert!(old.drain(&paper, &[]) && new.drain(&paper, &[]));
    new.hits("a").inc();
    assert!(new.drain(&paper, &[]));
    assert_eq!(paper.lock().unwrap().number("hits", "a"), (1, 0.0), "of later ones it is told");
}

#[test]
fn a_host_that_was_put_back_counts_no_batch_twice() {
    let paper = Arc::new(Mutex::new(Paper::new()));
    let mut host = Host::new();
    let journal = host.journal();
    // Of both shards.
    let count = |host: &Host| ["a", "bb"].into_iter().for_each(|path| host.hits(path).inc());
    count(&host);
    assert!(host.drain(&paper, &[]));
    host.drain = None;
    let before = std::fs::read(&journal).unwrap();
    for _ in 0..3 {
        count(&host);
        assert!(host.drain(&paper, &[]));
    }
    host.drain = None;
    std::fs::write(&journal, before).unwrap();
    count(&host);
    assert!(host.drain(&paper, &[]));
    count(&host);
    assert!(host.drain(&paper, &[]));
    let paper = paper.lock().unwrap();
    for path in ["a", "bb"] {
        let (whole, _) = paper.number("hits", path);
        assert!((5..=6).contains(&whole), "{whole} of six: at most what cannot be known is missing");
    }
}

#[test]
fn a_host_that_was_put_back_by_one_batch_says_what_it_cannot_know() {
    let paper = Arc::new(Mutex::new(Paper::new()));
    let mut host = Host::new();
    host.hits("a").inc();
    assert!(host.drain(&paper, &[]));
    host.drain = None;
    let before = std::fs::read(host.journal()).unwrap();
    host.hits("a").inc();
    assert!(host.drain(&paper, &[]));
    host.drain = None;
    std::fs::write(host.journal(), before).unwrap();
    host.hits("a").inc();
    assert!(host.drain(&paper, &[]));
    assert_eq!(host.lost(), 1, "whether the third was in the second batch is not known");
    host.hits("a").inc_by(4.0).unwrap();
    assert!(host.drain(&paper, &[]));
    assert_eq!(paper.lock().unwrap().number("hits", "a"), (6, 0.0));
}

#[test]
fn what_is_still_known_after_a_gap_is_sent_and_the_rest_is_counted_as_lost_once() {
    let paper = Arc::new(Mutex::new(Paper::new()));
    let mut host = Host::new();
    let mut kept = None;
    for _ in 0..6 {
        host.hits("a").inc();
        assert!(host.drain(&paper, &[]));
        kept.get_or_insert_with(|| paper.lock().unwrap().clone());
    }
    *paper.lock().unwrap() = kept.unwrap();
    host.keep_recent(2);
    host.hits("a").inc();
    // Greeted, told of the gap, and then the first batch behind it does not arrive, or nobody hears that it did.
    assert!(!host.drain(&paper, &[Some(Fault::Request), None, None]));
    assert!(!host.drain(&paper, &[Some(Fault::Reply), None, None]));
    assert!(host.drain(&paper, &[]));
    assert_eq!(paper.lock().unwrap().number("hits", "a"), (4, 0.0), "the first, the last two, and the new one");
    assert_eq!((host.lost(), paper.lock().unwrap().missing()), (3, 3));
}

#[test]
fn a_gauge_of_a_lost_batch_is_said_again() {
    let paper = Arc::new(Mutex::new(Paper::new()));
    let mut host = Host::new();
    host.hits("a").inc();
    assert!(host.drain(&paper, &[]));
    let kept = paper.lock().unwrap().clone();
    let registry = Registry::with_store(Store::File(Arc::clone(&host.spool)));
    let depth = registry.gauge("depth", "").mode(GaugeMode::Sum).label_names(["path"]).register().unwrap();
    depth.with(&["a"]).unwrap().set(3.0);
    for _ in 0..3 {
        host.hits("a").inc();
        assert!(host.drain(&paper, &[]));
    }
    *paper.lock().unwrap() = kept;
    host.keep_recent(1);
    host.hits("a").inc();
    assert!(host.drain(&paper, &[]));
    let paper = paper.lock().unwrap();
    let said: Vec<_> = paper.shards.iter().flat_map(|shard| shard.gauges.values()).flatten().collect();
    assert_eq!(said.iter().map(|value| value.value).collect::<Vec<_>>(), [3.0]);
}

#[test]
fn a_sum_beyond_what_floats_can_say_ends() {
    let paper = Arc::new(Mutex::new(Paper::new()));
    let mut host = Host::new();
    let seconds = host.seconds.with(&["a"]).unwrap();
    seconds.observe(-1e308);
    assert!(host.drain(&paper, &[]));
    seconds.observe(1e308);
    seconds.observe(1e308);
    assert!(host.drain(&paper, &[]));
    assert!(host.drain(&paper, &[]));
    assert_eq!(paper.lock().unwrap().number("seconds", "a").0, 3);
}
