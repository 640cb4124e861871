//! Groups of documents in memory, in the shape of the stores' own: for as long as those are not there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Keys and values; `None` is a deleted one.
type Documents = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// One connection.
#[derive(Debug, Default)]
pub struct Groups {
    shared: Arc<Mutex<Shared>>,
}

/// What all connections see.
#[derive(Debug, Default)]
struct Shared {
    number: u64,
    documents: BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)>,
}

/// How far somebody has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revision {
    /// Which life.
    pub epoch: u128,
    /// Which change.
    pub number: u64,
}

/// What has changed.
#[derive(Debug)]
pub struct Changes {
    /// Up to here.
    pub revision: Revision,
    /// Whether this is everything.
    pub complete: bool,
    /// The groups.
    pub groups: Documents,
}

impl Groups {
    /// Another connection to the same groups.
    pub fn again(&self) -> Groups {
        Groups { shared: self.shared.clone() }
    }

    /// What has changed after `since`.
    ///
    /// # Errors
    /// None.
    pub fn changes(&mut self, since: Revision, _limit: Instant) -> Result<Changes, tallymark::Error> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let complete = since.epoch != 1;
        let groups = shared.documents.iter().filter(|(_, (number, value))| {
            if complete { value.is_some() } else { *number > since.number }
        });
        let groups = groups.map(|(key, (_, value))| (key.clone(), value.clone())).collect();
        Ok(Changes { revision: Revision { epoch: 1, number: shared.number }, complete, groups })
    }

    /// Writes if nothing changed after `since`.
    ///
    /// # Errors
    /// None.
    pub fn write(
        &mut self,
        since: Revision,
        groups: &[(Vec<u8>, Option<Vec<u8>>)],
        _limit: Instant,
    ) -> Result<Option<Revision>, tallymark::Error> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if since != (Revision { epoch: 1, number: shared.number }) {
            return Ok(None);
        }
        shared.number += 1;
        let number = shared.number;
        shared.documents.extend(groups.iter().cloned().map(|(key, value)| (key, (number, value))));
        Ok(Some(Revision { epoch: 1, number }))
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// None.
    pub fn ping(&mut self, _limit: Instant) -> Result<(), tallymark::Error> {
        Ok(())
    }
}
