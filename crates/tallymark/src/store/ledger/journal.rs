//! The journal beside a spool: what has been sent, and the batches that are on their way.
//!
//! A batch is written here before it is sent, with what will have been sent then. So whoever drains the spool next, after
//! a crash too, sends the same batch until an answer comes, and only then goes on. One process at a time uses a journal,
//! the one that has the right to drain; it keeps a copy in memory and reads what others have changed since.
//!
//! It is a SQLite file, `PATH.journal` beside the spool `PATH`, or in memory beside a spool in memory. What it says
//! about a spool that is not there any more is forgotten.

use std::collections::HashMap;
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::FromSql;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};

use tallymark_cells::fork;

use super::sent::{Sent, SentValue};
use super::{Batch, Reason, Trouble};
use crate::record::{self, Reader};

/// How many batches of a shard, and how many bytes of all shards' together, are kept to be sent again after a store has
/// come back without them.
const RECENT: u64 = 4096;
const RECENT_BYTES: i64 = 32 << 20;
/// The bytes where they are this process's own memory.
const RECENT_BYTES_IN_MEMORY: i64 = 2 << 20;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shards (shard INTEGER PRIMARY KEY, epoch BLOB, sequence INTEGER, batch BLOB, effects BLOB);
CREATE TABLE IF NOT EXISTS sent (series INTEGER PRIMARY KEY, shard INTEGER, version INTEGER, value BLOB);
CREATE INDEX IF NOT EXISTS sent_version ON sent (version);
CREATE TABLE IF NOT EXISTS recent (shard INTEGER, sequence INTEGER, batch BLOB, PRIMARY KEY (shard, sequence)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (mark BLOB PRIMARY KEY, generation INTEGER) WITHOUT ROWID;
";

/// A journal, open.
pub(crate) struct Journal {
    place: PathBuf,
    database: Connection,
    /// The changes and the resets that the copy in memory knows of.
    version: i64,
    resets: i64,
    /// Which file it is: device and number.
    identity: Option<(u64, u64)>,
    /// How many bytes of batches are kept, and how many have come to them since somebody looked.
    most: i64,
    untrimmed: i64,
    /// Whose journal it is.
    pub(crate) spool: u128,
    pub(crate) writer: u128,
    pub(crate) shards: Vec<Shard>,
    /// By the series' number in the spool.
    pub(crate) sent: HashMap<u32, Sent>,
    /// Generations of the removals that the ledger has been told.
    pub(crate) marks: HashMap<Vec<u8>, u64>,
}

/// What is known of a shard.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shard {
    pub(crate) epoch: u128,
    /// The last batch that it took.
    pub(crate) sequence: u64,
    /// The one that is on its way.
    pub(crate) outstanding: Option<Outstanding>,
}

/// A batch on its way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outstanding {
    pub(crate) batch: Batch,
    /// What will have been sent of which series.
    pub(crate) effects: Vec<(u32, Sent)>,
}

/// How draining has gone on this host.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Record {
    /// When it last succeeded: seconds since the Unix epoch, 0 for never.
    pub(crate) last: f64,
    /// How long that took, in seconds.
    pub(crate) seconds: f64,
    /// Series that waited when it was last tried.
    pub(crate) waiting: u64,
    /// Failures by their reason.
    pub(crate) failed: Vec<(Reason, u64)>,
    /// Batches of which it cannot be known whether they were counted, and that were not sent again.
    pub(crate) lost: u64,
}

impl Record {
    /// What the journal at `place` says, without a right to drain and without changing it; nothing if it cannot be read.
    pub(crate) fn read(place: &Path) -> Option<Record> {
        let _still = fork::still();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(place, flags).ok()?;
        database.busy_timeout(Duration::from_secs(1)).ok()?;
        Record::of(&database).ok()
    }

    fn of(database: &Connection) -> rusqlite::Result<Record> {
        let float = |name: &str| state(database, name).map(|float| float.unwrap_or(0.0));
        let number = |name: &str| state(database, name).map(|number: Option<i64>| number.unwrap_or(0) as u64);
        let failed = Reason::ALL.into_iter().map(|reason| Ok((reason, number(&format!("failed {}", reason.name()))?)));
        Ok(Record {
            last: float("last")?,
            seconds: float("seconds")?,
            waiting: number("waiting")?,
            failed: failed.collect::<rusqlite::Result<_>>()?,
            lost: number("lost")?,
        })
    }
}

type Answer<T> = Result<T, Trouble>;

impl Journal {
    /// Opens the journal at `place`, or one in memory, of the spool with this identity. The right to drain must be held.
    /// One that did not know the spool is not settled: see [`settle`](Self::settle).
    pub(crate) fn open(place: Option<&Path>, spool: u128) -> Answer<Journal> {
        let shown = place.unwrap_or(Path::new(":memory:")).to_owned();
        // SQLite has locks of its own.
        let still = fork::still();
        let opened = open(place).map_err(|error| trouble(&shown, &error));
        drop(still);
        let most = if place.is_some() { RECENT_BYTES } else { RECENT_BYTES_IN_MEMORY };
        let mut journal = Journal {
            place: shown,
            database: opened?,
            version: 0,
            resets: -1,
            identity: None,
            most,
            // Others have put batches there: the first commit looks.
            untrimmed: most,
            spool,
            writer: 0,
            shards: Vec::new(),
            sent: HashMap::new(),
            marks: HashMap::new(),
        };
        let known = journal.state::<Vec<u8>>("spool")?;
        let is_known = known.as_deref() == Some(&spool.to_le_bytes());
        if !is_known {
            journal.start_over(spool)?;
        }
        journal.refresh()?;
        journal.identity = journal.found();
        Ok(journal)
    }

    fn start_over(&mut self, spool: u128) -> Answer<()> {
        self.write(|transaction, _| {
            for table in ["state", "shards", "sent", "recent", "marks"] {
                transaction.execute(&format!("DELETE FROM {table}"), [])?;
            }
            put(transaction, "spool", spool.to_le_bytes())?;
            put(transaction, "unsettled", 1)?;
            put(transaction, "writer", uuid::Uuid::new_v4().as_u128().to_le_bytes())
        })
    }

    fn found(&self) -> Option<(u64, u64)> {
        std::fs::metadata(&self.place).ok().map(|found| (found.dev(), found.ino()))
    }

    /// Whether the file is still at its place.
    pub(crate) fn is_there(&self) -> bool {
        self.identity == self.found()
    }

    /// Whether it is known what was sent: not if the journal was lost, or the host was put back to an earlier state.
    pub(crate) fn is_settled(&self) -> Answer<bool> {
        Ok(self.number("unsettled")? == 0)
    }

    /// Takes these values as sent, and these removals as told, where that cannot be known: then too little is counted
    /// rather than too much.
    pub(crate) fn settle(&mut self, values: Vec<(u32, usize, Sent)>, removals: &[(Vec<u8>, u64)]) -> Answer<()> {
        let is_lost = !values.is_empty();
        self.take_as_sent(values)?;
        self.write(|transaction, _| {
            for (mark, generation) in removals {
                put_mark(transaction, mark, *generation)?;
            }
            add(transaction, "lost", i64::from(is_lost))?;
            put(transaction, "unsettled", 0)
        })?;
        self.marks.extend(removals.iter().cloned());
        Ok(())
    }

    /// Notes the store's clock; at the first greeting also its last removal, which is none of this host's series.
    pub(crate) fn hear(&mut self, now: u64, last_removal: Option<u64>) -> Answer<()> {
        self.write(|transaction, _| {
            put(transaction, "heard", now as i64)?;
            last_removal.map_or(Ok(()), |last| put(transaction, "removals", last as i64))
        })
    }

    /// Reads what other processes have changed since.
    pub(crate) fn refresh(&mut self) -> Answer<()> {
        let version = self.state("version")?.unwrap_or(0);
        let resets = self.state("resets")?.unwrap_or(0);
        if version == self.version && resets == self.resets {
            return Ok(());
        }
        if resets != self.resets {
            self.sent.clear();
            self.version = 0;
        }
        self.read_shards()?;
        self.read_changes()?;
        (self.version, self.resets) = (version, resets);
        Ok(())
    }

    fn read_shards(&mut self) -> Answer<()> {
        let writer: Vec<u8> = self.state("writer")?.unwrap_or_default();
        let _still = fork::still();
        self.writer = writer.try_into().map_or(0, u128::from_le_bytes);
        let place = &self.place;
        let read = || {
            let mut statement =
                self.database.prepare_cached("SELECT shard, epoch, sequence, batch, effects FROM shards")?;
            let rows = statement.query_map([], |row| {
                let epoch: Vec<u8> = row.get(1)?;
                let outstanding = match (row.get::<_, Option<Vec<u8>>>(3)?, row.get::<_, Option<Vec<u8>>>(4)?) {
                    (Some(batch), Some(effects)) => decode_outstanding(&batch, &effects),
                    _ => None,
                };
                let epoch = epoch.try_into().map_or(0, u128::from_le_bytes);
                Ok((row.get::<_, u32>(0)?, Shard { epoch, sequence: row.get::<_, i64>(2)? as u64, outstanding }))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        let found = read().map_err(|error| trouble(place, &error))?;
        self.shards.fill(Shard::default());
        for (shard, state) in found {
            self.make_shards(shard as usize + 1);
            self.shards[shard as usize] = state;
        }
        Ok(())
    }

    fn read_changes(&mut self) -> Answer<()> {
        let _still = fork::still();
        let Journal { database, sent, marks, place, version, .. } = self;
        let mut read = || {
            let mut statement = database.prepare_cached("SELECT series, value FROM sent WHERE version > ?1")?;
            let mut rows = statement.query([*version])?;
            while let Some(row) = rows.next()? {
                if let Some(value) = Sent::decode(&row.get::<_, Vec<u8>>(1)?) {
                    sent.insert(row.get(0)?, value);
                }
            }
            let mut statement = database.prepare_cached("SELECT mark, generation FROM marks")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
            *marks = rows.collect::<Result<_, _>>()?;
            Ok(())
        };
        read().map_err(|error| trouble(place, &error))
    }

    /// Makes room for the shards of a store.
    pub(crate) fn make_shards(&mut self, count: usize) {
        if self.shards.len() < count {
            self.shards.resize(count, Shard::default());
        }
    }

    /// Forgets what these shards have been sent: they are others now, of these epochs.
    pub(crate) fn reset_shards(&mut self, lost: &[(usize, u128)]) -> Answer<()> {
        self.write(|transaction, version| {
            for (shard, epoch) in lost {
                // CAST: shards are numbered in 32 bits.
                let number = *shard as u32;
                transaction.execute("DELETE FROM sent WHERE shard = ?1", [number])?;
                transaction.execute("DELETE FROM recent WHERE shard = ?1", [number])?;
                transaction.execute(
                    "INSERT OR REPLACE INTO shards VALUES (?1, ?2, 0, NULL, NULL)",
                    params![number, epoch.to_le_bytes()],
                )?;
            }
            put(transaction, "resets", version)
        })?;
        self.refresh()
    }

    /// Becomes a new writer: what was on its way under the old name is dropped, and counted as lost. `unsettled`: it is
    /// not known either what else was sent.
    pub(crate) fn rename(&mut self, unsettled: bool) -> Answer<()> {
        self.write(|transaction, version| {
            let lost = transaction.query_row("SELECT count(batch) FROM shards", [], |row| row.get::<_, i64>(0))?;
            add(transaction, "lost", lost)?;
            transaction.execute("UPDATE shards SET sequence = 0, batch = NULL, effects = NULL", [])?;
            transaction.execute("DELETE FROM recent", [])?;
            put(transaction, "unsettled", i64::from(unsettled))?;
            put(transaction, "writer", uuid::Uuid::new_v4().as_u128().to_le_bytes())?;
            put(transaction, "resets", version)
        })?;
        self.refresh()
    }

    /// Notes these values as sent, without having sent them.
    pub(crate) fn take_as_sent(&mut self, values: Vec<(u32, usize, Sent)>) -> Answer<()> {
        self.write(|transaction, version| {
            for (series, shard, sent) in &values {
                // CAST: shards are numbered in 32 bits.
                put_sent(transaction, *series, *shard as u32, version, sent)?;
            }
            Ok(())
        })?;
        self.sent.extend(values.into_iter().map(|(series, _, sent)| (series, sent)));
        Ok(())
    }

    /// Forgets, in memory, which gauges were sent: until a round has succeeded, each does so.
    pub(crate) fn forget_gauges(&mut self) {
        self.sent.retain(|_, sent| !matches!(sent.value, SentValue::Gauge(_)));
    }

    /// Writes batches down that are to be sent now, at most one of a shard.
    pub(crate) fn begin(&mut self, batches: &[Outstanding]) -> Answer<()> {
        self.write(|transaction, _| {
            for Outstanding { batch, effects } in batches {
                transaction
                    .prepare_cached("UPDATE shards SET batch = ?2, effects = ?3 WHERE shard = ?1")?
                    .execute(params![batch.shard, batch.encode(), encode_effects(effects)])?;
            }
            Ok(())
        })?;
        for outstanding in batches {
            self.shards[outstanding.batch.shard as usize].outstanding = Some(outstanding.clone());
        }
        Ok(())
    }

    /// Notes that the batches on their way to these shards were taken.
    pub(crate) fn commit(&mut self, shards: &[usize]) -> Answer<()> {
        let done: Vec<Outstanding> =
            shards.iter().filter_map(|shard| self.shards[*shard].outstanding.clone()).collect();
        let (most, mut untrimmed) = (self.most, self.untrimmed);
        self.write(|transaction, version| {
            for Outstanding { batch, effects } in &done {
                transaction
                    .prepare_cached("UPDATE shards SET sequence = ?2, batch = NULL, effects = NULL WHERE shard = ?1")?
                    .execute(params![batch.shard, batch.sequence as i64])?;
                let bytes = batch.encode();
                untrimmed += bytes.len() as i64;
                keep(transaction, batch, &bytes)?;
                for (series, sent) in effects {
                    put_sent(transaction, *series, batch.shard, version, sent)?;
                }
            }
            if untrimmed > most / 16 {
                untrimmed = 0;
                trim(transaction, most - most / 16)?;
            }
            Ok(())
        })?;
        self.untrimmed = untrimmed;
        for Outstanding { batch, effects } in done {
            let shard = &mut self.shards[batch.shard as usize];
            (shard.sequence, shard.outstanding) = (batch.sequence, None);
            self.sent.extend(effects);
        }
        Ok(())
    }

    /// Batches that the shard took after the one with the number `last`, those of them that are still here.
    pub(crate) fn since(&self, shard: usize, last: u64) -> Answer<Vec<Batch>> {
        let _still = fork::still();
        let read = || {
            let mut statement = self
                .database
                .prepare_cached("SELECT batch FROM recent WHERE shard = ?1 AND sequence > ?2 ORDER BY sequence")?;
            let rows = statement.query_map(params![shard as u32, last as i64], |row| row.get::<_, Vec<u8>>(0))?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        let bytes = read().map_err(|error| trouble(&self.place, &error))?;
        Ok(bytes.iter().filter_map(|bytes| Batch::decode(bytes)).collect())
    }

    /// Counts as lost what lies between the batch with the number `last`, which the shard has, and this one, which may
    /// be sent more than once until it is taken: they are counted once. Gauges that they spoke of are to be said again.
    pub(crate) fn give_up(&mut self, last: u64, batch: &Batch) -> Answer<()> {
        let name = format!("gap {}", batch.shard);
        let gap = format!("{:x} {:x} {last} {}", batch.writer, batch.epoch, batch.sequence);
        self.write(|transaction, _| {
            put(transaction, "gauges", 1)?;
            if state::<String>(transaction, &name)?.as_ref() == Some(&gap) {
                return Ok(());
            }
            put(transaction, &name, &gap)?;
            add(transaction, "lost", (batch.sequence - last - 1) as i64)
        })
    }

    /// Notes that the ledger was told of a removal.
    pub(crate) fn mark(&mut self, mark: &[u8], generation: u64) -> Answer<()> {
        self.write(|transaction, _| put_mark(transaction, mark, generation))?;
        self.marks.insert(mark.to_vec(), generation);
        Ok(())
    }

    /// A number that is kept under a name; 0 at first.
    pub(crate) fn number(&self, name: &str) -> Answer<u64> {
        Ok(self.state::<i64>(name)?.unwrap_or(0) as u64)
    }

    /// Keeps a number under a name.
    pub(crate) fn set_number(&mut self, name: &str, number: u64) -> Answer<()> {
        self.write(|transaction, _| put(transaction, name, number as i64))
    }

    /// Notes a success: when, by this host's clock and by the store's (`heard`), and how long it took.
    pub(crate) fn succeeded(&mut self, now: f64, seconds: f64, heard: u64) -> Answer<()> {
        self.write(|transaction, _| {
            put(transaction, "last", now)?;
            put(transaction, "heard", heard as i64)?;
            put(transaction, "gauges", 0)?;
            put(transaction, "seconds", seconds)?;
            put(transaction, "waiting", 0)
        })
    }

    /// Notes a failure, and how many series wait.
    pub(crate) fn failed(&mut self, reason: Reason, waiting: u64) -> Answer<()> {
        self.write(|transaction, _| {
            add(transaction, &format!("failed {}", reason.name()), 1)?;
            put(transaction, "waiting", waiting as i64)
        })
    }

    /// How draining has gone.
    pub(crate) fn record(&self) -> Answer<Record> {
        let _still = fork::still();
        Record::of(&self.database).map_err(|error| trouble(&self.place, &error))
    }

    fn state<T: FromSql>(&self, name: &str) -> Answer<Option<T>> {
        let _still = fork::still();
        state(&self.database, name).map_err(|error| trouble(&self.place, &error))
    }

    /// Makes a change, under a new version number.
    fn write(&mut self, change: impl FnOnce(&Transaction<'_>, i64) -> rusqlite::Result<()>) -> Answer<()> {
        let _still = fork::still();
        let known = self.version;
        let write = || {
            let transaction = self.database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let read = "SELECT coalesce((SELECT value FROM state WHERE name = 'version'), 0)";
            let there: i64 = transaction.prepare_cached(read)?.query_row([], |row| row.get(0))?;
            let version = there.max(known) + 1;
            change(&transaction, version)?;
            put(&transaction, "version", version)?;
            transaction.commit()?;
            Ok((there, version))
        };
        let (there, version) = write().map_err(|error| trouble(&self.place, &error))?;
        if there == known {
            // Else there is something to be read first.
            self.version = version;
        }
        Ok(())
    }
}

fn open(place: Option<&Path>) -> rusqlite::Result<Connection> {
    let database = match place {
        Some(place) => {
            make(place);
            Connection::open(place)?
        }
        None => Connection::open_in_memory()?,
    };
    database.busy_timeout(Duration::from_secs(2))?;
    database.pragma_update(None, "journal_mode", "wal")?;
    database.pragma_update(None, "synchronous", "normal")?;
    database.execute_batch(SCHEMA)?;
    Ok(database)
}

/// Makes the file for those who share the spool, whose mode it gets; SQLite gives that to the files beside it, too. If it
/// cannot be made, SQLite says why. Not opened if it is there: closing it again would give up locks that SQLite holds on
/// it elsewhere.
fn make(place: &Path) {
    let mode = std::fs::metadata(place.with_extension("")).map_or(0o600, |spool| spool.mode() & 0o666);
    if let Ok(file) = OpenOptions::new().append(true).create_new(true).mode(0o600).open(place) {
        // The umask takes something from what a file is made with only.
        let _ = file.set_permissions(Permissions::from_mode(mode));
    }
}

fn trouble(place: &Path, error: &rusqlite::Error) -> Trouble {
    let place = place.display();
    Trouble {
        reason: Reason::Journal,
        message: format!(
            "{place}: cannot use this journal: {error}; make room, or give this user the right to write there"
        ),
    }
}

fn state<T: FromSql>(database: &Connection, name: &str) -> rusqlite::Result<Option<T>> {
    let mut statement = database.prepare_cached("SELECT value FROM state WHERE name = ?1")?;
    statement.query_row([name], |row| row.get(0)).optional()
}

fn put(transaction: &Transaction<'_>, name: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO state VALUES (?1, ?2)")?;
    statement.execute(params![name, value]).map(drop)
}

fn add(transaction: &Transaction<'_>, name: &str, more: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO state VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value";
    transaction.execute(sql, params![name, more]).map(drop)
}

fn put_sent(transaction: &Transaction<'_>, series: u32, shard: u32, version: i64, sent: &Sent) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO sent VALUES (?1, ?2, ?3, ?4)")?;
    statement.execute(params![series, shard, version, sent.encode()]).map(drop)
}

fn put_mark(transaction: &Transaction<'_>, mark: &[u8], generation: u64) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO marks VALUES (?1, ?2)")?;
    statement.execute(params![mark, generation as i64]).map(drop)
}

/// Keeps a batch to be sent again, and drops the one that is too old for that.
fn keep(transaction: &Transaction<'_>, batch: &Batch, bytes: &[u8]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO recent VALUES (?1, ?2, ?3)")?;
    insert.execute(params![batch.shard, batch.sequence as i64, bytes])?;
    let mut delete = transaction.prepare_cached("DELETE FROM recent WHERE shard = ?1 AND sequence <= ?2")?;
    delete.execute(params![batch.shard, batch.sequence.saturating_sub(RECENT) as i64]).map(drop)
}

/// Drops the oldest batches where there are more bytes: every shard keeps as many of its newest. The sizes are taken
/// before anything is sorted, so that only they are.
fn trim(transaction: &Transaction<'_>, most: i64) -> rusqlite::Result<()> {
    let sql = "
        WITH sizes AS (SELECT shard, sequence, length(batch) AS size FROM recent),
            ages AS (SELECT *, row_number() OVER (PARTITION BY shard ORDER BY sequence DESC) AS age FROM sizes),
            sums AS (SELECT shard, sequence, sum(size) OVER (ORDER BY age, shard) AS bytes FROM ages)
        DELETE FROM recent WHERE (shard, sequence) IN (SELECT shard, sequence FROM sums WHERE bytes > ?1)";
    transaction.prepare_cached(sql)?.execute([most]).map(drop)
}

fn encode_effects(effects: &[(u32, Sent)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::put_length(&mut bytes, effects.len());
    for (series, sent) in effects {
        record::put_number(&mut bytes, u64::from(*series));
        record::put_bytes(&mut bytes, &sent.encode());
    }
    bytes
}

fn decode_outstanding(batch: &[u8], effects: &[u8]) -> Option<Outstanding> {
    let mut reader = Reader(effects);
    let count = reader.length()?;
    let effect = |_| Some((u32::try_from(reader.number()?).ok()?, Sent::decode(reader.bytes()?)?));
    let effects = (0..count).map(effect).collect::<Option<Vec<_>>>()?;
    Some(Outstanding { batch: Batch::decode(batch)?, effects })
}

#[cfg(test)]
mod tests {
    use tallymark_model::{Family, Kind};

    use super::*;
    use crate::series::Note;
    use crate::store::ledger::{Change, Delta};

    /// Sends batches of ten kilobytes to these shards, one after the other.
    fn fill(journal: &mut Journal, shards: impl IntoIterator<Item = usize>) {
        journal.make_shards(2);
        for shard in shards {
            let notes = vec![Note { part: 0, stamp: 1, bytes: vec![0; 10_000] }];
            let change = Change { family: 0, labels: Vec::new(), created: 0.0, delta: Delta::Nothing, notes };
            let batch = Batch {
                writer: journal.writer,
                shard: shard as u32,
                epoch: 1,
                sequence: journal.shards[shard].sequence + 1,
                rebase: false,
                families: vec![Family::named(Kind::Counter, "hits", "").into()],
                changes: vec![change],
            };
            journal.begin(&[Outstanding { batch, effects: Vec::new() }]).unwrap();
            journal.commit(&[shard]).unwrap();
        }
    }

    fn kept(journal: &Journal, shard: usize) -> Vec<u64> {
        journal.since(shard, 0).unwrap().iter().map(|batch| batch.sequence).collect()
    }

    #[test]
    fn as_many_batches_are_kept_as_fit_of_all_shards_together() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(Some(&directory.path().join("spool.journal")), 1).unwrap();
        (journal.most, journal.untrimmed) = (1_000_000, 0);
        fill(&mut journal, (0..3).map(|_| 1).chain((0..200).map(|_| 0)));
        assert_eq!(kept(&journal, 1), [1, 2, 3]);
        let busy = kept(&journal, 0);
        assert!((80..=97).contains(&busy.len()), "{} of the busy shard", busy.len());
        assert!(busy.iter().copied().eq(201 - busy.len() as u64..=200), "the newest");
    }

    #[test]
    fn in_memory_fewer_batches_are_kept() {
        let mut journal = Journal::open(None, 1).unwrap();
        fill(&mut journal, (0..500).map(|number| number % 2));
        let count = kept(&journal, 0).len() + kept(&journal, 1).len();
        assert!((150..=210).contains(&count), "{count} of ten kilobytes each");
    }

    #[test]
    fn whoever_may_use_the_spool_may_use_its_journal() {
        for mode in [0o600, 0o660] {
            let directory = tempfile::tempdir().unwrap();
            let spool = directory.path().join("spool.tally");
            std::fs::write(&spool, "").unwrap();
            std::fs::set_permissions(&spool, Permissions::from_mode(mode)).unwrap();
            let mut journal = Journal::open(Some(&directory.path().join("spool.tally.journal")), 1).unwrap();
            fill(&mut journal, [0]);
            let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().flatten().collect();
            assert_eq!(files.len(), 4, "the spool, the journal, and what SQLite makes beside it");
            for file in files {
                assert_eq!(file.metadata().unwrap().mode() & 0o777, mode, "{}", file.path().display());
            }
        }
    }
}
