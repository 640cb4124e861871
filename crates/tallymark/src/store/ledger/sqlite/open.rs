//! Opening and making the database, and what is said when it cannot be used.
//!
//! A database is ours if SQLite's header says so (`application_id`), and of a format we know (`user_version`). Anything
//! else is left untouched. No file that may be a database is opened other than by SQLite: closing it would drop the
//! locks that SQLite holds on it for the whole process.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::{AccessFlags, access};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::store::ledger::{Reason, Trouble};

/// What a database of ours has.
pub(super) struct Layout {
    /// The `application_id` in its header.
    pub(super) application: i64,
    /// The `user_version` that this build writes, and the newest that it reads.
    pub(super) format: i64,
    /// Makes the tables.
    pub(super) schema: &'static str,
}

/// A connection, and which file it is to.
pub(super) struct Open {
    pub(super) connection: Connection,
    /// `None` in memory.
    file: Option<(u64, u64)>,
}

impl Open {
    pub(super) fn is_in_memory(&self) -> bool {
        self.file.is_none()
    }

    /// Whether the file is still the one at the path: it may have been deleted or replaced.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.is_in_memory() || file_at(path) == self.file
    }
}

/// Which file is at a path, if any.
fn file_at(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Opens the database, and makes it first if it is not there and `make` says so: `None` if it is not, then. Nothing here
/// waits for others' locks.
pub(super) fn open(path: &Path, layout: &Layout, make: bool) -> Result<Option<Open>, Trouble> {
    if make {
        make_file(path)?;
    }
    let Some(file) = file_at(path) else { return Ok(None) };
    let sql = |error| sql_trouble(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    connection.busy_timeout(Duration::ZERO).map_err(sql)?;
    connection.set_prepared_statement_cache_capacity(64);
    match identify(&connection, layout).map_err(sql)? {
        Identity::Ours => {}
        Identity::Empty if make => make_tables(&mut connection, layout).map_err(sql)?,
        Identity::Empty => return Ok(None),
        Identity::Foreign(found) => return Err(foreign(path, &found)),
    }
    use_well(&connection).map_err(sql)?;
    Ok(Some(Open { connection, file: Some(file) }))
}

/// Makes a database in memory.
pub(super) fn in_memory(path: &Path, layout: &Layout) -> Result<Open, Trouble> {
    let made = Connection::open_in_memory().and_then(|mut connection| {
        make_tables(&mut connection, layout)?;
        Ok(Open { connection, file: None })
    });
    made.map_err(|error| sql_trouble(path, &error))
}

/// Makes an empty file that its owner alone may read, unless there is something. SQLite gives its other files the same
/// mode.
fn make_file(path: &Path) -> Result<(), Trouble> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    match mknod(path, SFlag::S_IFREG, Mode::S_IRUSR | Mode::S_IWUSR, 0) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(system_trouble(path, errno)),
    }
}

/// Whose a database is.
enum Identity {
    Ours,
    Empty,
    /// What was found instead, and what to do.
    Foreign(String),
}

fn identify(connection: &Connection, layout: &Layout) -> rusqlite::Result<Identity> {
    // In one statement, so that they are of one moment: somebody may be making the store.
    let all = "SELECT (SELECT count(*) FROM sqlite_schema), application_id, user_version
               FROM pragma_application_id, pragma_user_version";
    let all = connection.query_row(all, [], |row| Ok((row.get(1)?, row.get(2)?, row.get(0)?)));
    let (application, format, tables): (i64, i64, i64) = all?;
    let known = layout.format;
    Ok(match (application, format, tables) {
        (0, 0, 0) => Identity::Empty,
        (ours, format, _) if ours == layout.application && format == known => Identity::Ours,
        (ours, format, _) if ours == layout.application && format > known => Identity::Foreign(format!(
            "written by format {format}, this build reads up to {known}; upgrade tallymark here or choose another path"
        )),
        (ours, format, _) if ours == layout.application => Identity::Foreign(format!(
            "a Tallymark store of format {format}, which there is not; move it away, or choose another path"
        )),
        _ => Identity::Foreign(format!(
            "a database of another program (its application_id is {application}, it has {tables} tables, views and \
             indexes); choose another path, it was left untouched"
        )),
    })
}

fn make_tables(connection: &mut Connection, layout: &Layout) -> rusqlite::Result<()> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Somebody else may have been faster.
    if let Identity::Empty = identify(&change, layout)? {
        change.execute_batch(layout.schema)?;
        change.pragma_update(None, "application_id", layout.application)?;
        change.pragma_update(None, "user_version", layout.format)?;
    }
    change.commit()
}

/// Readers do not wait for writers, nor writers for the disk: a commit that a power failure takes back is sent again.
fn use_well(connection: &Connection) -> rusqlite::Result<()> {
    let mode: String = connection.query_row("SELECT journal_mode FROM pragma_journal_mode", [], |row| row.get(0))?;
    if mode != "wal" {
        write_ahead(connection)?;
    }
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // The triggers do it, for everybody.
    connection.pragma_update(None, "foreign_keys", false)
}

/// Changes to a write-ahead log.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    // Says which mode there is in the end: it stays as it was where a file system cannot have the other.
    match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) => Ok(()),
        changed => changed.map(drop),
    }
}

/// Whether others hold the database's lock.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn trouble(path: &Path, reason: Reason, what: &str) -> Trouble {
    Trouble { reason, message: format!("sqlite:{}: {what}", path.display()) }
}

fn foreign(path: &Path, found: &str) -> Trouble {
    trouble(path, Reason::Foreign, found)
}

/// There is no database where one should be read.
pub(super) fn absent(path: &Path) -> Trouble {
    trouble(
        path,
        Reason::Unreachable,
        "there is no store yet; the first process that counts makes it, or is the path another?",
    )
}

/// What SQLite's error means to whoever runs the program.
pub(super) fn sql_trouble(path: &Path, error: &rusqlite::Error) -> Trouble {
    let Some(found) = error.sqlite_error() else {
        return trouble(path, Reason::Other, &format!("{error}; has it been changed by hand?"));
    };
    let (reason, what) = match found.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (
            Reason::Timeout,
            "another program held its lock for too long; if that stays so, look for one that leaves a transaction open",
        ),
        ErrorCode::OperationInterrupted => (Reason::Timeout, "reading it took longer than allowed; allow more time"),
        ErrorCode::FileLockingProtocolFailed | ErrorCode::SchemaChanged => {
            (Reason::NotReady, "others were faster too often; it will be tried again")
        }
        ErrorCode::ReadOnly => {
            (Reason::ReadOnly, "cannot be written to; check the owner and the mode of the file and of its directory")
        }
        ErrorCode::DiskFull => (Reason::Full, "no room; free some on its file system"),
        ErrorCode::SystemIoFailure if found.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
            (Reason::Full, "no room for the file -shm beside it; free some on its file system")
        }
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            (Reason::Denied, "permission denied; check the owner and the mode of the file")
        }
        ErrorCode::NotADatabase => {
            (Reason::Foreign, "not an SQLite database; choose another path, it was left untouched")
        }
        ErrorCode::CannotOpen => return system_trouble(path, why_not(path)),
        ErrorCode::DatabaseCorrupt => {
            let what = format!("damaged ({error}); move it away with its -wal, and a new one is made");
            return trouble(path, Reason::Other, &what);
        }
        _ => return trouble(path, Reason::Other, &error.to_string()),
    };
    trouble(path, reason, what)
}

/// Why SQLite cannot open a database: it does not say.
fn why_not(path: &Path) -> Errno {
    if path.is_dir() {
        return Errno::EISDIR;
    }
    let both = AccessFlags::R_OK | AccessFlags::W_OK;
    let directory = path.parent().unwrap_or(path);
    let refused = access(path, both).and_then(|()| access(directory, both | AccessFlags::X_OK));
    refused.err().unwrap_or(Errno::UnknownErrno)
}

/// What the system's error means, about the file or the directory that SQLite makes others in.
fn system_trouble(path: &Path, errno: Errno) -> Trouble {
    let (reason, what) = match errno {
        Errno::ENOENT | Errno::ENOTDIR => (Reason::Unreachable, "make its directory, or choose another path"),
        Errno::EISDIR => (Reason::Foreign, "choose the path of a file"),
        Errno::EROFS => (Reason::ReadOnly, "choose a path on a file system that can be written to"),
        Errno::EACCES | Errno::EPERM => (
            Reason::Denied,
            "check the owner and the mode of the file and of its directory, where SQLite makes two more",
        ),
        Errno::ENOSPC | Errno::EDQUOT => (Reason::Full, "free some room on its file system"),
        _ => (Reason::Other, "check the file and its directory, where SQLite makes two more"),
    };
    trouble(path, reason, &format!("cannot be opened ({}); {what}", errno.desc()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn every_kind_of_error_has_its_reason_and_names_the_store() {
        for (code, reason) in [
            (ffi::SQLITE_BUSY, Reason::Timeout),
            (ffi::SQLITE_BUSY_SNAPSHOT, Reason::Timeout),
            (ffi::SQLITE_INTERRUPT, Reason::Timeout),
            (ffi::SQLITE_PROTOCOL, Reason::NotReady),
            (ffi::SQLITE_READONLY, Reason::ReadOnly),
            (ffi::SQLITE_READONLY_DIRECTORY, Reason::ReadOnly),
            (ffi::SQLITE_FULL, Reason::Full),
            (ffi::SQLITE_IOERR_SHMSIZE, Reason::Full),
            (ffi::SQLITE_IOERR_WRITE, Reason::Other),
            (ffi::SQLITE_PERM, Reason::Denied),
            (ffi::SQLITE_NOTADB, Reason::Foreign),
            (ffi::SQLITE_CORRUPT, Reason::Other),
            (ffi::SQLITE_NOMEM, Reason::Other),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let trouble = sql_trouble(Path::new("/var/x.db"), &error);

            assert_eq!(trouble.reason, reason, "{code}");
            assert!(trouble.message.starts_with("sqlite:/var/x.db: "), "{trouble}");
            assert!(!trouble.message.contains("is locked"), "{trouble}");
        }
    }
}
