//! The ledger in an SQLite database: for the processes of one host, and for jobs that come and go.
//!
//! One shard; its epoch is drawn when the database is made. Each batch, each greeting and each removal is one
//! transaction, which takes the database's one lock at once (`BEGIN IMMEDIATE`) and waits for it no longer than it may.
//! Reading is one transaction, too, and sees one moment; with a write-ahead log nobody waits for it. What the tables
//! mean is in `schema.sql`, and for people in `docs/stores/sqlite.md`.

mod apply;
mod database;
mod groups;
mod json;
mod open;
mod read;
mod rows;
mod writers;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tallymark_model::Family;

use self::database::Database;
pub(crate) use self::groups::SqliteGroups;
use self::open::Layout;
use super::{Answer, Batch, Greeting, Hello, Ledger, Removal, Stored, Trouble};

/// The tables of a store.
const LAYOUT: Layout = Layout {
    // "Taly"
    application: 0x5461_6c79,
    format: 1,
    schema: include_str!("schema.sql"),
};

/// A store in an SQLite database.
pub(crate) struct Sqlite {
    database: Database,
}

impl Sqlite {
    /// A store at `path`, which waits as long as `timeout` for others to let go of it. Nothing is opened yet.
    pub(crate) fn new(path: PathBuf, timeout: Duration) -> Sqlite {
        Sqlite { database: Database::new(path, timeout, &LAYOUT) }
    }
}

impl Ledger for Sqlite {
    fn greet(&mut self, hello: &Hello<'_>, limit: Instant) -> Result<Greeting, Trouble> {
        self.database.change(true, limit, |change| writers::greet(change, hello))?.ok_or_else(|| self.database.absent())
    }

    fn shard_of(&self, _family: &Family, _labels: &[Box<str>]) -> usize {
        0
    }

    fn apply(&mut self, batches: &[Batch], limit: Instant) -> Vec<Result<Answer, Trouble>> {
        let apply = |batch: &Batch| {
            let answer = self.database.change(false, limit, |change| apply::apply(change, batch))?;
            // No database: it was lost, with its epoch.
            Ok(answer.unwrap_or(Answer::OtherEpoch))
        };
        batches.iter().map(apply).collect()
    }

    fn remove(&mut self, removal: &Removal, limit: Instant) -> Result<(), Trouble> {
        self.database.change(true, limit, |change| apply::remove(change, removal)).map(drop)
    }

    fn read(&mut self, limit: Instant) -> Result<Stored, Trouble> {
        let stored = self.database.with(false, limit, |connection| read::read(&connection.transaction()?, limit))?;
        stored.ok_or_else(|| self.database.absent())
    }
}

#[cfg(test)]
mod tests;
