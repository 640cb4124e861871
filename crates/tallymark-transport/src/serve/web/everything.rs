//! What a scrape of the server shows: its own metrics, what the stores hold, and what was pushed, as one.

use std::collections::HashSet;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};

use tallymark_model::Snapshot;

use super::super::{Source, SourceError};
use super::own::Own;
use crate::gateway::Gateway;

/// All that is scraped.
pub(super) struct Everything {
    pub(super) own: Own,
    sources: Vec<Arc<dyn Source>>,
    pub(super) gateway: Gateway,
    /// What was left out of the last snapshot.
    told: Mutex<Vec<String>>,
}

impl Everything {
    pub(super) fn new(own: Own, sources: Vec<Arc<dyn Source>>, gateway: Gateway) -> Everything {
        Everything { own, sources, gateway, told: Mutex::default() }
    }

    /// Says, once, what a snapshot leaves out.
    fn tell(&self, left_out: Vec<String>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for text in left_out.iter().filter(|text| !told.contains(text)) {
            log::warn!("{text}; rename one of the two");
        }
        *told = left_out;
    }
}

impl Source for Everything {
    fn snapshot(&self, names: &[String]) -> Result<Snapshot, SourceError> {
        let mut parts = vec![self.own.snapshot()];
        for source in &self.sources {
            parts.push(source.snapshot(&[])?);
        }
        // If the groups cannot be read, nothing is shown: a scrape without them would look as if they had been deleted.
        parts.push(self.gateway.snapshot()?);
        let (all, conflicts) = Snapshot::union(parts);
        self.tell(conflicts.iter().map(ToString::to_string).collect());
        if names.is_empty() {
            return Ok(all);
        }
        let names: HashSet<&str, RandomState> = names.iter().map(String::as_str).collect();
        Ok(all.restrict(&names))
    }

    fn ready(&self) -> Result<(), SourceError> {
        self.gateway.ping()?;
        self.sources.iter().try_for_each(|source| source.ready())
    }
}

/// The groups beside a store, for a server that takes pushes elsewhere.
impl Source for Gateway {
    fn snapshot(&self, names: &[String]) -> Result<Snapshot, SourceError> {
        let names: HashSet<&str, RandomState> = names.iter().map(String::as_str).collect();
        let all = Gateway::snapshot(self)?;
        Ok(if names.is_empty() { all } else { all.restrict(&names) })
    }

    fn ready(&self) -> Result<(), SourceError> {
        Ok(self.ping()?)
    }
}
