//! What stores hold, for a scrape: their series, and the groups that were pushed beside them.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::sync::Arc;

use tallymark::model::Snapshot;
use tallymark::{Groups, Registry, Store};
use tallymark_transport::gateway::{self, Gateway};
use tallymark_transport::{Source, SourceError};

use crate::error::Error;

/// The groups of the first store, which take pushes, and all else that is scraped.
pub(super) fn sources(stores: &[Store]) -> Result<(Groups, Vec<Arc<dyn Source>>), Error> {
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    for store in stores {
        sources.push(Arc::new(Series(Registry::with_store(store.clone()))));
    }
    for store in stores.iter().skip(1) {
        sources.push(Arc::new(Gateway::open(Groups::open(store)?, gateway::Options::default())));
    }
    let groups = Groups::open(stores.first().unwrap_or(&Store::Memory))?;
    Ok((groups, sources))
}

/// The series of a store.
struct Series(Registry);

impl Source for Series {
    fn snapshot(&self, names: &[String]) -> Result<Snapshot, SourceError> {
        let snapshot = self.0.snapshot();
        if names.is_empty() {
            return Ok(snapshot);
        }
        let names: HashSet<&str, RandomState> = names.iter().map(String::as_str).collect();
        Ok(snapshot.restrict(&names))
    }
}
