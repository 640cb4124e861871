//! What a scrape of the server shows: its own metrics, what the stores hold, and what was pushed.

use std::collections::HashSet;
use std::hash::RandomState;
use std::sync::Arc;

use tallymark_model::Snapshot;

use super::super::{Source, SourceError};
use super::own::Own;
use super::pushes::Gateway;

/// All that is scraped.
pub(super) struct Everything {
    pub(super) own: Own,
    pub(super) stores: Arc<dyn Source>,
    pub(super) gateway: Gateway,
}

impl Source for Everything {
    fn snapshot(&self, names: &[String]) -> Result<Snapshot, SourceError> {
        let mut all = self.own.snapshot();
        all.families.extend(self.stores.snapshot(&[])?.families);
        all.families.extend(self.gateway.snapshot()?.families);
        if names.is_empty() {
            return Ok(all);
        }
        let names: HashSet<&str, RandomState> = names.iter().map(String::as_str).collect();
        Ok(all.restrict(&names))
    }

    fn ready(&self) -> Result<(), SourceError> {
        self.gateway.ping()?;
        self.stores.ready()
    }
}
