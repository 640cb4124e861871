//! Which store this process counts into: chosen by the environment at the first metric, or by `use_store`.
//!
//! A store that cannot be opened never keeps a program from running when the environment chose it: that is logged once,
//! and counting goes on in memory. Code that asks for a store by `use_store` gets an exception.

use std::collections::HashSet;
use std::env;
use std::sync::{Arc, Weak};

use pyo3::prelude::*;
use tallymark::fork::Gated;
use tallymark::model::{Family, GaugeMode};
use tallymark::{AnyFamily, Store};

use crate::{error, log, server};

/// The variables that the official client reads, the current one first.
const MULTIPROCESS: [&str; 2] = ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"];

/// The store of new metrics, and every family of this process.
struct Chosen {
    store: Store,
    /// What `multiprocess_mode` a gauge has that says none.
    mode: GaugeMode,
    /// Stores that were used before: a scrape or an update may still come to them, so they are left at the end.
    former: Vec<Store>,
}

static CHOSEN: Gated<Option<Chosen>> = Gated::new(None);
static FAMILIES: Gated<Vec<Weak<AnyFamily>>> = Gated::new(Vec::new());

/// Move every metric of this process to the store at *url* and make it the one of later metrics.
///
/// What was counted in memory so far is carried over. Call it once, early; processes that are forked later use it too.
///
/// Args:
///     url: ``memory:`` or ``file:/path/metrics.tally``.
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
        *chosen = Some(Chosen { store: store.clone(), mode: GaugeMode::Auto, former: former.unwrap_or_default() });
    }
    py.detach(|| {
        loop {
            live_families().iter().for_each(|family| family.use_store(store.clone()));
            // Of two threads that choose at once the later one wins for every family.
            match CHOSEN.lock().as_ref() {
                Some(chosen) if !is_same(&chosen.store, &store) => store = chosen.store.clone(),
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
    stores.iter().for_each(Store::leave);
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
        Err((mode, trouble)) => (Chosen { store: Store::Memory, mode, former: Vec::new() }, Some(trouble)),
    };
    let (answer, is_first) = {
        let mut known = CHOSEN.lock();
        let is_first = known.is_none();
        let known = known.get_or_insert(chosen);
        ((known.store.clone(), known.mode), is_first)
    };
    if let (Some(trouble), true) = (trouble, is_first) {
        // What a handler raises is not this metric's trouble.
        drop(log::emit(py, "error", &format!("{trouble}; counting in this process's memory"), None));
    }
    answer
}

fn from_environment() -> Result<Chosen, (GaugeMode, String)> {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    // As the official client documents, where its variable chooses the store.
    let mode = match !is_set("TALLYMARK_STORE") && MULTIPROCESS.into_iter().any(is_set) {
        true => GaugeMode::All,
        false => GaugeMode::Auto,
    };
    match Store::from_env() {
        Ok(store) => Ok(Chosen { store, mode, former: Vec::new() }),
        Err(error) => Err((mode, error.to_string())),
    }
}

/// Makes a family that counts into the store of new metrics, and follows when that changes.
pub(crate) fn family(py: Python<'_>, definition: Family) -> Arc<AnyFamily> {
    let (store, _) = default_store(py);
    let family = Arc::new(AnyFamily::new(definition, store.clone()));
    {
        let mut families = FAMILIES.lock();
        if families.len() == families.capacity() {
            families.retain(|family| family.strong_count() > 0);
        }
        families.push(Arc::downgrade(&family));
    }
    // Another thread may have changed the store before it could see the family.
    let (now, _) = default_store(py);
    if !is_same(&store, &now) {
        family.use_store(now);
    }
    family
}

fn live_families() -> Vec<Arc<AnyFamily>> {
    FAMILIES.lock().iter().filter_map(Weak::upgrade).collect()
}

/// The names of all families of this process.
pub(crate) fn declared_names() -> HashSet<String> {
    live_families().iter().map(|family| family.definition().name().to_owned()).collect()
}

fn is_same(one: &Store, other: &Store) -> bool {
    match (one, other) {
        (Store::Memory, Store::Memory) => true,
        (Store::File(one), Store::File(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}
