//! The ledger in an SQLite database: for the processes of one host, and for jobs that come and go.
//!
//! One shard; its epoch is drawn when the database is made. Each batch, each greeting and each removal is one
//! transaction, which takes the database's one lock at once (`BEGIN IMMEDIATE`) and waits for it no longer than it may.
//! Reading is one transaction, too, and sees one moment; with a write-ahead log nobody waits for it. What the tables
//! mean is in `schema.sql`, and for people in `docs/stores/sqlite.md`.

mod apply;
mod json;
mod open;
mod read;
mod rows;
mod writers;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tallymark_cells::fork;
use tallymark_model::Family;

use self::open::Open;
use super::{Answer, Batch, Greeting, Hello, Ledger, Removal, Stored, Trouble};

/// A store in an SQLite database.
pub(crate) struct Sqlite {
    path: PathBuf,
    timeout: Duration,
    open: Option<Open>,
}

impl Sqlite {
    /// A store at `path`, which waits as long as `timeout` for others to let go of it. Nothing is opened yet.
    pub(crate) fn new(path: PathBuf, timeout: Duration) -> Sqlite {
        // SQLite takes a name that begins with `file:` for a URI, and the working directory may change.
        let path = std::path::absolute(&path).unwrap_or(path);
        Sqlite { path, timeout, open: None }
    }

    /// Has `work` do something with the database, which is made if it is not there and `make` says so; `None` if it is
    /// not, then. After an error, the connection is not used again.
    fn with<R>(
        &mut self,
        make: bool,
        limit: Instant,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<R>,
    ) -> Result<Option<R>, Trouble> {
        // SQLite has locks of its own, which a child would find held.
        let _still = fork::still();
        let wait = limit.saturating_duration_since(Instant::now()).min(self.timeout);
        let known = self.open.take().filter(|open| open.is_at(&self.path));
        let Some(mut open) = known.map_or_else(|| open::open(&self.path, make, wait), |open| Ok(Some(open)))? else {
            return Ok(None);
        };
        let done = open.connection.busy_timeout(wait).and_then(|()| work(&mut open.connection));
        let done = done.map_err(|error| open::sql_trouble(&self.path, &error))?;
        self.open = Some(open);
        Ok(Some(done))
    }

    /// Has `work` change something, all of it or nothing.
    fn change<R>(
        &mut self,
        make: bool,
        limit: Instant,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R>,
    ) -> Result<Option<R>, Trouble> {
        self.with(make, limit, |connection| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&change)?;
            change.commit()?;
            Ok(done)
        })
    }
}

impl Ledger for Sqlite {
    fn greet(&mut self, hello: &Hello<'_>, limit: Instant) -> Result<Greeting, Trouble> {
        self.change(true, limit, |change| writers::greet(change, hello))?.ok_or_else(|| open::absent(&self.path))
    }

    fn shard_of(&self, _family: &Family, _labels: &[Box<str>]) -> usize {
        0
    }

    fn apply(&mut self, batches: &[Batch], limit: Instant) -> Vec<Result<Answer, Trouble>> {
        let apply = |batch: &Batch| {
            let answer = self.change(false, limit, |change| apply::apply(change, batch))?;
            // No database: it was lost, with its epoch.
            Ok(answer.unwrap_or(Answer::OtherEpoch))
        };
        batches.iter().map(apply).collect()
    }

    fn remove(&mut self, removal: &Removal, limit: Instant) -> Result<(), Trouble> {
        self.change(true, limit, |change| apply::remove(change, removal)).map(drop)
    }

    fn read(&mut self, limit: Instant) -> Result<Stored, Trouble> {
        let stored = self.with(false, limit, |connection| read::read(&connection.transaction()?, limit))?;
        stored.ok_or_else(|| open::absent(&self.path))
    }
}

#[cfg(test)]
mod tests;
