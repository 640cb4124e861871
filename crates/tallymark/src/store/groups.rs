//! Pushed groups, as stores keep them: documents under keys, changed all or nothing, and only by who knows all there is.
//!
//! They stand beside a store's series and are no series: a group is replaced, added to and deleted as a whole. What a
//! document says is not known here. Beside a file there is an SQLite database, `PATH.groups`; beside a store in Redis a
//! hash; beside `memory:` they are in memory, too, and each [`Groups`] has its own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[cfg(feature = "redis")]
use crate::store::ledger::{RedisGroups, Target};
use crate::store::ledger::{SqliteGroups, Trouble};
use crate::{Error, Store};

/// How long others' changes to a file are waited for, if the caller waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The pushed groups beside a store. One connection, used by one thread at a time; its methods wait for the store.
///
/// ```
/// use std::time::{Duration, Instant};
/// use tallymark::{Groups, Revision, Store};
///
/// let limit = Instant::now() + Duration::from_secs(5);
/// let mut groups = Groups::open(&Store::Memory)?;
/// let written = groups.write(Revision::default(), &[(b"job=backup".to_vec(), Some(b"document".to_vec()))], limit)?;
/// let written = written.expect("nobody else has written");
///
/// assert_eq!(groups.changes(Revision::default(), limit)?.groups.len(), 1);
/// assert_eq!(groups.changes(written, limit)?.groups.len(), 0);
/// assert_eq!(groups.write(Revision::default(), &[], limit)?, None, "something has changed since then");
/// # Ok::<(), tallymark::Error>(())
/// ```
pub struct Groups {
    keeper: Box<dyn Keeper>,
}

/// The key of a group, and its document; none for one that is not there any more.
pub type Entry = (Vec<u8>, Option<Vec<u8>>);

/// A point in the history of a store's groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revision {
    /// Drawn when the first group was written; another one means that the groups were lost. 0: before the first.
    pub epoch: u128,
    /// How many changes there were.
    pub number: u64,
    /// Drawn for the last of them where a store may forget changes and make others, as a replica does that takes over; else 0.
    pub mark: u128,
}

/// What has changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// The point up to which this tells.
    pub revision: Revision,
    /// Whether this is everything there is, and what was known before is to be forgotten.
    pub complete: bool,
    /// The groups, as they are now.
    pub groups: Vec<Entry>,
}

/// Where groups are kept.
pub(crate) trait Keeper: Send {
    fn changes(&mut self, since: Revision, limit: Instant) -> Result<Changes, Trouble>;

    fn write(&mut self, since: Revision, groups: &[Entry], limit: Instant) -> Result<Option<Revision>, Trouble>;
}

/// Where the groups of a store are.
#[derive(Clone)]
pub(crate) enum Place {
    Memory,
    File(PathBuf),
    #[cfg(feature = "redis")]
    Redis {
        target: Target,
        prefix: String,
    },
}

impl Place {
    /// Beside a store that is a file.
    pub(crate) fn beside(path: &Path) -> Place {
        let mut name = path.to_owned().into_os_string();
        name.push(".groups");
        Place::File(name.into())
    }
}

impl Groups {
    /// The groups beside a store. Nobody is asked yet, and nothing is made before something is written.
    ///
    /// # Errors
    /// [`Error::Store`] if there is no memory for groups in memory.
    pub fn open(store: &Store) -> Result<Groups, Error> {
        let (place, timeout) = store.groups();
        let keeper: Box<dyn Keeper> = match place {
            Place::Memory => Box::new(SqliteGroups::in_memory()?),
            Place::File(path) => Box::new(SqliteGroups::new(path, timeout)),
            #[cfg(feature = "redis")]
            Place::Redis { target, prefix } => Box::new(RedisGroups::new(target, &prefix, timeout)),
        };
        Ok(Groups { keeper })
    }

    /// The groups that have changed after `since`, which is [`Revision::default`] for who knows none. If they are all that
    /// there are, that may take a minute, whatever `limit` says.
    ///
    /// # Errors
    /// [`Error::Store`] if that takes longer, or the store says no.
    pub fn changes(&mut self, since: Revision, limit: Instant) -> Result<Changes, Error> {
        Ok(self.keeper.changes(since, limit)?)
    }

    /// Writes groups, each in place of what is under its key, or deletes those without a document: all of them, or none
    /// if something has changed after `since`; then `None`, and it is time to ask for the changes and think again.
    ///
    /// # Errors
    /// [`Error::Store`] if that takes longer than `limit`, or the store says no. After a timeout or
    /// a broken connection it may have been written all the same: [`changes`](Self::changes) tells. What was written
    /// survives the process; a power failure may take back the last moments.
    pub fn write(&mut self, since: Revision, groups: &[Entry], limit: Instant) -> Result<Option<Revision>, Error> {
        Ok(self.keeper.write(since, groups, limit)?)
    }
}

#[cfg(test)]
pub(crate) mod contract {
    //! What every keeper must do.

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    fn document(key: &str, document: Option<&str>) -> Entry {
        (key.into(), document.map(Into::into))
    }

    fn sorted(mut changes: Changes) -> Vec<Entry> {
        changes.groups.sort();
        changes.groups
    }

    /// `open` gives another connection to the same groups, of which there are none yet.
    pub(crate) fn keeps_groups(open: impl Fn() -> Box<dyn Keeper>) {
        let (mut one, mut other) = (open(), open());
        let none = one.changes(Revision::default(), soon()).unwrap();
        assert_eq!(none, Changes { complete: true, ..Changes::default() });

        let pair = [document("a", Some("1")), document("b\0\n|=", Some("=\u{ff}"))];
        let first = one.write(Revision::default(), &pair, soon()).unwrap().unwrap();
        assert_eq!(other.write(Revision::default(), &[document("a", Some("x"))], soon()).unwrap(), None);
        let seen = other.changes(Revision::default(), soon()).unwrap();
        assert_eq!((seen.revision, seen.complete), (first, true));
        assert_eq!(sorted(seen), pair);

        let second = other.write(first, &[document("a", None), document("c", Some(""))], soon()).unwrap().unwrap();
        assert_eq!(one.write(first, &[document("b", Some("late"))], soon()).unwrap(), None);
        let seen = one.changes(first, soon()).unwrap();
        assert_eq!((seen.revision, seen.complete), (second, false));
        assert_eq!(sorted(seen), [document("a", None), document("c", Some(""))]);
        assert_eq!(one.changes(second, soon()).unwrap().groups, []);

        let elsewhere = Revision { epoch: first.epoch ^ 1, ..second };
        assert!(one.changes(elsewhere, soon()).unwrap().complete, "another life of the store");
        assert_eq!(one.write(elsewhere, &[], soon()).unwrap(), None);

        let (mut now, mut recent) = (second, second);
        for round in 0..1100 {
            let text = round.to_string();
            let group = document("d", (round % 2 == 0).then_some(&text));
            now = one.write(now, &[group], soon()).unwrap().unwrap();
            if round == 100 {
                recent = now;
            }
        }
        let seen = other.changes(second, soon()).unwrap();
        assert!(seen.complete, "so much is not remembered");
        assert_eq!(seen.revision, now);
        assert_eq!(sorted(seen), [document("b\0\n|=", Some("=\u{ff}")), document("c", Some(""))]);
        assert_eq!(sorted(other.changes(recent, soon()).unwrap()), [document("d", None)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    #[test]
    fn groups_beside_a_file_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.groups");
        contract::keeps_groups(|| Box::new(SqliteGroups::new(path.clone(), PATIENCE)));
    }

    #[test]
    fn groups_that_were_deleted_long_ago_are_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.groups");
        let (mut groups, mut now) = (SqliteGroups::new(path.clone(), PATIENCE), Revision::default());
        let limit = Instant::now() + PATIENCE;
        for change in 0..250 {
            let key = |one: usize| format!("{change} {one}").into_bytes();
            // One in ten stays.
            let entries: Vec<Entry> = (0..10).map(|one| (key(one), (one == 0).then(Vec::new))).collect();
            now = groups.write(now, &entries, limit).unwrap().unwrap();
        }
        let database = rusqlite::Connection::open(path).unwrap();
        let rows = |what: &str| -> i64 {
            database
                .query_row(&format!("SELECT count(*) FROM groups WHERE document IS {what}"), [], |row| row.get(0))
                .unwrap()
        };

        assert_eq!((rows("NULL"), rows("NOT NULL")), (900, 250));
    }

    #[test]
    fn looking_makes_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("file:{}/x.tally", directory.path().display())).unwrap();
        let mut groups = Groups::open(&store).unwrap();
        let limit = Instant::now() + PATIENCE;
        assert!(groups.changes(Revision::default(), limit).unwrap().groups.is_empty());
        assert!(!directory.path().join("x.tally.groups").exists());

        groups.write(Revision::default(), &[(b"a".to_vec(), Some(Vec::new()))], limit).unwrap().unwrap();
        assert!(directory.path().join("x.tally.groups").exists());
    }

    #[test]
    fn a_file_of_another_program_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("x.tally.groups"),
            "somebody's notes, long enough to be a database's page",
        )
        .unwrap();
        let store = Store::open(&format!("file:{}/x.tally", directory.path().display())).unwrap();
        let error = Groups::open(&store).unwrap().changes(Revision::default(), Instant::now() + PATIENCE).unwrap_err();
        assert!(matches!(error, Error::Store { reason: Reason::Foreign, .. }), "{error}");
    }
}
