//! A group: what has been pushed under one set of labels, and what a push makes of it.
//!
//! All of it is pure: a group and a push give another group, or a refusal. Whether families of this group and of others go
//! together is checked in `cache.rs`; how numbers are added up is in `aggregate.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Options;
use super::aggregate;
use super::ask::{Adding, Ask};
use super::metric::{Families, Family};
use super::path::Key;
use super::refusal::Refusal;

/// The families that every group has: when it was last pushed, and when a push was last refused.
pub(super) const STAMPS: [(&str, &str); 2] = [
    ("push_failure_time_seconds", "When a push to this group was last refused, in seconds since 1970; 0 is never."),
    ("push_time_seconds", "When this group was last pushed, in seconds since 1970; 0 is never."),
];

/// How many pushes with an id a group remembers, and for how many seconds.
const REMEMBERED_PUSHES: usize = 1000;
const REMEMBERED_SECONDS: f64 = 24.0 * 3600.0;

/// A group.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Group {
    /// The labels.
    pub(super) key: Key,
    /// What was pushed.
    pub(super) families: Families,
    /// When it was last pushed, in seconds since the Unix epoch; 0 is never.
    pub(super) pushed: f64,
    /// When a push was last refused.
    pub(super) failed: f64,
    /// When it ends.
    pub(super) expires: Option<f64>,
    /// The ids of pushes and when they came, the oldest first.
    pub(super) pushes: VecDeque<(String, f64)>,
}

/// What a push does to a group.
#[derive(Debug)]
pub(super) enum Push {
    /// Takes the place of everything.
    Put(Families),
    /// Takes the place of families of the same names.
    Post(Families),
    /// Is added.
    Add(Adding, Vec<(String, Family)>),
}

impl Push {
    /// What a `PUT`, or else a `POST`, with these families does.
    pub(super) fn new(
        is_put: bool,
        mut families: BTreeMap<String, Family>,
        ask: &Ask,
        options: &Options,
    ) -> Result<Push, Refusal> {
        families.retain(|name, _| STAMPS.iter().all(|(stamp, _)| name != stamp));
        if let Some(adding) = ask.adding {
            return Ok(Push::Add(adding, aggregate::addable(families, options)?));
        }
        let families = families.into_iter().map(|(name, family)| (name, Arc::new(family))).collect();
        Ok(if is_put { Push::Put(families) } else { Push::Post(families) })
    }
}

impl Group {
    /// A group to which nothing was pushed.
    pub(super) fn new(key: Key) -> Group {
        Group { key, ..Group::default() }
    }

    /// Whether its time is over.
    pub(super) fn has_ended(&self, now: f64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether a push of this id has come.
    pub(super) fn knows(&self, id: &str, now: f64) -> bool {
        self.pushes.iter().any(|(known, at)| known == id && *at + REMEMBERED_SECONDS > now)
    }

    /// The group after a push.
    pub(super) fn pushed(&self, push: &Push, ask: &Ask, options: &Options, now: f64) -> Result<Group, Refusal> {
        let mut group = match push {
            Push::Put(families) => Group { families: families.clone(), ..self.clone() },
            Push::Post(families) => {
                let mut group = self.clone();
                group.families.extend(families.clone());
                group
            }
            Push::Add(adding, families) => aggregate::added(self, families, *adding, ask, options, now)?,
        };
        group.pushed = now;
        group.expires = ask.ttl.map(|ttl| now + ttl);
        group.pushes.retain(|(_, at)| *at + REMEMBERED_SECONDS > now);
        if let Some(id) = &ask.id {
            group.pushes.push_back((id.clone(), now));
            let surplus = group.pushes.len().saturating_sub(REMEMBERED_PUSHES);
            group.pushes.drain(..surplus);
        }
        Ok(group)
    }

    /// The group after a push that was refused.
    pub(super) fn refused(&self, ask: &Ask, now: f64) -> Group {
        let mut group = self.clone();
        group.failed = now;
        if group.pushed == 0.0 {
            group.expires = ask.ttl.map(|ttl| now + ttl);
        }
        group
    }

    /// The stamps: name, help and value.
    pub(super) fn stamps(&self) -> [(&'static str, &'static str, f64); 2] {
        let [failure, success] = STAMPS;
        [(failure.0, failure.1, self.failed), (success.0, success.1, self.pushed)]
    }

    /// How many samples it is.
    pub(super) fn lines(&self) -> usize {
        self.families.values().map(|family| family.lines()).sum::<usize>() + STAMPS.len()
    }
}
