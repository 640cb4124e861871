//! Reading a store in steps that never hold up the server.
//!
//! A hash is read by `HSCAN`, which gives every field that was there from the beginning to the end at least once. A
//! series is one field, so it is whole; a gauge is a field for each writer. What cannot be read, because somebody has
//! edited it, is passed over.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{self, SendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use foldhash::fast::RandomState;
use redis::{Value, cmd};
use tallymark_cells::Shape;
use tallymark_model::{Family, Labels};

use super::super::{GaugeValue, HeldSeries, Removal, Stored, StoredValue, Trouble};
use super::layout::{self, ENDED, FORMAT, Numbers, Row};
use super::scripts::Call;
use super::{Redis, epoch_of};
use crate::family::shape;
use crate::record;

/// How many fields a step reads: a server with a million series gives them in a millisecond, of which others wait.
const STEP: usize = 1000;

/// How many steps may wait for being taken apart.
const AHEAD: usize = 4;

/// How often a store is read because a shard was lost meanwhile.
const ATTEMPTS: usize = 3;

/// What the store's own hash says to those that read.
#[derive(Default)]
pub(super) struct Look {
    /// `None` if there is no store yet.
    pub(super) shards: Option<u32>,
    /// The server's clock: microseconds since the Unix epoch.
    pub(super) now: u64,
    /// The writers' rows, as they are written and what they mean.
    pub(super) writers: HashMap<String, (String, Row)>,
}

/// A series as its fields have it.
pub(super) struct Found {
    pub(super) name: Arc<str>,
    pub(super) shard: usize,
    /// The id of its family.
    family: Option<u64>,
    /// What its name and its family mean, once that was needed.
    known: Option<(Shape, Arc<Labels>)>,
    /// What its own field says, until it is known what that means.
    text: String,
    numbers: Option<Numbers>,
    /// Writers and their values.
    pub(super) gauges: Vec<(Arc<str>, String)>,
    notes: Vec<(u16, String)>,
}

/// What the shards have.
#[derive(Default)]
pub(super) struct Fields {
    /// How many there are.
    shards: usize,
    families: HashMap<u64, Arc<Family>, RandomState>,
    /// Kept from one reading to the next, since most series were there before.
    pub(super) series: Vec<Found>,
    /// Their places by name.
    places: HashMap<Arc<str>, usize, RandomState>,
    /// The writers that have fields of gauges.
    pub(super) with_gauges: HashSet<Arc<str>>,
    /// Shard, writer, and the text with the number of its last batch.
    pub(super) sequences: Vec<(usize, String, String)>,
}

impl Look {
    fn lives(&self, writer: &str) -> bool {
        self.writers.get(writer).is_some_and(|(_, row)| row.until > self.now)
    }

    /// A writer's values of a gauge, with its host.
    pub(super) fn gauge_values(&self, writer: &str, text: &str) -> Vec<GaugeValue> {
        let mut values = layout::gauge_values(text);
        if writer != ENDED {
            let lives = self.lives(writer);
            let instance = self.writers.get(writer).and_then(|(_, row)| row.instance.clone());
            for value in &mut values {
                value.instance = instance.clone();
                value.live &= lives;
            }
        }
        values
    }
}

impl Found {
    fn new(name: Arc<str>, shard: usize) -> Found {
        let family = name.split_once('|').and_then(|(id, _)| u64::from_str_radix(id, 16).ok());
        let (gauges, notes) = (Vec::new(), Vec::new());
        Found { name, shard, family, known: None, text: String::new(), numbers: None, gauges, notes }
    }

    fn is_there(&self) -> bool {
        !(self.text.is_empty() && self.numbers.is_none() && self.gauges.is_empty() && self.notes.is_empty())
    }

    /// Takes what its own field says.
    fn take(&mut self, text: String) {
        match self.known {
            Some((shape, _)) => self.numbers = Numbers::parse(&text, shape),
            None => self.text = text,
        }
    }

    /// The series with what its fields say; `None` if they do not say it.
    fn stored(&mut self, families: &HashMap<u64, Arc<Family>, RandomState>, look: &Look) -> Option<HeldSeries> {
        let family = families.get(&self.family?)?;
        if self.known.is_none() {
            self.known = Some((shape(family), Arc::new(family.labels(&label_values(&self.name)?).ok()?)));
            let text = std::mem::take(&mut self.text);
            self.take(text);
        }
        let (_, labels) = self.known.as_ref()?;
        let numbers = self.numbers.take()?;
        let gauges = || self.gauges.iter().flat_map(|(writer, text)| look.gauge_values(writer, text)).collect();
        Some(HeldSeries {
            family: Arc::clone(family),
            labels: Arc::clone(labels),
            created: numbers.created,
            in_use: false,
            idle_since: numbers.used.saturating_mul(1000),
            value: numbers.total.map_or_else(|| StoredValue::Gauge(gauges()), StoredValue::Total),
            notes: self.notes.iter().filter_map(|(part, text)| layout::note(family, *part, text)).collect(),
        })
    }
}

impl Fields {
    /// Forgets what was read, but not which series there were.
    fn begin(&mut self, shards: usize) {
        if self.shards != shards {
            *self = Fields { shards, ..Fields::default() };
        }
        self.families.clear();
        self.with_gauges.clear();
        self.sequences.clear();
        for found in &mut self.series {
            found.text.clear();
            found.numbers = None;
            found.gauges.clear();
            found.notes.clear();
        }
    }

    fn take(&mut self, shard: usize, field: &str, value: String) {
        let Some((kind, rest)) = field.split_at_checked(2) else { return };
        match kind {
            // By what it says: one that somebody has spoilt is nobody's.
            "f|" => {
                let family = layout::family(&value);
                self.families.extend(family.map(|family| (record::family_id(&family), Arc::new(family))));
            }
            "w|" => self.sequences.push((shard, rest.to_owned(), value)),
            "s|" => {
                if let Some(place) = self.place(shard, rest) {
                    self.series[place].take(value);
                }
            }
            "g|" => {
                let Some((writer, name)) = rest.split_once('|') else { return };
                let Some(place) = self.place(shard, name) else { return };
                let writer = self.writer(writer);
                replace(&mut self.series[place].gauges, writer, value);
            }
            "n|" => {
                let Some((part, name)) = rest.split_once('|') else { return };
                if let (Ok(part), Some(place)) = (part.parse(), self.place(shard, name)) {
                    replace(&mut self.series[place].notes, part, value);
                }
            }
            _ => {}
        }
    }

    /// The place of the series of this name in a shard. One that belongs into another shard has none: it is left from
    /// before the store was made anew with more shards, and a part of its numbers is not to be shown as all of them.
    fn place(&mut self, shard: usize, name: &str) -> Option<usize> {
        if let Some(place) = self.places.get(name) {
            return Some(*place).filter(|place| self.series[*place].shard == shard);
        }
        if layout::shard(name, self.shards) != shard {
            return None;
        }
        let (name, place): (Arc<str>, _) = (name.into(), self.series.len());
        self.places.insert(Arc::clone(&name), place);
        self.series.push(Found::new(name, shard));
        Some(place)
    }

    fn writer(&mut self, writer: &str) -> Arc<str> {
        if let Some(known) = self.with_gauges.get(writer) {
            return Arc::clone(known);
        }
        let new: Arc<str> = writer.into();
        self.with_gauges.insert(Arc::clone(&new));
        new
    }

    /// The family of a series.
    pub(super) fn family(&self, found: &Found) -> Option<&Arc<Family>> {
        self.families.get(&found.family?)
    }

    /// The series that are there, in the order in which they are shown.
    fn stored(&mut self, look: &Look) -> Vec<HeldSeries> {
        let before = self.series.len();
        self.series.retain(Found::is_there);
        let (mut places, mut stored) = (Vec::with_capacity(before), Vec::with_capacity(before));
        for (place, found) in self.series.iter_mut().enumerate() {
            if let Some(series) = found.stored(&self.families, look) {
                places.push(place);
                stored.push(series);
            }
        }
        let is_in_order = stored.is_sorted_by(|one, next| one.order(next).is_le());
        if !is_in_order {
            let mut order: Vec<usize> = (0..stored.len()).collect();
            order.sort_unstable_by(|one, other| stored[*one].order(&stored[*other]));
            self.arrange(order.into_iter().map(|index| places[index]));
            stored.sort_unstable_by(HeldSeries::order);
        }
        if !is_in_order || self.series.len() != before {
            let places = self.series.iter().enumerate().map(|(place, found)| (Arc::clone(&found.name), place));
            self.places = places.collect();
        }
        stored
    }

    /// Puts the series at these places first, in this order: at the next reading they are found in it.
    fn arrange(&mut self, order: impl Iterator<Item = usize>) {
        let mut series: Vec<Option<Found>> = std::mem::take(&mut self.series).into_iter().map(Some).collect();
        self.series.extend(order.filter_map(|place| series[place].take()));
        self.series.extend(series.into_iter().flatten());
    }
}

impl Redis {
    /// Reads the store's own hash.
    pub(super) fn look(&mut self, limit: Instant) -> Result<Look, Trouble> {
        let key = self.prefix.clone();
        let head = cmd("HMGET").arg(&key).arg(&["format", "shards"]).take();
        let calls = [head, cmd("TIME")].map(|command| Call::Plain { key: key.clone(), command });
        let mut answers = self.call(&calls, limit).into_iter();
        let head: Vec<Option<String>> = self.meant(answers.next())?;
        let time: Vec<u64> = self.meant(answers.next())?;
        let now = match time[..] {
            [seconds, micros] => seconds.saturating_mul(1_000_000).saturating_add(micros),
            _ => 0,
        };
        let mut look = Look { now, ..Look::default() };
        match &head[..] {
            [Some(format), Some(shards)] if format == FORMAT => look.shards = Some(self.shards_by(shards)?),
            [Some(format), _] => return Err(self.newer(format)),
            _ => return Ok(look),
        }
        self.scan(&[key], Some("w|*"), limit, &mut |_, step| {
            for (field, text) in texts(step) {
                if let (Some(writer), Some(row)) = (field.strip_prefix("w|"), Row::parse(&text)) {
                    look.writers.insert(writer.to_owned(), (text, row));
                }
            }
        })?;
        Ok(look)
    }

    /// Gives `each` the fields and values of some hashes, step by step, with the place of the hash. All hashes take a step
    /// at a time.
    fn scan(
        &mut self,
        keys: &[String],
        pattern: Option<&str>,
        limit: Instant,
        each: &mut dyn FnMut(usize, Vec<Value>),
    ) -> Result<(), Trouble> {
        let mut open: Vec<(usize, String)> = (0..keys.len()).map(|key| (key, "0".to_owned())).collect();
        while !open.is_empty() {
            let step = |(key, cursor): &(usize, String)| {
                let mut command = cmd("HSCAN").arg(&keys[*key]).arg(cursor).arg("COUNT").arg(STEP).take();
                if let Some(pattern) = pattern {
                    command.arg("MATCH").arg(pattern);
                }
                Call::Plain { key: keys[*key].clone(), command }
            };
            let calls: Vec<Call> = open.iter().map(step).collect();
            let mut next = Vec::new();
            for ((key, _), answer) in open.into_iter().zip(self.call(&calls, limit)) {
                let answer = answer.map_err(|error| self.trouble(&error))?;
                let (cursor, fields) = step_of(answer).unwrap_or_default();
                each(key, fields);
                if !matches!(&*cursor, "" | "0") {
                    next.push((key, cursor));
                }
            }
            open = next;
        }
        Ok(())
    }

    pub(super) fn read_all(&mut self, limit: Instant) -> Result<Stored, Trouble> {
        for _ in 1..ATTEMPTS {
            if let (stored, true) = self.read_once(limit)? {
                return Ok(stored);
            }
        }
        Ok(self.read_once(limit)?.0)
    }

    /// Reads everything, and says whether the shards were the same ones at the end as at the beginning.
    fn read_once(&mut self, limit: Instant) -> Result<(Stored, bool), Trouble> {
        let look = self.look(limit)?;
        let mut stored = Stored { now: look.now.saturating_mul(1000), ..Stored::default() };
        let Some(count) = look.shards else { return Ok((stored, true)) };
        let keys = self.shard_keys(count);
        let before = self.epochs_as_they_are(&keys, limit)?;
        let mut fields = self.fields_now(&keys, limit)?;
        let same = before == self.epochs_as_they_are(&keys, limit)?;
        let mut users: HashMap<u64, u32> = HashMap::new();
        for (_, (_, row)) in look.writers.iter().filter(|(writer, _)| look.lives(writer)) {
            stored.processes = stored.processes.saturating_add(row.processes);
            for (family, more) in &row.users {
                let known = users.entry(*family).or_default();
                *known = known.saturating_add(*more);
            }
        }
        stored.users = users.into_iter().collect();
        stored.series = fields.stored(&look);
        if same {
            self.tidy(&look, &fields, &keys, limit);
        }
        self.fields = fields;
        Ok((stored, same))
    }

    /// What the shards have. One thread asks and hears, another takes apart what was heard.
    fn fields_now(&mut self, keys: &[String], limit: Instant) -> Result<Fields, Trouble> {
        let mut fields = std::mem::take(&mut self.fields);
        fields.begin(keys.len());
        let fields = Mutex::new(fields);
        let take = |(shard, step): (usize, Vec<Value>)| {
            let mut fields = fields.lock().unwrap_or_else(PoisonError::into_inner);
            texts(step).for_each(|(field, value)| fields.take(shard, &field, value));
        };
        std::thread::scope(|scope| {
            let (heard, steps) = mpsc::sync_channel(AHEAD);
            let taking = move || steps.into_iter().for_each(take);
            // Where no thread can be made nobody hears anything, and who asks takes it.
            let _ = std::thread::Builder::new().name("tallymark-read".to_owned()).spawn_scoped(scope, taking);
            self.scan(keys, None, limit, &mut |shard, step| {
                heard.send((shard, step)).unwrap_or_else(|SendError(step)| take(step));
            })
        })?;
        Ok(fields.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn epochs_as_they_are(&mut self, keys: &[String], limit: Instant) -> Result<Vec<Value>, Trouble> {
        let calls: Vec<Call> = keys.iter().cloned().map(epoch_of).collect();
        let answers: Result<Vec<Value>, _> = self.call(&calls, limit).into_iter().collect();
        answers.map_err(|error| self.trouble(&error))
    }

    /// The fields, by shard, of the series of a family that match.
    pub(super) fn matching(
        &mut self,
        removal: &Removal,
        keys: &[String],
        limit: Instant,
    ) -> Result<Vec<Vec<String>>, Trouble> {
        let pattern = format!("*|{:016x}|*", record::family_id(&removal.family));
        let mut fields: Vec<Vec<String>> = vec![Vec::new(); keys.len()];
        let wanted =
            |values: Vec<String>| removal.wanted.iter().all(|(place, value)| values.get(*place) == Some(value));
        self.scan(keys, Some(&pattern), limit, &mut |shard, step| {
            let matching = texts(step).map(|(field, _)| field);
            fields[shard].extend(matching.filter(|field| name_of(field).and_then(label_values).is_some_and(wanted)));
        })?;
        // A field that is given twice is removed once; the series themselves are last, so that a removal that is cut
        // short finds them again.
        fields.iter_mut().for_each(|fields| {
            fields.sort();
            fields.dedup();
        });
        Ok(fields)
    }
}

/// Every field that a series may have, itself last.
pub(super) fn fields_of(look: &Look, family: &Family, labels: &[Box<str>]) -> Vec<String> {
    let name = layout::series(record::family_id(family), labels);
    let parts = family.bounds().len().max(1);
    let mut fields: Vec<String> = (0..parts).map(|part| format!("n|{part}|{name}")).collect();
    if matches!(shape(family), Shape::Gauge(_)) {
        let writers = look.writers.keys().map(String::as_str).chain([ENDED]);
        fields.extend(writers.map(|writer| format!("g|{writer}|{name}")));
    }
    fields.push(format!("s|{name}"));
    fields
}

/// The name of the series that a field is about.
fn name_of(field: &str) -> Option<&str> {
    match field.split_once('|')? {
        ("s", name) => Some(name),
        ("g" | "n", rest) => rest.split_once('|').map(|(_, name)| name),
        _ => None,
    }
}

/// The label values in a series' name.
fn label_values(name: &str) -> Option<Vec<String>> {
    serde_json::from_str(name.split_once('|')?.1).ok()
}

fn replace<K: PartialEq>(pairs: &mut Vec<(K, String)>, key: K, value: String) {
    match pairs.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value,
        None => pairs.push((key, value)),
    }
}

/// The cursor for the next step, and what this one gave.
fn step_of(answer: Value) -> Option<(String, Vec<Value>)> {
    let Value::Array(parts) = answer else { return None };
    let mut parts = parts.into_iter();
    match (parts.next().and_then(bulk), parts.next()) {
        (Some(cursor), Some(Value::Array(fields))) => Some((cursor, fields)),
        _ => None,
    }
}

/// The fields and values of a step that are texts.
fn texts(step: Vec<Value>) -> impl Iterator<Item = (String, String)> {
    let mut step = step.into_iter().map(bulk);
    std::iter::from_fn(move || Some((step.next()?, step.next()?))).filter_map(|(field, value)| Some((field?, value?)))
}

fn bulk(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}
