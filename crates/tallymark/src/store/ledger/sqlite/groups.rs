//! Pushed groups in an SQLite database of their own, beside a store that is a file.
//!
//! `groups.sql` says what the tables are. A push is one transaction.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, params};

use super::database::Database;
use super::open::Layout;
use crate::store::groups::{Changes, Entry, Keeper, Revision};
use crate::store::ledger::Trouble;

const LAYOUT: Layout = Layout {
    // "TalG"
    application: 0x5461_6c47,
    format: 1,
    schema: include_str!("groups.sql"),
};

/// For how many changes it is remembered that a group was deleted.
const REMEMBERED: u64 = 1000;

/// The pushed groups in a database.
pub(crate) struct SqliteGroups {
    database: Database,
}

impl SqliteGroups {
    /// Those in the file at `path`, which is made by the first that writes one.
    pub(crate) fn new(path: PathBuf, timeout: Duration) -> SqliteGroups {
        SqliteGroups { database: Database::new(path, timeout, &LAYOUT) }
    }

    /// Groups that are gone with this.
    pub(crate) fn in_memory() -> Result<SqliteGroups, Trouble> {
        Ok(SqliteGroups { database: Database::in_memory(&LAYOUT)? })
    }
}

impl Keeper for SqliteGroups {
    fn changes(&mut self, since: Revision, limit: Instant) -> Result<Changes, Trouble> {
        let changes = self.database.with(false, limit, |connection| changes(&*connection.transaction()?, since))?;
        Ok(changes.unwrap_or_else(|| Changes { complete: true, ..Changes::default() }))
    }

    fn write(&mut self, since: Revision, groups: &[Entry], limit: Instant) -> Result<Option<Revision>, Trouble> {
        match self.database.change(true, limit, |change| write(change, since, groups))? {
            Some(written) => Ok(written),
            None => Err(self.database.absent()),
        }
    }
}

fn revision(connection: &Connection) -> rusqlite::Result<Revision> {
    connection.query_row("SELECT epoch, number FROM revision", [], |row| {
        Ok(Revision { epoch: u128::from_be_bytes(row.get(0)?), number: row.get::<_, i64>(1)?.cast_unsigned(), mark: 0 })
    })
}

fn changes(connection: &Connection, since: Revision) -> rusqlite::Result<Changes> {
    let revision = revision(connection)?;
    let known = since.number;
    let complete = since.epoch != revision.epoch || known > revision.number || revision.number - known > REMEMBERED;
    let mut groups = connection.prepare_cached(
        "SELECT key, document FROM groups WHERE number > ?1 AND (document IS NOT NULL OR NOT ?2) ORDER BY number",
    )?;
    let rows = groups.query_map(params![if complete { 0 } else { known.cast_signed() }, complete], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(Changes { revision, complete, groups: rows.collect::<Result<_, _>>()? })
}

fn write(change: &Transaction<'_>, since: Revision, groups: &[Entry]) -> rusqlite::Result<Option<Revision>> {
    let mut now = revision(change)?;
    let is_new = since == Revision::default() && now.number == 0;
    if since != now && !is_new {
        return Ok(None);
    }
    let mut put = change.prepare_cached("REPLACE INTO groups (key, number, document) VALUES (?1, ?2, ?3)")?;
    for (key, document) in groups {
        now.number += 1;
        put.execute(params![key, now.number.cast_signed(), document])?;
    }
    // Those that this change makes too old; the others are gone, or will be looked at when their turn comes.
    let mut forget =
        change.prepare_cached("DELETE FROM groups WHERE document IS NULL AND number > ?1 AND number <= ?2")?;
    let oldest = [since.number, now.number].map(|number| number.saturating_sub(REMEMBERED).cast_signed());
    forget.execute(oldest)?;
    change.execute("UPDATE revision SET number = ?1", [now.number.cast_signed()])?;
    Ok(Some(now))
}
