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
    /// Why the last that asked was told that nothing is ready; empty if it is.
    trouble: Mutex<String>,
}

impl Everything {
    pub(super) fn new(own: Own, sources: Vec<Arc<dyn Source>>, gateway: Gateway) -> Everything {
        Everything { own, sources, gateway, told: Mutex::default(), trouble: Mutex::default() }
    }

    /// Says, once, what a snapshot leaves out.
    fn tell(&self, left_out: Vec<String>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for text in left_out.iter().filter(|text| !told.contains(text)) {
            log::warn!("{text}; rename one of the two");
        }
        *told = left_out;
    }

    /// Says when the reason for not being ready changes.
    fn tell_ready(&self, ready: &Result<(), SourceError>) {
        let now = ready.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *trouble != now {
            if now.is_empty() {
                log::info!("ready again")
            } else {
                log::error!("not ready: {now}")
            }
            *trouble = now;
        }
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
        let groups = self.gateway.ping().map_err(SourceError::from);
        let ready = groups.and_then(|()| self.sources.iter().try_for_each(|source| source.ready()));
        self.tell_ready(&ready);
        ready
    }
}
