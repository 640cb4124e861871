//! Which store this process counts into: chosen by the environment at the first metric, or by `use_store`.
//!
//! A store that cannot be opened never keeps a program from running when the environment chose it: that is logged once,
//! and counting goes on in memory. Code that asks for a store by `use_store` gets an exception.

use std::collections::HashSet;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use pyo3::prelude::*;
use tallymark::fork::Gated;
use tallymark::model::{Family, GaugeMode};
use tallymark::{AnyFamily, Error, FileStore, Options, Store};

use crate::{error, log, server};

/// The variables that the official client reads, the current one first.
const MULTIPROCESS: [&str; 2] = ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"];

/// The store of new metrics, and every family of this process.
struct Chosen {
    store: Store,
    /// What `multiprocess_mode` a gauge has that says none.
    mode: GaugeMode,
    /// Whether it was asked for by name, and not by the directory that the official client has.
    is_named: bool,
    /// Stores that were used before: a scrape or an update may still come to them, so they are left at the end.
    former: Vec<Store>,
}

static CHOSEN: Gated<Option<Chosen>> = Gated::new(None);
static FAMILIES: Gated<Vec<Weak<AnyFamily>>> = Gated::new(Vec::new());
/// Stores in which this program is several processes, by its own word: see [`family_of`].
static IDENTITIES: Gated<Vec<Identity>> = Gated::new(Vec::new());
static ENDINGS: AtomicU64 = AtomicU64::new(0);
/// The last store that could not be opened for one of them, as it was logged.
static REFUSED: Gated<Option<String>> = Gated::new(None);

/// A store, open once more for what the program says is a process of its own.
struct Identity {
    name: String,
    file: Arc<FileStore>,
    families: Vec<Weak<AnyFamily>>,
}

/// Move every metric of this process to the store at *url* and make it the one of later metrics.
///
/// What was counted in memory so far is carried over; what `values.MultiProcessValue` has had counted elsewhere, and what
/// `values.MutexValue` counts, stays where it is. Call it once, early; processes that are forked later use it too.
///
/// Args:
///     url: ``memory:``, ``file:/path/metrics.tally``, ``sqlite:/path/metrics.db`` or ``redis://host:6379/0?prefix=app``.
///
/// Raises:
///     ValueError: The URL names no store.
///     OSError: The file cannot be used; the message says why and what would help.
#[pyfunction]
pub(crate) fn use_store(py: Python<'_>, url: &str) -> PyResult<()> {
    let mut store = py.detach(|| Store::open(url)).map_err(error::core)?;
    {
        let mut chosen = CHOSEN.lock();
        let former = chosen.take().map(|chosen| chosen.former.into_iter().chain([chosen.store]).collect());
        let (mode, former) = (GaugeMode::Auto, former.unwrap_or_default());
        *chosen = Some(Chosen { store: store.clone(), mode, is_named: true, former });
    }
    at_the_end(py, &store);
    // Processes that this program says it is go on in the new store.
    end_identities(|_| true);
    py.detach(|| {
        loop {
            live_families().iter().for_each(|family| family.use_store(store.clone()));
            // Of two threads that choose at once the later one wins for every family.
            match CHOSEN.lock().as_ref() {
                Some(chosen) if !chosen.store.is(&store) => store = chosen.store.clone(),
                _ => break,
            }
        }
    });
    Ok(())
}

/// Give the URL of the store that new metrics count into.
#[pyfunction]
pub(crate) fn store_url(py: Python<'_>) -> String {
    default_store(py).0.url()
}

/// End this process's part in its stores: stop its servers and fold its numbers into the totals.
///
/// For the end of the process. What is counted later is not lost.
#[pyfunction]
pub(crate) fn leave(py: Python<'_>) {
    server::stop_all(py);
    let stores: Vec<Store> = match CHOSEN.lock().as_ref() {
        Some(chosen) => chosen.former.iter().chain([&chosen.store]).cloned().collect(),
        None => Vec::new(),
    };
    // Without letting Python go: what no thread updates meanwhile is folded exactly.
    live_families().iter().for_each(|family| family.share());
    stores.iter().for_each(Store::fold);
    let families: Vec<Weak<AnyFamily>> = IDENTITIES.lock().iter().flat_map(|it| it.families.clone()).collect();
    families.iter().filter_map(Weak::upgrade).for_each(|family| family.share());
    end_identities(|_| true);
    py.detach(|| stores.iter().for_each(Store::leave));
}

/// Return when all that was counted on this host before is in the store.
///
/// That is at once where the store is memory or a file. SQLite and Redis are fed in the background, once in an interval:
/// a function that is frozen between its invocations calls this at the end of each.
///
/// Args:
///     timeout: How many seconds that may take.
///
/// Raises:
///     TimeoutError: It took longer. Nothing is lost: what was counted stays in this host's spool and is sent later. That is
///         so with the other errors, too.
///     ConnectionError: The store cannot be reached.
///     PermissionError: The store does not let this user write.
///     OSError: The store has no room, is not ready, or something else is there.
///     ValueError: *timeout* is no number of seconds.
#[pyfunction]
#[pyo3(signature = (timeout = 5.0))]
pub(crate) fn flush(py: Python<'_>, timeout: f64) -> PyResult<()> {
    let limit = Duration::try_from_secs_f64(timeout)
        .map_err(|_| error::refused(format!("timeout={timeout}: not a number of seconds such as 5.0")))?;
    let (store, _) = default_store(py);
    py.detach(|| {
        live_families().iter().for_each(|family| family.share());
        store.flush(limit)
    })
    .map_err(error::core)
}

/// The store of new metrics, if there has been a metric: what is known of it without asking Python.
pub(crate) fn chosen() -> Option<Store> {
    CHOSEN.lock().as_ref().map(|chosen| chosen.store.clone())
}

/// The store of new metrics, and the mode of gauges that say none.
pub(crate) fn default_store(py: Python<'_>) -> (Store, GaugeMode) {
    if let Some(chosen) = CHOSEN.lock().as_ref() {
        return (chosen.store.clone(), chosen.mode);
    }
    // Opened without the lock, since opening may log; of two threads that come here the first one's store stays.
    let from_environment = py.detach(from_environment);
    let (chosen, trouble) = match from_environment {
        Ok(chosen) => (chosen, None),
        Err((mode, trouble)) => {
            (Chosen { store: Store::Memory, mode, is_named: false, former: Vec::new() }, Some(trouble))
        }
    };
    let (answer, is_first) = {
        let mut known = CHOSEN.lock();
        let is_first = known.is_none();
        let known = known.get_or_insert(chosen);
        ((known.store.clone(), known.mode), is_first)
    };
    if is_first {
        at_the_end(py, &answer.0);
    }
    if let (Some(trouble), true) = (trouble, is_first) {
        // What a handler raises is not this metric's trouble.
        drop(log::emit(py, "error", &format!("{trouble}; counting in this process's memory"), None));
    }
    answer
}

/// Has the end of this process seen to, where a store is to hear of it.
fn at_the_end(py: Python<'_>, store: &Store) {
    if let Store::Ledger(_) = store {
        // Where it cannot be, the exit is not a clean one: what was counted stays in the spool.
        drop(py.import("tallymark._ending").and_then(|module| module.call_method0("on_sigterm")));
    }
}

fn from_environment() -> Result<Chosen, (GaugeMode, String)> {
    let is_named = env::var_os("TALLYMARK_STORE").is_some_and(|value| !value.is_empty());
    // As the official client documents, where its variable chooses the store.
    let mode = if !is_named && directory().is_some() { GaugeMode::All } else { GaugeMode::Auto };
    match Store::from_env() {
        Ok(store) => Ok(Chosen { store, mode, is_named, former: Vec::new() }),
        Err(error) => Err((mode, error.to_string())),
    }
}

/// The directory that the environment names now, as the official client does.
fn directory() -> Option<PathBuf> {
    MULTIPROCESS.into_iter().find_map(env::var_os).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Makes a family that counts into the store of new metrics, and follows when that changes.
pub(crate) fn family(py: Python<'_>, definition: Family) -> Arc<AnyFamily> {
    let (store, _) = default_store(py);
    let family = Arc::new(AnyFamily::new(definition, store.clone()));
    follow(&family);
    // Another thread may have changed the store before it could see the family.
    let (now, _) = default_store(py);
    if !store.is(&now) {
        family.use_store(now);
    }
    family
}

/// Makes a family of a process that this program says it is, instead of the one that the kernel knows: in the store that
/// was asked for by name, or in the directory that the environment names now. None in memory, where there are no
/// processes.
pub(crate) fn family_of(py: Python<'_>, definition: Family, identity: &str) -> Option<Arc<AnyFamily>> {
    let named = match CHOSEN.lock().as_ref() {
        Some(Chosen { store: Store::File(file), is_named: true, .. }) => Some(Arc::clone(file)),
        _ => None,
    };
    let path = match &named {
        Some(file) => file.path().to_owned(),
        None => std::path::absolute(directory()?.join(FileStore::NAME)).unwrap_or_default(),
    };
    let is_it = |it: &Identity| it.name == identity && it.file.path() == path;
    let known = IDENTITIES.lock().iter().find(|it| is_it(it)).map(|it| Arc::clone(&it.file));
    let opened = known.map_or_else(|| py.detach(|| open_as(named.as_deref(), &path, identity)), Ok);
    let file = match opened {
        Ok(file) => file,
        Err(error) => {
            let message = format!("{error}; counting in this process's memory");
            let is_news = REFUSED.lock().replace(message.clone()).is_none_or(|last| last != message);
            if is_news {
                // What a handler raises is not this metric's trouble.
                drop(log::emit(py, "error", &message, None));
            }
            return None;
        }
    };
    let mut identities = IDENTITIES.lock();
    let place = match identities.iter().position(is_it) {
        Some(place) => place,
        None => {
            identities.push(Identity { name: identity.to_owned(), file, families: Vec::new() });
            identities.len() - 1
        }
    };
    let identity = &mut identities[place];
    let family = Arc::new(AnyFamily::new(definition, Store::File(Arc::clone(&identity.file))));
    remember(&mut identity.families, &family);
    Some(family)
}

fn open_as(named: Option<&FileStore>, path: &Path, identity: &str) -> Result<Arc<FileStore>, Error> {
    let process = Some(identity.parse().unwrap_or_else(|_| number_of(identity)));
    let file = match named {
        Some(file) => file.as_process(process)?,
        None => FileStore::open(path, Options { process, ..Options::default() })?,
    };
    Ok(Arc::new(file))
}

/// A number for a process whose name is none, since the file has numbers only: FNV-1a of the name, in the half of the
/// numbers that are no process ids.
fn number_of(name: &str) -> u32 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash | 1 << 31
}

/// How often processes that this program said it is have been ended: families of them are looked up anew then.
pub(crate) fn endings() -> u64 {
    ENDINGS.load(Ordering::Relaxed)
}

fn end_identities(which: impl Fn(&Identity) -> bool) {
    let ended: Vec<Identity> = IDENTITIES.lock().extract_if(.., |it| which(it)).collect();
    ENDINGS.fetch_add(1, Ordering::Relaxed);
    // With the lock given back: the last use of a file may fold what was counted in it.
    ended.iter().for_each(|it| it.file.leave());
}

/// End what this program said is a process of its own, as the end of a process does.
///
/// Args:
///     identity: What it is called.
#[pyfunction]
pub(crate) fn end_identity(identity: &str) {
    if IDENTITIES.lock().iter().any(|it| it.name == identity) {
        end_identities(|it| it.name == identity);
    }
}

/// Forget the processes that this program said it is, but those whose metrics are still there.
#[pyfunction]
pub(crate) fn forget_identities() {
    end_identities(|it| it.families.iter().all(|family| family.strong_count() == 0));
}

/// The store that a directory of the official client's multiprocess mode holds; None if it holds none.
///
/// # Errors
/// The file is there and cannot be used.
pub(crate) fn in_directory(directory: &Path) -> Result<Option<Store>, Error> {
    let path = std::path::absolute(directory.join(FileStore::NAME)).unwrap_or_default();
    if let Some(Chosen { store: Store::File(file), .. }) = CHOSEN.lock().as_ref()
        && file.path() == path
    {
        return Ok(Some(Store::File(Arc::clone(file))));
    }
    if !path.exists() {
        return Ok(None);
    }
    let file = FileStore::open(&path, Options { create: false, ..Options::default() })?;
    Ok(Some(Store::File(Arc::new(file))))
}

/// The store that was asked for by name, if one was.
pub(crate) fn named() -> Option<Store> {
    CHOSEN.lock().as_ref().filter(|chosen| chosen.is_named).map(|chosen| chosen.store.clone())
}

/// Has a family follow when the store of new metrics changes.
pub(crate) fn follow(family: &Arc<AnyFamily>) {
    remember(&mut FAMILIES.lock(), family);
}

fn remember(families: &mut Vec<Weak<AnyFamily>>, family: &Arc<AnyFamily>) {
    if families.len() == families.capacity() {
        families.retain(|family| family.strong_count() > 0);
    }
    families.push(Arc::downgrade(family));
}

fn live_families() -> Vec<Arc<AnyFamily>> {
    FAMILIES.lock().iter().filter_map(Weak::upgrade).collect()
}

/// The names of all families of this process.
pub(crate) fn declared_names() -> HashSet<String> {
    live_families().iter().map(|family| family.definition().name().to_owned()).collect()
}
