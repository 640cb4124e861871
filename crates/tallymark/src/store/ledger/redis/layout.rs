//! What keys, fields and values look like: texts that a person can read in `redis-cli`.
//!
//! `docs/stores/redis.md` is the same for people, and for programs in other languages. Nothing here asks a server;
//! any text is read without a panic.

use std::sync::Arc;

use serde_json::{Value, json};
use tallymark_cells::file::Total;
use tallymark_cells::{ExactSum, Shape};
use tallymark_model::{Family, GaugeMode, Kind};

use super::super::{Batch, Change, Delta, GaugeValue, Hello, Removal};
use crate::family::shape;
use crate::record;
use crate::series::Note;

/// The format of everything under a prefix. It changes when an older version would misread what a newer one writes.
pub(super) const FORMAT: &str = "1";

/// The writer that has what is kept of gauges of writers that have ended.
pub(super) const ENDED: &str = "ended";

/// What names a series in a store: the id of its family and its label values.
pub(super) fn series(family: u64, labels: &[Box<str>]) -> String {
    format!("{family:016x}|{}", json!(labels))
}

/// The shard of the series with this name.
pub(super) fn shard(name: &str, shards: usize) -> usize {
    // CAST: usize has 64 bits at the most, and the rest is less than the number of shards.
    (record::fnv(name.as_bytes()) % shards as u64) as usize
}

/// A number as text that gives the same number again.
fn float(value: f64) -> String {
    format!("{value:?}").to_lowercase()
}

pub(super) fn writer(writer: u128) -> String {
    format!("{writer:032x}")
}

/// The arguments of `apply`.
pub(super) fn batch(batch: &Batch) -> Vec<String> {
    let ids: Vec<u64> = batch.families.iter().map(|family| record::family_id(family)).collect();
    let mut lists = Lists::default();
    for (id, family) in ids.iter().zip(&batch.families) {
        lists.families.push([format!("{id:016x}"), family_text(family)]);
    }
    for change in &batch.changes {
        lists.take(batch, change, series(ids[change.family as usize], &change.labels));
    }
    let rebase = if batch.rebase { "rebase" } else { "" };
    let mut arguments = vec![writer(batch.epoch), writer(batch.writer), batch.sequence.to_string(), rebase.to_owned()];
    put(&mut arguments, lists.families);
    put(&mut arguments, lists.numbers);
    put(&mut arguments, lists.tallies);
    put(&mut arguments, lists.gauges);
    put(&mut arguments, lists.notes);
    arguments
}

#[derive(Default)]
struct Lists {
    families: Vec<[String; 2]>,
    numbers: Vec<[String; 4]>,
    tallies: Vec<[String; 5]>,
    gauges: Vec<[String; 3]>,
    notes: Vec<[String; 3]>,
}

impl Lists {
    /// A series that is only used is made with zeros.
    fn take(&mut self, batch: &Batch, change: &Change, name: String) {
        let family = batch.family(change);
        for note in &change.notes {
            let text = note_text(family, &note.bytes);
            self.notes.push([format!("{}|{name}", note.part), note.stamp.to_string(), text]);
        }
        let created = float(if change.created.is_finite() { change.created } else { 0.0 });
        match (shape(family), &change.delta) {
            (Shape::Number, Delta::Number { whole, rest }) => {
                self.numbers.push([name, created, whole.to_string(), float(*rest)]);
            }
            (Shape::Number, _) => self.numbers.push([name, created, "0".to_owned(), float(0.0)]),
            (Shape::Tally { counts: length }, Delta::Tally { counts, sum }) => {
                let counts: Vec<String> = counts.iter().map(|(index, count)| format!("{index}={count}")).collect();
                self.tallies.push([name, created, length.to_string(), float(*sum), counts.join(" ")]);
            }
            (Shape::Tally { counts: length }, _) => {
                self.tallies.push([name, created, length.to_string(), float(0.0), String::new()]);
            }
            (_, Delta::Gauge(values)) => {
                self.gauges.push([name, created, format!("={}", gauge_text(batch.sequence, values))]);
            }
            _ => self.gauges.push([name, created, String::new()]),
        }
    }
}

/// A list with its length before it.
fn put<const WIDTH: usize>(arguments: &mut Vec<String>, list: Vec<[String; WIDTH]>) {
    arguments.push(list.len().to_string());
    arguments.extend(list.into_iter().flatten());
}

/// What a series' own field says: when it was created and last used, and its numbers.
pub(super) struct Numbers {
    pub(super) created: f64,
    /// Microseconds since the Unix epoch.
    pub(super) used: u64,
    /// `None` for gauges, which have theirs by writer.
    pub(super) total: Option<Total>,
}

impl Numbers {
    /// What the text says, if it is one of this shape.
    pub(super) fn parse(text: &str, shape: Shape) -> Option<Numbers> {
        let mut parts = text.splitn(3, ' ');
        let (created, used) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let total = match shape {
            Shape::Gauge(_) => None,
            shape => Some(total(parts.next()?, shape)?),
        };
        Some(Numbers { created, used, total })
    }
}

fn total(text: &str, shape: Shape) -> Option<Total> {
    let (first, second) = text.split_once(' ')?;
    match shape {
        Shape::Number => Some(Total::Number { whole: whole(first)?, rest: sum(second)? }),
        Shape::Tally { counts: length } => {
            let counts = second.split(',').map(whole).collect::<Option<Box<[u64]>>>()?;
            (counts.len() == length).then_some(Total::Tally { counts, sum: sum(first)? })
        }
        _ => None,
    }
}

/// A count; one that has grown beyond 64 bits is the greatest there is.
fn whole(text: &str) -> Option<u64> {
    text.parse().or_else(|_| text.parse::<u128>().map(|_| u64::MAX)).ok()
}

/// A float, or two with a comma between.
fn sum(text: &str) -> Option<ExactSum> {
    let mut sum = ExactSum::default();
    for term in text.split(',') {
        sum.add(term.parse().ok()?);
    }
    Some(sum)
}

/// A writer's values of a gauge: the number of the batch that brought them, then process by process.
pub(super) fn gauge_text(sequence: u64, values: &[GaugeValue]) -> String {
    if values.is_empty() {
        return String::new();
    }
    let values = values.iter().map(|value| {
        let state = if value.kept {
            "kept"
        } else if value.live {
            "live"
        } else {
            "ended"
        };
        let mut parts = vec![json!(value.pid), json!(float(value.value)), json!(value.stamp), json!(state)];
        parts.extend(value.instance.as_deref().map(|instance| json!(instance)));
        Value::Array(parts)
    });
    Value::Array([json!(sequence)].into_iter().chain(values).collect()).to_string()
}

/// The values of [`gauge_text`]; those that cannot be read are left out.
pub(super) fn gauge_values(text: &str) -> Vec<GaugeValue> {
    let Ok(Value::Array(values)) = serde_json::from_str(text) else { return Vec::new() };
    values.iter().skip(1).filter_map(gauge_value).collect()
}

fn gauge_value(value: &Value) -> Option<GaugeValue> {
    let state = value.get(3)?.as_str()?;
    Some(GaugeValue {
        instance: value.get(4).and_then(Value::as_str).map(Arc::from),
        pid: value.get(0)?.as_u64()?.try_into().ok()?,
        value: value.get(1)?.as_str()?.parse().ok()?,
        stamp: value.get(2)?.as_u64()?,
        live: state == "live",
        kept: state == "kept",
    })
}

/// A definition, as JSON.
pub(super) fn family_text(family: &Family) -> String {
    let bounds: Vec<String> = family.bounds().iter().copied().map(float).collect();
    json!({
        "name": family.name(),
        "type": family.kind().as_str(),
        "help": family.help(),
        "unit": family.unit(),
        "labels": family.label_names(),
        "bounds": bounds,
        "states": family.states(),
        "mode": family.mode().as_str(),
    })
    .to_string()
}

/// The definition of a text of [`family_text`].
pub(super) fn family(text: &str) -> Option<Family> {
    family_of(&serde_json::from_str(text).ok()?)
}

fn family_of(value: &Value) -> Option<Family> {
    let text = |name: &str| value.get(name)?.as_str();
    let texts = |name: &str| strings(value.get(name)?);
    let kind = Kind::parse(text("type")?)?;
    let mode: GaugeMode = text("mode")?.parse().ok()?;
    let builder = record::builder(kind, text("name")?.to_owned(), text("help")?.to_owned())
        .unit(text("unit")?)
        .label_names(texts("labels")?);
    let builder = builder.states(texts("states")?).mode(mode);
    let bounds: Vec<f64> = texts("bounds")?.iter().map(|bound| bound.parse().ok()).collect::<Option<_>>()?;
    if bounds.is_empty() { builder.build().ok() } else { builder.bounds(bounds).build().ok() }
}

pub(super) fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|value| Some(value.as_str()?.to_owned())).collect()
}

/// What a note says, as JSON; in hexadecimal if it says nothing that this version knows.
fn note_text(family: &Family, bytes: &[u8]) -> String {
    let readable = if family.kind() == Kind::Info {
        record::decode_pairs(bytes).map(|pairs| json!(pairs))
    } else {
        record::decode_exemplar(bytes).map(|exemplar| {
            let time = exemplar.timestamp.map(|time| float(time.seconds()));
            json!({"value": float(exemplar.value), "time": time, "labels": exemplar.labels})
        })
    };
    let exact = readable.filter(|value| note_bytes(family, value).is_some_and(|again| again == bytes));
    exact.unwrap_or_else(|| Value::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect())).to_string()
}

/// A note of a text that `apply` wrote: its stamp, and what it says.
pub(super) fn note(family: &Family, part: u16, text: &str) -> Option<Note> {
    let (stamp, says) = text.split_once(' ')?;
    let bytes = note_bytes(family, &serde_json::from_str(says).ok()?)?;
    Some(Note { part, stamp: stamp.parse().ok()?, bytes })
}

fn note_bytes(family: &Family, value: &Value) -> Option<Vec<u8>> {
    if let Some(digits) = value.as_str() {
        let byte = |place| u8::from_str_radix(digits.get(place..place + 2)?, 16).ok();
        return (0..digits.len()).step_by(2).map(byte).collect();
    }
    if family.kind() == Kind::Info {
        return Some(record::encode_pairs(&pairs(value)?));
    }
    let time = value.get("time")?.as_str().map(str::parse).transpose().ok()?;
    Some(record::encode_exemplar(&tallymark_model::Exemplar {
        labels: pairs(value.get("labels")?)?,
        value: value.get("value")?.as_str()?.parse().ok()?,
        timestamp: time.map(|time: f64| time.into()),
    }))
}

fn pairs(value: &Value) -> Option<Vec<(String, String)>> {
    let pair = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.as_str()?.to_owned()));
    value.as_array()?.iter().map(pair).collect()
}

/// What a writer says about itself, without the beginning that the server writes: the moments by its own clock.
pub(super) fn row_rest(hello: &Hello<'_>) -> String {
    let users: serde_json::Map<String, Value> =
        hello.users.iter().map(|(family, users)| (format!("{family:016x}"), json!(users))).collect();
    let users = Value::Object(users);
    format!("\"instance\":{},\"processes\":{},\"users\":{users}}}", json!(hello.instance), hello.processes)
}

/// A writer, as the store knows it. Moments are microseconds since the Unix epoch.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) seen: u64,
    /// When the lease ends; 0 after a farewell.
    pub(super) until: u64,
    /// Whether its gauges are already among those that are kept.
    pub(super) folded: bool,
    pub(super) instance: Option<Arc<str>>,
    pub(super) processes: u64,
    pub(super) users: Vec<(u64, u32)>,
}

impl Row {
    pub(super) fn parse(text: &str) -> Option<Row> {
        let value: Value = serde_json::from_str(text).ok()?;
        let number = |name: &str| value.get(name)?.as_u64();
        let user = |(family, users): (&String, &Value)| {
            Some((u64::from_str_radix(family, 16).ok()?, users.as_u64()?.try_into().ok()?))
        };
        let users = value.get("users").and_then(Value::as_object).into_iter().flatten();
        Some(Row {
            seen: number("seen")?,
            until: number("until")?,
            folded: value.get("folded") == Some(&Value::Bool(true)),
            instance: value.get("instance").and_then(Value::as_str).map(Arc::from),
            processes: number("processes").unwrap_or(0),
            users: users.filter_map(user).collect(),
        })
    }

    /// The text of a row, with the mark that its gauges are folded.
    pub(super) fn folded_text(text: &str) -> String {
        text.replacen('{', "{\"folded\":true,", 1)
    }
}

/// What was removed, for the other writers.
pub(super) fn removal_text(removal: &Removal) -> String {
    let family: Value = serde_json::from_str(&family_text(&removal.family)).unwrap_or_default();
    json!({"family": family, "values": removal.wanted}).to_string()
}

/// A removal, as `note` keeps it.
pub(super) fn removal(text: &str) -> Option<Removal> {
    let mut parts = text.splitn(3, ' ');
    let (writer, id) = (u128::from_str_radix(parts.next()?, 16).ok()?, parts.next()?.parse().ok()?);
    let value: Value = serde_json::from_str(parts.next()?).ok()?;
    let place = |pair: &Value| Some((usize::try_from(pair.get(0)?.as_u64()?).ok()?, pair.get(1)?.as_str()?.to_owned()));
    Some(Removal {
        writer,
        id,
        family: Arc::new(family_of(value.get("family")?)?),
        wanted: value.get("values")?.as_array()?.iter().map(place).collect::<Option<_>>()?,
    })
}
