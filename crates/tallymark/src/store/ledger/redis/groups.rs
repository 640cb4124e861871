//! Pushed groups in Redis: one hash, `PREFIX:groups`, so that all of them are on one server and are lost together.
//!
//! | field | value |
//! |---|---|
//! | `epoch` | drawn when the hash was made, 32 hexadecimal digits |
//! | `number` | how many changes there were |
//! | `g\|KEY` | the document of the group |
//! | `c\|N` | of the last change whose number is N modulo 1000: that number, its mark, the key of the group |
//!
//! A *mark* is drawn for each write. By it a write that is repeated, because its answer was lost, is known to be one; and so is
//! a server that took over without having heard of the last changes.
//!
//! `groups_since.lua` and `groups_put.lua` are all that touches it, and `HSCAN` for those that know nothing yet.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use redis::{Value, cmd};

use super::Target;
use super::layout;
use super::scripts::{Call, Operation, Road, Scripts};
use super::trouble::{from_error, late, trouble};
use super::wire::Wire;
use crate::store::groups::{Changes, Entry, Keeper, Revision};
use crate::store::ledger::{Reason, Trouble};

/// How many fields a step of reading everything asks for: documents are larger than series.
const STEP: usize = 100;
/// How often everything is read before it is given up.
const ATTEMPTS: usize = 3;
/// How long that may take, if the asker has no more time: a gigabyte may be there.
const LOADING: Duration = Duration::from_secs(60);

/// The pushed groups beside a store in Redis.
pub(crate) struct RedisGroups {
    wire: Wire,
    scripts: Scripts,
    key: String,
}

/// What the server says has changed.
enum Since {
    /// It has no groups.
    Nothing,
    /// More than it remembers.
    Everything(Revision),
    /// These, of as many groups as are there.
    Groups { revision: Revision, there: usize, changed: Vec<Entry> },
}

impl RedisGroups {
    /// Those beside the store with this prefix. Connects at the first use.
    pub(crate) fn new(target: Target, prefix: &str, timeout: Duration) -> RedisGroups {
        let key = format!("{prefix}:groups");
        RedisGroups { wire: Wire::new(target, timeout), scripts: Scripts::new(Road::Functions), key }
    }

    pub(super) fn ask(&mut self, call: Call, limit: Instant) -> Result<Value, Trouble> {
        let answer = self.scripts.call(&mut self.wire, &[call], limit).pop().unwrap_or_else(|| Err(late()));
        answer.and_then(Value::extract_error).map_err(|error| from_error(&self.wire.target, &error))
    }

    fn foreign(&self) -> Trouble {
        let text =
            format!("key {}: not the groups of Tallymark; choose another prefix=, it was left untouched", self.key);
        trouble(&self.wire.target, Reason::Foreign, &text)
    }

    /// Every group. Those that change meanwhile are read again, and all of it if that makes fewer than there are: a server
    /// that takes over in the middle goes on with another one's cursor, and leaves out what it likes.
    fn all(&mut self, mut since: Revision, limit: Instant) -> Result<Changes, Trouble> {
        let limit = limit.max(Instant::now() + LOADING);
        for _ in 0..ATTEMPTS {
            let mut groups = self.scan(limit)?;
            match self.since(since, limit)? {
                Since::Nothing => return Ok(Changes { complete: true, ..Changes::default() }),
                Since::Everything(revision) => since = revision,
                Since::Groups { revision, there, changed } => {
                    for (key, document) in changed {
                        match document {
                            Some(document) => drop(groups.insert(key, document)),
                            None => drop(groups.remove(&key)),
                        }
                    }
                    if groups.len() == there {
                        let groups = groups.into_iter().map(|(key, document)| (key, Some(document))).collect();
                        return Ok(Changes { revision, complete: true, groups });
                    }
                    since = revision;
                }
            }
        }
        let text = format!("key {}: its groups change faster than they can be read, or are not all groups", self.key);
        Err(trouble(&self.wire.target, Reason::NotReady, &text))
    }

    fn scan(&mut self, limit: Instant) -> Result<HashMap<Vec<u8>, Vec<u8>>, Trouble> {
        let mut groups = HashMap::new();
        let mut cursor = b"0".to_vec();
        loop {
            let command = cmd("HSCAN").arg(&self.key).arg(&cursor).arg("COUNT").arg(STEP).take();
            let answer = self.ask(Call::Plain { key: self.key.clone(), command }, limit)?;
            let (next, fields): (Vec<u8>, Vec<Vec<u8>>) =
                redis::from_redis_value(answer).map_err(|_| self.foreign())?;
            let mut fields = fields.into_iter();
            while let (Some(field), Some(document)) = (fields.next(), fields.next()) {
                if let Some(key) = field.strip_prefix(b"g|") {
                    groups.insert(key.to_vec(), document);
                }
            }
            if next == b"0" {
                return Ok(groups);
            }
            cursor = next;
        }
    }

    fn since(&mut self, since: Revision, limit: Instant) -> Result<Since, Trouble> {
        let arguments = [layout::writer(since.epoch), since.number.to_string(), layout::writer(since.mark)];
        let answer = self.ask(Call::run(Operation::GroupsSince, self.key.clone(), arguments), limit)?;
        let said: Vec<Vec<u8>> = redis::from_redis_value(answer).map_err(|_| self.foreign())?;
        let said: Vec<&[u8]> = said.iter().map(Vec::as_slice).collect();
        let revision = |epoch, number, mark| self.revision(epoch, number, hexadecimal(mark).unwrap_or_default());
        match &said[..] {
            [b"none"] => Ok(Since::Nothing),
            [b"all", epoch, number, mark] => Ok(Since::Everything(revision(epoch, number, mark)?)),
            [b"since", epoch, number, mark, there, groups @ ..] => {
                let there = std::str::from_utf8(there).ok().and_then(|there| there.parse().ok());
                let changed = groups.chunks_exact(2).map(|group| {
                    let document = group[1].strip_prefix(b"=").map(<[u8]>::to_vec);
                    (group[0].to_vec(), document)
                });
                let there = there.ok_or_else(|| self.foreign())?;
                Ok(Since::Groups { revision: revision(epoch, number, mark)?, there, changed: changed.collect() })
            }
            _ => Err(self.foreign()),
        }
    }

    fn revision(&self, epoch: &[u8], number: &[u8], mark: u128) -> Result<Revision, Trouble> {
        let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        let (Some(epoch), Some(number)) = (hexadecimal(epoch), number) else { return Err(self.foreign()) };
        Ok(Revision { epoch, number, mark })
    }
}

impl Keeper for RedisGroups {
    fn changes(&mut self, since: Revision, limit: Instant) -> Result<Changes, Trouble> {
        match self.since(since, limit)? {
            Since::Nothing => Ok(Changes { complete: true, ..Changes::default() }),
            Since::Everything(revision) => self.all(revision, limit),
            Since::Groups { revision, changed, .. } => Ok(Changes { revision, complete: false, groups: changed }),
        }
    }

    fn write(&mut self, since: Revision, groups: &[Entry], limit: Instant) -> Result<Option<Revision>, Trouble> {
        let [epoch, mark] = [(); 2].map(|()| uuid::Uuid::new_v4().as_u128());
        let known = if since.epoch == 0 { String::new() } else { layout::writer(since.epoch) };
        let head =
            [known, since.number.to_string(), layout::writer(since.mark), layout::writer(epoch), layout::writer(mark)];
        let groups = groups.iter().flat_map(|(key, document)| {
            let document = document.as_ref().map(|document| [b"=", document.as_slice()].concat());
            [key.clone(), document.unwrap_or_default()]
        });
        let call =
            Call::run(Operation::GroupsPut, self.key.clone(), head.map(String::into_bytes).into_iter().chain(groups));
        let answer = self.ask(call, limit)?;
        let said: Vec<Vec<u8>> = redis::from_redis_value(answer).map_err(|_| self.foreign())?;
        match &said[..] {
            [] => Ok(None),
            [epoch, number] => self.revision(epoch, number, mark).map(Some),
            _ => Err(self.foreign()),
        }
    }
}

fn hexadecimal(text: &[u8]) -> Option<u128> {
    u128::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}
