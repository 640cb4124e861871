//! A database as it is used: opened when it is needed, opened again when the file is another one, and given up after an
//! error.
//!
//! What is in it, a [`Layout`] says.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tallymark_cells::fork;

use super::open::{self, Layout, Open};
use crate::store::ledger::{Reason, Trouble};

/// Between two tries while others hold the database's lock: a change that they make takes about as long.
const AGAIN: Duration = Duration::from_millis(5);

pub(super) struct Database {
    path: PathBuf,
    timeout: Duration,
    layout: &'static Layout,
    pub(super) open: Option<Open>,
}

impl Database {
    /// The one at `path`, which waits as long as `timeout` for others to let go of it. Nothing is opened yet.
    pub(super) fn new(path: PathBuf, timeout: Duration, layout: &'static Layout) -> Database {
        // SQLite takes a name that begins with `file:` for a URI, and the working directory may change.
        let path = std::path::absolute(&path).unwrap_or(path);
        Database { path, timeout, layout, open: None }
    }

    /// One that is in memory, and gone with this.
    pub(super) fn in_memory(layout: &'static Layout) -> Result<Database, Trouble> {
        let _still = fork::still();
        let path = PathBuf::from(":memory:");
        let open = Some(open::in_memory(&path, layout)?);
        Ok(Database { path, timeout: Duration::ZERO, layout, open })
    }

    /// Has `work` do something with the database, which is made if it is not there and `make` says so; `None` if it is
    /// not, then. What others keep it from is begun anew until they let go, in pauses during which a fork may happen.
    pub(super) fn with<R>(
        &mut self,
        make: bool,
        limit: Instant,
        mut work: impl FnMut(&mut Connection) -> rusqlite::Result<R>,
    ) -> Result<Option<R>, Trouble> {
        let until = limit.min(Instant::now() + self.timeout);
        loop {
            match self.attempt(make, &mut work) {
                Err(trouble) if trouble.reason == Reason::Timeout && Instant::now() < until => {
                    std::thread::sleep(AGAIN)
                }
                done => return done,
            }
        }
    }

    /// One try. After an error, the connection to a file is not used again.
    fn attempt<R>(
        &mut self,
        make: bool,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<R>,
    ) -> Result<Option<R>, Trouble> {
        // SQLite has locks of its own, which a child would find held.
        let _still = fork::still();
        let known = self.open.take().filter(|open| open.is_at(&self.path));
        let known = known.map_or_else(|| open::open(&self.path, self.layout, make), |open| Ok(Some(open)))?;
        let Some(mut open) = known else { return Ok(None) };
        let done = work(&mut open.connection);
        if open.is_in_memory() || done.as_ref().map_or_else(open::is_busy, |_| true) {
            self.open = Some(open);
        }
        done.map(Some).map_err(|error| open::sql_trouble(&self.path, &error))
    }

    /// Has `work` change something, all of it or nothing.
    pub(super) fn change<R>(
        &mut self,
        make: bool,
        limit: Instant,
        mut work: impl FnMut(&Transaction<'_>) -> rusqlite::Result<R>,
    ) -> Result<Option<R>, Trouble> {
        self.with(make, limit, |connection| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&change)?;
            change.commit()?;
            Ok(done)
        })
    }

    /// There is none where one should be read.
    pub(super) fn absent(&self) -> Trouble {
        open::absent(&self.path)
    }
}
