//! What the official client's multiprocess collector shows, of the store in its directory.
//!
//! It has neither `_created` samples nor exemplars, and a histogram's sum comes before its buckets: tests of those who used
//! it compare lists of samples. When it is asked, and what else is shown, is not known here.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use tallymark::fork::Gated;
use tallymark::model::{Body, FamilySnapshot, Kind, Value};
use tallymark::{Error, Store};

use crate::store;

/// A directory that processes share, and its store once there is one.
#[pyclass(frozen, module = "tallymark._tallymark")]
#[derive(Clone)]
pub(crate) struct SharedDirectory(Arc<Inner>);

struct Inner {
    path: PathBuf,
    /// Whether a store that was asked for by name comes before the directory.
    named_first: bool,
    opened: Gated<Option<Store>>,
}

#[pymethods]
impl SharedDirectory {
    #[new]
    fn new(path: PathBuf, named_first: bool) -> SharedDirectory {
        SharedDirectory(Arc::new(Inner { path, named_first, opened: Gated::new(None) }))
    }
}

impl SharedDirectory {
    /// The store; None as long as there is none.
    ///
    /// # Errors
    /// The file is there and cannot be used.
    pub(crate) fn store(&self) -> Result<Option<Store>, Error> {
        let inner = &self.0;
        if let Some(named) = store::named().filter(|_| inner.named_first) {
            return Ok(Some(named));
        }
        if let Some(opened) = inner.opened.lock().as_ref() {
            return Ok(Some(opened.clone()));
        }
        let found = store::in_directory(&inner.path)?;
        if let Some(found) = &found {
            // The first one stays.
            inner.opened.lock().get_or_insert_with(|| found.clone());
        }
        Ok(found)
    }
}

/// The family as the official client's collector gives it.
pub(crate) fn official(mut snapshot: FamilySnapshot) -> FamilySnapshot {
    let Body::Series(all) = &mut snapshot.body else { return snapshot };
    for series in all {
        series.created = None;
        match &mut series.value {
            Value::Counter { exemplar, .. } => *exemplar = None,
            Value::Histogram { exemplars, .. } => exemplars.clear(),
            _ => {}
        }
    }
    if snapshot.family.kind() == Kind::Histogram {
        snapshot.family = Arc::new(snapshot.family.with_sum_first());
    }
    snapshot
}
