//! A store of many hosts, as one process uses it: the host's spool, and who drains it when.
//!
//! Everything that is counted goes into the spool. Every process has a thread that looks at it once in an interval; the
//! one that drained last goes on doing so, the others come in when it is late. Scrapes, [`LedgerStore::flush`] and the end
//! of a process drain in the thread that asks.
//!
//! A forked child starts without its parent's thread, connection and journal, and makes its own.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};

use tallymark_cells::fork::{self, Gated};
use tallymark_model::{FamilySnapshot, Kind, Value};

use super::drain::Drain;
use super::journal::Record;
use super::{HeldSeries, Ledger, Reason, Stored, Trouble};
use crate::merge::{self, Conflict, Defined, Merged};
use crate::own_metrics::{self, about, counter, gauge};
use crate::store::url::Settings;
use crate::store::{StoreReading, groups};
use crate::{Error, FileStore, clock, record};

/// The longest pause between two tries of a store that cannot be reached.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest round of the thread: a store that was lost gets a million series again in less.
const LONGEST_ROUND: Duration = Duration::from_secs(60);
/// The longest that anybody waits for a flush.
const LONGEST_FLUSH: Duration = Duration::from_secs(86_400);
/// How long a scrape waits for everything that a store holds, at the most: Prometheus gives up after ten seconds.
const READING: Duration = Duration::from_secs(9);

/// A store of many hosts behind this host's spool.
pub struct LedgerStore {
    spool: Arc<FileStore>,
    settings: Settings,
    connect: Connect,
    active: Gated<(u32, Option<Arc<Active>>)>,
    /// In which generation of forks the thread was started.
    started: AtomicU32,
}

/// Makes a ledger that is not connected yet.
type Connect = Box<dyn Fn(&Settings) -> Box<dyn Ledger> + Send + Sync>;

/// What a process that is not its parent's copy has.
struct Active {
    drain: Mutex<Drain>,
    state: Mutex<State>,
    alarm: Condvar,
}

#[derive(Default)]
struct State {
    stopped: bool,
    /// Whether this process was the last one to drain.
    is_drainer: bool,
    /// Failures in a row, and when it may be tried again.
    failures: u32,
    trouble: Option<Reason>,
    /// Types that were not shown at the last scrape.
    conflicts: Vec<Conflict>,
    /// How draining had gone when it was last known.
    record: Record,
}

impl LedgerStore {
    pub(crate) fn new(
        spool: FileStore,
        settings: Settings,
        connect: impl Fn(&Settings) -> Box<dyn Ledger> + Send + Sync + 'static,
    ) -> LedgerStore {
        LedgerStore {
            spool: Arc::new(spool),
            settings,
            connect: Box::new(connect),
            active: Gated::default(),
            started: AtomicU32::new(0),
        }
    }

    /// The host's spool, which everything is counted in.
    pub fn spool(&self) -> &Arc<FileStore> {
        &self.spool
    }

    /// The store, as it may be shown.
    pub fn url(&self) -> &str {
        &self.settings.url
    }

    pub(crate) fn groups(&self) -> (groups::Place, Duration) {
        (self.settings.groups.clone(), self.settings.timeout)
    }

    /// Whether the spool is a file, not memory of this process.
    pub(crate) fn has_spool_file(&self) -> bool {
        self.settings.spool_path.is_some()
    }

    /// Starts the thread that drains, if there is none in this process. Not under the fork gate.
    pub(crate) fn start(self: &Arc<LedgerStore>) {
        let generation = fork::generation();
        let has_started = || self.started.load(Ordering::Relaxed) == generation;
        if self.settings.sync || has_started() || self.started.swap(generation, Ordering::Relaxed) == generation {
            return;
        }
        let store = Arc::downgrade(self);
        let active = self.active();
        let started =
            std::thread::Builder::new().name("tallymark-drain".to_owned()).spawn(move || watch(&store, &active));
        if let Err(error) = started {
            log::warn!("{}: no thread to drain it: {error}; scrapes and the end of the process do", self.settings.url);
        }
    }

    /// Returns when all that was counted on this host before is in the store.
    ///
    /// # Errors
    /// [`Error::Store`] if that takes longer than `limit`, or the store says no. Nothing is lost then: it stays in the
    /// spool.
    pub fn flush(&self, limit: Duration) -> Result<(), Error> {
        let flushed = self.flush_until(Instant::now() + limit.min(LONGEST_FLUSH), false);
        self.note(&flushed);
        flushed.map_err(Error::from)
    }

    /// Stops the thread and sends what is in the spool, for the end of the process, which has folded its numbers.
    pub(crate) fn leave(&self) {
        {
            let active = self.active();
            lock(&active.state).stopped = true;
            active.alarm.notify_all();
        }
        let (drained, failed) = self.spool.drained();
        let in_memory = self.settings.spool_path.is_none();
        let now = clock::stamp();
        let is_away = failed > drained && failed <= now && now - failed < 10_000_000_000;
        // Many short jobs need not all wait for a store that is away: the file keeps what they counted.
        if !is_away || in_memory {
            let limit = Instant::now() + self.settings.timeout;
            if let Err(trouble) = self.flush_until(limit, in_memory) {
                self.note(&Err(trouble));
            }
        }
    }

    /// What the store holds, after what this host has counted was sent. A store that cannot be read has no families, and
    /// says so in its own metrics.
    pub(crate) fn read_families(&self) -> StoreReading {
        let read = self.read();
        let mut own = self.own_metrics(read.as_ref().ok());
        let merged = read.map_or_else(|_| Merged::default(), |stored| self.merge(stored));
        own.append(&mut own_metrics::of_merging(&merged));
        own.append(&mut own_metrics::of_file(&self.spool.status()));
        StoreReading { families: merged.families, own }
    }

    /// Everything that the store holds, without sending it anything.
    pub(crate) fn ask(&self, limit: Instant) -> Result<Stored, Trouble> {
        let active = self.active();
        wait_for(&active.drain, limit).ok_or_else(|| self.timeout()).and_then(|mut drain| drain.read(limit))
    }

    /// Where the journal is; none in memory.
    pub(crate) fn journal(&self) -> Option<PathBuf> {
        let mut name = self.settings.spool_path.clone()?.into_os_string();
        name.push(".journal");
        Some(PathBuf::from(name))
    }

    fn merge(&self, mut stored: Stored) -> Merged {
        stored.series.sort_unstable_by(HeldSeries::order);
        let limits = self.settings.limits;
        let mut users: HashMap<u64, u32> = HashMap::new();
        stored.users.iter().for_each(|(family, more)| *users.entry(*family).or_default() += more);
        let mut defined: Vec<Defined> = Vec::new();
        let mut seen = HashSet::new();
        for HeldSeries { family, .. } in &stored.series {
            // Each shard has definitions of its own; equal ones are one.
            if seen.insert(Arc::as_ptr(family)) && !defined.iter().any(|known| known.family == *family) {
                let users = users.get(&record::family_id(family)).copied().unwrap_or(0);
                defined.push(Defined { family: Arc::clone(family), users });
            }
        }
        let merged = merge::add_up(defined, stored.series.into_iter(), limits, stored.now);
        let active = self.active();
        let news = Conflict::news(&merged, &mut lock(&active.state).conflicts);
        for notice in news {
            log::warn!("{}: {notice}", self.settings.url);
        }
        merged
    }

    /// The store's metrics about itself; those of the spool are a file store's.
    fn own_metrics(&self, stored: Option<&Stored>) -> Vec<FamilySnapshot> {
        let record = self.record();
        let failed = record.failed.iter().filter(|(_, count)| *count > 0);
        let failed = failed
            .map(|(reason, count)| (vec![reason.name()], Value::Counter { total: *count as f64, exemplar: None }));
        let mut own = vec![
            gauge(
                "tallymark_store_up",
                "Whether the store could be read just now.",
                f64::from(u8::from(stored.is_some())),
            ),
            gauge(
                "tallymark_last_drain_timestamp_seconds",
                "When what this host had counted was last sent to the store, 0 for never.",
                record.last,
            ),
            gauge("tallymark_last_drain_duration_seconds", "How long that took.", record.seconds),
            gauge(
                "tallymark_backlog_series",
                "Series of this host that had something to send when draining last failed, 0 after it succeeded.",
                record.waiting as f64,
            ),
            about(Kind::Counter, "tallymark_failed_drains", "Failed tries to drain this host.", &["reason"], failed),
            counter(
                "tallymark_lost_batches",
                "Batches given up because it could not be known whether they had been counted.",
                record.lost,
            ),
        ];
        if let Some(stored) = stored {
            let help = "Processes of all hosts that count in the store.";
            own.push(gauge("tallymark_store_processes", help, stored.processes as f64));
        }
        own
    }

    /// Drains, as far as that can be done at once, and reads everything in the store.
    fn read(&self) -> Result<Stored, Trouble> {
        let end = Instant::now() + READING;
        let limit = Instant::now() + self.settings.timeout;
        let drained = self.flush_until(limit.min(end), false);
        if let Err(trouble) = &drained {
            self.note(&drained);
            if trouble.reason == Reason::Unreachable {
                return Err(trouble.clone());
            }
        }
        let active = self.active();
        let read = wait_for(&active.drain, end).ok_or_else(|| self.timeout()).and_then(|mut drain| drain.read(end));
        if drained.is_ok() {
            self.note(&read.as_ref().map(|_| ()).map_err(Trouble::clone));
        }
        read
    }

    /// How draining has gone on this host: what is known of it, where somebody else is at the journal, so that no counter
    /// ever falls.
    pub(crate) fn record(&self) -> Record {
        let active = self.active();
        let found = match self.journal() {
            Some(place) => Record::read(&place),
            None => wait_for(&active.drain, Instant::now()).and_then(|drain| drain.record()),
        };
        let mut state = lock(&active.state);
        if let Some(record) = found {
            state.record = record;
        }
        state.record.clone()
    }

    fn timeout(&self) -> Trouble {
        let message = format!("{}: another thread of this process still waits for it", self.settings.url);
        Trouble { reason: Reason::Timeout, message }
    }

    fn flush_until(&self, limit: Instant, end: bool) -> Result<(), Trouble> {
        let target = clock::stamp();
        let active = self.active();
        let mut drain = wait_for(&active.drain, limit).ok_or_else(|| self.timeout())?;
        loop {
            // Somebody else has done it since; a time that has not come yet is of an earlier boot.
            let drained = self.spool.drained().0;
            if (target..=clock::stamp()).contains(&drained) && !end {
                return Ok(());
            }
            if let Some(right) = self.spool.try_drain() {
                lock(&active.state).is_drainer = true;
                return drain.run(&self.spool, &right, end, limit);
            }
            if Instant::now() >= limit {
                let message = format!("{}: another process of this host still drains", self.settings.url);
                return Err(Trouble { reason: Reason::Timeout, message });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Logs it when trouble begins, changes or ends.
    fn note(&self, result: &Result<(), Trouble>) {
        let active = self.active();
        let now = result.as_ref().err().map(|trouble| trouble.reason);
        let before = {
            let mut state = lock(&active.state);
            state.failures = if result.is_ok() { 0 } else { state.failures + 1 };
            std::mem::replace(&mut state.trouble, now)
        };
        match result {
            Err(trouble) if before != now => {
                log::warn!("{trouble}; counting goes on in the spool, nothing is lost");
            }
            Ok(()) if before.is_some() => log::info!("{}: drained again", self.settings.url),
            _ => {}
        }
    }

    fn active(&self) -> Arc<Active> {
        let mut active = self.active.lock();
        if active.0 != fork::generation() || active.1.is_none() {
            if let Some(inherited) = active.1.take() {
                // If the parent's thread was at it, the lock is never given back here.
                if let Ok(mut drain) = inherited.drain.try_lock() {
                    drain.hang_up();
                }
                // SQLite's files are not closed: that would give up locks of this process.
                std::mem::forget(inherited);
            }
            let journal = self.journal();
            let ledger = (self.connect)(&self.settings);
            let drain = Drain::new(ledger, journal, self.settings.instance.clone(), self.settings.lease);
            let drain = Mutex::new(drain.expiring(self.settings.limits.ttl));
            let made = Active { drain, state: Mutex::default(), alarm: Condvar::new() };
            *active = (fork::generation(), Some(Arc::new(made)));
        }
        Arc::clone(active.1.as_ref().expect("made just now"))
    }

    /// One look of the thread. Gives how long it need not look again.
    fn look(&self, active: &Active) -> Duration {
        let interval = self.settings.interval;
        let (is_drainer, failures) = {
            let state = lock(&active.state);
            (state.is_drainer, state.failures)
        };
        let (drained, failed) = self.spool.drained();
        if failures > 0 && drained > failed {
            // Somebody else has reached the store.
            self.note(&Ok(()));
        }
        let now = clock::stamp();
        let since = Duration::from_nanos(now.saturating_sub(drained.max(failed)));
        let pause = (interval * 2u32.saturating_pow(failures.min(10))).min(LONGEST_PAUSE.max(interval));
        let patience = match (is_drainer, failed > drained) {
            (true, _) => pause,
            // Who drains is having trouble, and pauses.
            (false, true) => LONGEST_PAUSE.max(interval) * 2,
            (false, false) => interval * 2,
        };
        // After a boot the clock starts again: a time that has not come yet is of an earlier one.
        if since < patience && drained.max(failed) <= now {
            if !is_drainer {
                return interval;
            }
            return (patience - since).max(Duration::from_millis(1));
        }
        let Ok(mut drain) = active.drain.try_lock() else { return interval };
        let Some(right) = self.spool.try_drain() else {
            lock(&active.state).is_drainer = false;
            return interval;
        };
        let began = Instant::now();
        let result = drain.run(&self.spool, &right, false, began + LONGEST_ROUND);
        drop(right);
        drop(drain);
        lock(&active.state).is_drainer = true;
        self.note(&result);
        // A large store is not read all the time.
        (began.elapsed() * 10).min(LONGEST_PAUSE)
    }
}

impl Drop for LedgerStore {
    fn drop(&mut self) {
        // Not by the gate, which who drops the last reference may hold.
        let (generation, active) = std::mem::take(self.active.get_mut());
        match active {
            Some(active) if generation == fork::generation() => {
                lock(&active.state).stopped = true;
                active.alarm.notify_all();
            }
            inherited => std::mem::forget(inherited),
        }
    }
}

/// What the thread does.
fn watch(store: &Weak<LedgerStore>, active: &Active) {
    let mut pause = Duration::ZERO;
    loop {
        {
            let state = lock(&active.state);
            let (state, _) = active
                .alarm
                .wait_timeout_while(state, pause, |state| !state.stopped)
                .unwrap_or_else(PoisonError::into_inner);
            if state.stopped {
                return;
            }
        }
        let Some(store) = store.upgrade() else { return };
        pause = store.look(active).max(Duration::from_millis(1));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a mutex that may be held as long as a store does not answer.
fn wait_for<T>(mutex: &Mutex<T>, limit: Instant) -> Option<MutexGuard<'_, T>> {
    loop {
        match mutex.try_lock() {
            Ok(held) => return Some(held),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= limit => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn how_draining_went_is_known_while_somebody_drains() {
        let directory = tempfile::tempdir().unwrap();
        for spool in ["memory", directory.path().join("spool.tally").to_str().unwrap()] {
            let url = format!("sqlite:{}?sync=true&spool={spool}", directory.path().join("a.db").display());
            let Store::Ledger(store) = Store::open(&url).unwrap() else { panic!("a ledger") };
            store.flush(Duration::from_secs(9)).unwrap();
            let before = store.record();
            assert!(before.last > 0.0);
            let active = store.active();
            let _at_work = lock(&active.drain);
            assert_eq!(store.record(), before);
        }
    }

    #[test]
    fn a_process_that_has_not_drained_knows_how_it_went() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}?sync=true", directory.path().join("a.db").display());
        let open = || match Store::open(&url).unwrap() {
            Store::Ledger(store) => store,
            _ => panic!("a ledger"),
        };
        let (one, other) = (open(), open());
        one.flush(Duration::from_secs(9)).unwrap();
        assert_eq!(other.record(), one.record());
        assert!(other.record().last > 0.0);
    }
}
