//! The Redis ledger: Redis, Valkey, and clusters of them.
//!
//! | file | what it knows |
//! |---|---|
//! | `target.rs` | which server a URL means |
//! | `wire.rs`, `line.rs` | connections, deadlines, and who of a cluster has a key |
//! | `scripts.rs`, `*.lua` | what the server runs, and how it gets it |
//! | `layout.rs` | keys, fields and values as text |
//! | `read.rs` | everything in a store |
//! | `tidy.rs` | what is done for writers that have ended |
//! | `groups.rs` | pushed groups, which are no series: a hash of their own |
//! | `trouble.rs` | what errors mean |
//!
//! A store is a hash of its own, with the writers and the removals, and a hash for each shard, with everything that a
//! batch changes: one key is on one server, and what is lost is lost together. A script reads and reckons, then writes
//! by one command, so it is never done in part. `docs/stores/redis.md` describes all keys and fields.
//!
//! No command's work grows with what is stored: nothing lists keys, hashes are read in steps.

mod groups;
mod layout;
mod line;
mod read;
mod scripts;
#[cfg(test)]
mod server;
mod target;
#[cfg(test)]
mod tests;
mod tidy;
mod trouble;
mod wire;

use std::time::{Duration, Instant};

use redis::{FromRedisValue, RedisError, RedisResult, Value, cmd};
use tallymark_model::Family;

pub(crate) use self::groups::RedisGroups;
use self::layout::FORMAT;
use self::read::fields_of;
use self::scripts::{Call, Operation, Road, Scripts};
use self::target::Place;
pub(crate) use self::target::Target;
use self::trouble::{from_error, late, trouble};
use self::wire::{To, Wire};
use super::{Answer, Batch, Greeting, Hello, Ledger, Reason, Removal, Stored, Trouble};
use crate::record;

/// Shards of a new store on a cluster: enough that a few servers share the work, few enough that a host's batches stay
/// large. On a single server more than one would only make more calls.
const CLUSTER_SHARDS: u32 = 16;

/// The most shards that are believed.
const MOST_SHARDS: u32 = 4096;

/// The most fields that one command changes, or is given to change: about what a batch has.
const MOST_FIELDS: usize = 512;

/// A store in Redis.
pub(crate) struct Redis {
    wire: Wire,
    scripts: Scripts,
    prefix: String,
    new_shards: u32,
    /// Shards of the store, once it was seen.
    shards: Option<u32>,
    asked_for_eviction: bool,
    /// What was read last.
    fields: read::Fields,
}

impl Redis {
    /// The store with this prefix, of so many shards if it is made now. Connects at the first use. `timeout` bounds what
    /// is waited for one answer.
    pub(crate) fn new(target: Target, prefix: String, shards: Option<u32>, timeout: Duration) -> Redis {
        let usual = if matches!(target.place, Place::Cluster(_)) { CLUSTER_SHARDS } else { 1 };
        Redis {
            wire: Wire::new(target, timeout),
            scripts: Scripts::new(Road::Functions),
            prefix,
            new_shards: shards.unwrap_or(usual).clamp(1, MOST_SHARDS),
            shards: None,
            asked_for_eviction: false,
            fields: read::Fields::default(),
        }
    }

    fn shard(&self, number: usize) -> String {
        format!("{}:{number}", self.prefix)
    }

    fn shard_keys(&self, shards: u32) -> Vec<String> {
        (0..shards as usize).map(|number| self.shard(number)).collect()
    }

    fn call(&mut self, calls: &[Call], limit: Instant) -> Vec<RedisResult<Value>> {
        self.scripts.call(&mut self.wire, calls, limit)
    }

    fn trouble(&self, error: &RedisError) -> Trouble {
        from_error(&self.wire.target, error)
    }

    /// What is there is not ours, or newer than we are.
    fn foreign(&self, key: &str, what: &str) -> Trouble {
        let text = format!("key {key}: {what}; choose another prefix=, it was left untouched");
        trouble(&self.wire.target, Reason::Foreign, &text)
    }

    fn newer(&self, format: &str) -> Trouble {
        let prefix = &self.prefix;
        let text = format!(
            "key {prefix}: written by format {format}, this build reads {FORMAT}; upgrade tallymark here or choose \
             another prefix="
        );
        trouble(&self.wire.target, Reason::Foreign, &text)
    }

    /// What an answer says, as a value of some type.
    fn meant<T: FromRedisValue>(&self, answer: Option<RedisResult<Value>>) -> Result<T, Trouble> {
        let value = answer.unwrap_or_else(|| Err(late())).and_then(|value| Ok(redis::from_redis_value(value)?));
        value.map_err(|error| self.trouble(&error))
    }

    /// The epochs of shards, of the answers that they gave. One that was lost, or never was, is made.
    fn epochs(&mut self, answers: Vec<RedisResult<Value>>, limit: Instant) -> Result<Vec<u128>, Trouble> {
        let mut epochs: Vec<Option<String>> = Vec::new();
        for answer in answers {
            epochs.push(self.meant(Some(answer))?);
        }
        let missing: Vec<usize> = (0..epochs.len()).filter(|shard| epochs[*shard].is_none()).collect();
        let call = |shard: &usize| {
            Call::run(Operation::Open, self.shard(*shard), [layout::writer(uuid::Uuid::new_v4().as_u128())])
        };
        let calls: Vec<Call> = missing.iter().map(call).collect();
        for (shard, answer) in missing.into_iter().zip(self.call(&calls, limit)) {
            epochs[shard] = self.meant(Some(answer))?;
        }
        let parse = |(shard, epoch): (usize, Option<String>)| {
            let epoch = epoch.and_then(|epoch| u128::from_str_radix(&epoch, 16).ok());
            epoch.ok_or_else(|| self.foreign(&self.shard(shard), "not a shard of Tallymark"))
        };
        epochs.into_iter().enumerate().map(parse).collect()
    }

    /// Says once if the server may throw away what is counted.
    fn look_for_eviction(&mut self, limit: Instant) {
        let key = To::Key(self.prefix.clone());
        // Whoever may not ask does without.
        let Ok(answer) = self.wire.ask(key, cmd("INFO").arg("memory").take(), limit) else { return };
        self.asked_for_eviction = true;
        let info: String = redis::from_redis_value(answer).unwrap_or_default();
        let says = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        let (memory, policy) = (says("maxmemory:"), says("maxmemory_policy:"));
        if memory != "0" && policy.starts_with("allkeys") {
            log::warn!(
                "{}: throws keys away when its memory is full (maxmemory-policy {policy}), and with them what was \
                 counted; set maxmemory-policy noeviction, or give Tallymark a server of its own",
                self.wire.target
            );
        }
    }

    fn shards_by(&self, text: &str) -> Result<u32, Trouble> {
        let shards = text.parse().ok().filter(|shards| (1..=MOST_SHARDS).contains(shards));
        shards.ok_or_else(|| self.foreign(&self.prefix, &format!("its field shards is {text:?}")))
    }

    fn is_noted(&mut self, removal: &Removal, limit: Instant) -> Result<bool, Trouble> {
        let field = format!("d|{}|{}", layout::writer(removal.writer), removal.id);
        let command = cmd("HEXISTS").arg(&self.prefix).arg(field).take();
        let answer = self.wire.ask(To::Key(self.prefix.clone()), command, limit);
        self.meant(Some(answer))
    }

    /// Notes a removal for the writers that are to hear of it.
    fn note(&mut self, removal: &Removal, limit: Instant) -> Result<(), Trouble> {
        let arguments = [layout::writer(removal.writer), removal.id.to_string(), layout::removal_text(removal)];
        let call = Call::run(Operation::Note, self.prefix.clone(), arguments);
        let answer = self.call(&[call], limit).pop();
        self.meant::<String>(answer).map(drop)
    }

    /// Removes fields of a shard, some at a time.
    fn delete(&mut self, shard: &str, fields: &[String], limit: Instant) -> Result<(), Trouble> {
        for some in fields.chunks(MOST_FIELDS) {
            let command = cmd("HDEL").arg(shard).arg(some).take();
            self.wire.ask(To::Key(shard.to_owned()), command, limit).map_err(|error| self.trouble(&error))?;
        }
        Ok(())
    }
}

impl Ledger for Redis {
    fn greet(&mut self, hello: &Hello<'_>, limit: Instant) -> Result<Greeting, Trouble> {
        let arguments = [
            FORMAT.to_owned(),
            self.new_shards.to_string(),
            layout::writer(hello.writer),
            hello.lease.as_micros().to_string(),
            layout::row_rest(hello),
            hello.removals.to_string(),
        ];
        let greet = Call::run(Operation::Greet, self.prefix.clone(), arguments);
        let asked = self.shards.unwrap_or(0);
        let mut calls = vec![greet];
        calls.extend(self.shard_keys(asked).into_iter().map(epoch_of));
        let mut answers = self.call(&calls, limit).into_iter();
        let said: Vec<String> = self.meant(answers.next())?;
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        let (now, shards, known, last, removals) = match &said[..] {
            ["ok", now, shards, known, last, removals @ ..] => (now, self.shards_by(shards)?, known, last, removals),
            ["format", format] => return Err(self.newer(format)),
            _ => return Err(self.foreign(&self.prefix, "not a store of Tallymark")),
        };
        let mut epochs: Vec<RedisResult<Value>> = answers.collect();
        if shards != asked {
            let calls: Vec<Call> = self.shard_keys(shards).into_iter().map(epoch_of).collect();
            epochs = self.call(&calls, limit);
        }
        let epochs = self.epochs(epochs, limit)?;
        self.shards = Some(shards);
        if !self.asked_for_eviction {
            self.look_for_eviction(limit);
        }
        let others = removals.iter().filter_map(|text| layout::removal(text));
        Ok(Greeting {
            now: now.parse::<u64>().unwrap_or_default().saturating_mul(1000),
            epochs,
            removals: others.filter(|removal| removal.writer != hello.writer).collect(),
            last_removal: last.parse().unwrap_or_default(),
            known: *known == "1",
        })
    }

    fn shard_of(&self, family: &Family, labels: &[Box<str>]) -> usize {
        let shards = self.shards.unwrap_or(self.new_shards);
        layout::shard(&layout::series(record::family_id(family), labels), shards as usize)
    }

    fn apply(&mut self, batches: &[Batch], limit: Instant) -> Vec<Result<Answer, Trouble>> {
        let call = |batch: &Batch| Call::run(Operation::Apply, self.shard(batch.shard as usize), layout::batch(batch));
        let calls: Vec<Call> = batches.iter().map(call).collect();
        let answers = self.call(&calls, limit).into_iter();
        answers.map(|answer| self.meant(Some(answer)).and_then(|said: String| self.answer(&said))).collect()
    }

    fn remove(&mut self, removal: &Removal, limit: Instant) -> Result<(), Trouble> {
        if self.is_noted(removal, limit)? {
            return Ok(());
        }
        let look = self.look(limit)?;
        let Some(shards) = look.shards else { return Ok(()) };
        self.shards = Some(shards);
        let keys = self.shard_keys(shards);
        let mut fields = vec![Vec::new(); keys.len()];
        match exact(removal) {
            Some(labels) => {
                fields[self.shard_of(&removal.family, &labels)] = fields_of(&look, &removal.family, &labels);
            }
            None => fields = self.matching(removal, &keys, limit)?,
        }
        keys.iter().zip(&fields).try_for_each(|(key, fields)| self.delete(key, fields, limit))?;
        self.note(removal, limit)
    }

    fn read(&mut self, limit: Instant) -> Result<Stored, Trouble> {
        self.read_all(limit)
    }

    fn hang_up(&mut self) {
        self.wire.hang_up();
    }
}

impl Redis {
    fn answer(&self, said: &str) -> Result<Answer, Trouble> {
        let number = |text: &str| text.parse::<u64>().ok();
        match said.split_once(' ') {
            None if said == "applied" => Ok(Answer::Applied),
            None if said == "epoch" => Ok(Answer::OtherEpoch),
            Some(("old", last)) if number(last).is_some() => Ok(Answer::Old(number(last).unwrap_or_default())),
            Some(("gap", last)) => Ok(Answer::Gap(number(last).filter(|last| *last != 0))),
            _ => Err(trouble(&self.wire.target, Reason::Other, &format!("an unknown answer: {said}"))),
        }
    }
}

fn epoch_of(shard: String) -> Call {
    Call::Plain { command: cmd("HGET").arg(&shard).arg("epoch").take(), key: shard }
}

/// The label values of a removal that names all of them.
fn exact(removal: &Removal) -> Option<Vec<Box<str>>> {
    let names = removal.family.label_names().len();
    let value =
        |place| removal.wanted.iter().find(|(wanted, _)| *wanted == place).map(|(_, value)| value.as_str().into());
    let values: Vec<Box<str>> = (0..names).map(value).collect::<Option<_>>()?;
    // A place that is named twice is for the comparison of each series.
    (removal.wanted.len() == names).then_some(values)
}
