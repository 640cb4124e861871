//! The SQLite ledger on real files.

use std::time::Duration;

use tempfile::TempDir;

use super::Sqlite;
use crate::store::ledger::contract::contract;

contract!(empty);

/// An empty store, which is gone when its directory is dropped.
fn empty() -> (TempDir, Sqlite) {
    let directory = TempDir::new().unwrap();
    let ledger = Sqlite::new(directory.path().join("metrics.db"), Duration::from_secs(10));
    (directory, ledger)
}
