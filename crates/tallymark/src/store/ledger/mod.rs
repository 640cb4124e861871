//! Ledgers: stores of many hosts, fed from this host's spool.
//!
//! A ledger takes batches of changes, each exactly once, and is read as a whole. It is one or more *shards*, each with an
//! *epoch*, drawn when the shard was made, and for every *writer* (a spool) the number of the last batch it took from it.
//! What a batch changes and that number change together. So a batch may be sent again until an answer comes:
//!
//! | the shard knows | answer | what the writer does |
//! |---|---|---|
//! | another epoch, or none | [`Answer::OtherEpoch`] | the shard was lost: sends its totals, once |
//! | the number before | [`Answer::Applied`] | |
//! | this number or a later one | [`Answer::Old`] | it was applied: nothing |
//! | an earlier number, or none | [`Answer::Gap`] | sends what lies between again |
//!
//! Here is what a ledger must do; `sqlite/` and `redis/` do it. When to send what is `drain.rs`'s business.

mod batch;
#[cfg(test)]
mod contract;
mod drain;
#[cfg(test)]
mod drain_tests;
mod journal;
pub(crate) mod open;
#[cfg(feature = "redis")]
mod redis;
mod sent;
mod spool;
mod sqlite;
mod store;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tallymark_cells::Shape;
use tallymark_cells::file::{ProcessValue, keep_of};
use tallymark_model::Family;

pub(crate) use batch::{Batch, Change, Delta};
pub(crate) use drain::encode_removal;
#[cfg(feature = "redis")]
pub(crate) use redis::{RedisGroups, Target};
pub(crate) use sqlite::SqliteGroups;
pub use store::LedgerStore;

pub(crate) use crate::gauge::GaugeValue;
pub(crate) use crate::merge::{HeldSeries, StoredValue};

use crate::Error;
use crate::family::shape;

/// A store that many spools feed. One connection to it, used by one thread at a time, opened at the first use and again
/// after a failure.
pub(crate) trait Ledger: Send {
    /// Connects if need be, makes what is missing, renews the writer's lease, and says how the store stands.
    fn greet(&mut self, hello: &Hello<'_>, limit: Instant) -> Result<Greeting, Trouble>;

    /// The shard that a series is kept in, of as many as [`Greeting::epochs`] has. The same in every process.
    fn shard_of(&self, family: &Family, labels: &[Box<str>]) -> usize;

    /// Takes batches, at most one of each shard; an answer for each, in their order.
    fn apply(&mut self, batches: &[Batch], limit: Instant) -> Vec<Result<Answer, Trouble>>;

    /// Removes series for everybody, and notes it for the other writers. May be repeated.
    fn remove(&mut self, removal: &Removal, limit: Instant) -> Result<(), Trouble>;

    /// Everything that is in the store. Each series is read at one moment.
    fn read(&mut self, limit: Instant) -> Result<Stored, Trouble>;

    /// Closes its connections without a word, in a forked child: they are the parent's.
    fn hang_up(&mut self) {}
}

/// What a writer says about itself before it sends anything.
pub(crate) struct Hello<'a> {
    /// Who it is.
    pub(crate) writer: u128,
    /// What its host is called: the label `instance`.
    pub(crate) instance: &'a str,
    /// How long its processes are taken to live if it is not heard of again; zero if none will count any more.
    pub(crate) lease: Duration,
    /// Its live processes.
    pub(crate) processes: u64,
    /// How many of them count in which family, by [`crate::record::family_id`].
    pub(crate) users: &'a [(u64, u32)],
    /// The number of the last removal it has heard of.
    pub(crate) removals: u64,
}

/// How a store stands.
#[derive(Debug, Default)]
pub(crate) struct Greeting {
    /// The store's clock: nanoseconds since the Unix epoch.
    pub(crate) now: u64,
    /// The epoch of every shard.
    pub(crate) epochs: Vec<u128>,
    /// Removals that the writer has not heard of and others have made, and the number of the last one there is.
    pub(crate) removals: Vec<Removal>,
    pub(crate) last_removal: u64,
    /// Whether the writer was known. One that was not has no gauges in the store.
    pub(crate) known: bool,
}

/// What a shard says to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Applied,
    /// The number of the last batch of this writer that it took.
    Old(u64),
    /// The same, less than the one before this batch; `None` if it knows no batch of this writer.
    Gap(Option<u64>),
    OtherEpoch,
}

/// Series that are to be forgotten: those of a family whose label values are these at these places.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Removal {
    /// Who removed them. Its own removals are not told to it.
    pub(crate) writer: u128,
    /// Names the removal among those of its writer; one that was noted is not noted again.
    pub(crate) id: u64,
    pub(crate) family: Arc<Family>,
    pub(crate) wanted: Vec<(usize, String)>,
}

/// Everything in a store.
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) series: Vec<HeldSeries>,
    /// How many live processes count in which family, by [`crate::record::family_id`].
    pub(crate) users: Vec<(u64, u32)>,
    /// Live processes of all live writers.
    pub(crate) processes: u64,
    /// The store's clock: nanoseconds since the Unix epoch.
    pub(crate) now: u64,
}

/// What remains of the values of writers that have ended.
pub(crate) fn kept(family: &Family, values: &[GaugeValue]) -> Vec<GaugeValue> {
    let Shape::Gauge(keep) = shape(family) else { return Vec::new() };
    let mut left: Vec<ProcessValue> = (0..)
        .zip(values)
        .map(|(place, value)| ProcessValue { pid: place, value: value.value, stamp: value.stamp, live: false })
        .collect();
    left.sort_by_key(|value| value.stamp);
    keep_of(keep, &mut left);
    // The places stand for the processes, whose hosts the sums know nothing of.
    let whose = left.iter().map(|value| (value, &values[value.pid as usize]));
    whose.map(|(left, whose)| GaugeValue { value: left.value, live: false, kept: true, ..whose.clone() }).collect()
}

/// Why a ledger could not do what it was asked to: what is logged, counted, and tried again.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Trouble {
    pub(crate) reason: Reason,
    /// Names the store without its password, says what was found and what to do.
    pub(crate) message: String,
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Error {
        Error::Store { message: trouble.message, reason: trouble.reason }
    }
}

/// Kinds of trouble with a store of many hosts: the label `reason` of `tallymark_failed_drains`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// A user or password that the store does not accept, or one that may not do this.
    Denied,
    /// The store takes no changes: a replica, a read-only file.
    ReadOnly,
    /// The store has no room.
    Full,
    /// Loading, failing over, busy: it says itself that it will be back.
    NotReady,
    /// Something else is there, or a newer format.
    Foreign,
    /// The journal beside the spool cannot be used.
    Journal,
    /// Anything else.
    Other,
}

impl Reason {
    pub(crate) const ALL: [Reason; 9] = [
        Reason::Unreachable,
        Reason::Timeout,
        Reason::Denied,
        Reason::ReadOnly,
        Reason::Full,
        Reason::NotReady,
        Reason::Foreign,
        Reason::Journal,
        Reason::Other,
    ];

    /// Its name, as the label has it.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Unreachable => "unreachable",
            Reason::Timeout => "timeout",
            Reason::Denied => "denied",
            Reason::ReadOnly => "read_only",
            Reason::Full => "full",
            Reason::NotReady => "not_ready",
            Reason::Foreign => "foreign",
            Reason::Journal => "journal",
            Reason::Other => "other",
        }
    }
}
