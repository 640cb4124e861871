//! What the stores hold, for a scrape.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;

use tallymark::Registry;
use tallymark::model::Snapshot;
use tallymark_transport::{Source, SourceError};

/// Answers scrapes from stores.
pub(super) struct Stores(pub(super) Vec<Registry>);

impl Source for Stores {
    fn snapshot(&self, names: &[String]) -> Result<Snapshot, SourceError> {
        let families = self.0.iter().flat_map(|store| store.snapshot().families).collect();
        let snapshot = Snapshot { families };
        if names.is_empty() {
            return Ok(snapshot);
        }
        let names: HashSet<&str, RandomState> = names.iter().map(String::as_str).collect();
        Ok(snapshot.restrict(&names))
    }
}
