//! A batch: changes that a shard takes together or not at all, and the bytes that the journal keeps of it.
//!
//! What was written to the journal is what is sent, by whoever sends it: a batch that comes back from its bytes is the
//! same batch.

use std::sync::Arc;

use tallymark_model::Family;

use super::GaugeValue;
use crate::record::{self, Reader, put_number};
use crate::series::Note;

/// The most numbers that a batch changes: more would hold up a server for milliseconds.
pub(crate) const MOST: usize = 512;

/// Changes to series of one shard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    pub(crate) writer: u128,
    pub(crate) shard: u32,
    pub(crate) epoch: u128,
    /// One more than that of the writer's last batch to this shard; the first has 1.
    pub(crate) sequence: u64,
    /// Whether the numbers start anew here: what lies between is lost, and this was said.
    pub(crate) rebase: bool,
    /// The definitions that the changes are about.
    pub(crate) families: Vec<Arc<Family>>,
    pub(crate) changes: Vec<Change>,
}

/// A change to one series, which is made if it is not there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// Its place among the batch's families.
    pub(crate) family: u32,
    /// Label values, in the order of the family's label names.
    pub(crate) labels: Vec<Box<str>>,
    /// When the writer has first seen it: seconds since the Unix epoch. The store keeps the earliest.
    pub(crate) created: f64,
    pub(crate) delta: Delta,
    /// Exemplars and infos, their stamps by the store's clock: the newest of a part stays.
    pub(crate) notes: Vec<Note>,
}

/// What changes in the numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Delta {
    /// Only that the series is used.
    Nothing,
    /// Whole increments, and the others. No whole one is greater than 2⁵³.
    Number { whole: u64, rest: f64 },
    /// Increments of counts by their index, and of the sum.
    Tally { counts: Vec<(u16, u64)>, sum: f64 },
    /// The writer's values, in the place of those it said before. Their `instance` is the writer's, and not said here.
    Gauge(Vec<GaugeValue>),
}

impl Change {
    /// How many numbers it changes.
    pub(crate) fn weight(&self) -> usize {
        let numbers = match &self.delta {
            Delta::Nothing => 0,
            Delta::Number { .. } => 1,
            Delta::Tally { counts, .. } => counts.len() + 1,
            Delta::Gauge(values) => values.len(),
        };
        1 + numbers + self.notes.len()
    }
}

impl Batch {
    /// The family of a change.
    pub(crate) fn family(&self, change: &Change) -> &Arc<Family> {
        &self.families[change.family as usize]
    }

    /// The batch as bytes for the journal.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.writer.to_le_bytes());
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        put_number(&mut bytes, u64::from(self.shard));
        put_number(&mut bytes, self.sequence);
        bytes.push(u8::from(self.rebase));
        record::put_length(&mut bytes, self.families.len());
        for family in &self.families {
            record::put_bytes(&mut bytes, &record::encode_family_key(family));
            record::put_bytes(&mut bytes, &record::encode_family_details(family));
        }
        record::put_length(&mut bytes, self.changes.len());
        self.changes.iter().for_each(|change| put_change(&mut bytes, change));
        bytes
    }

    /// The batch of these bytes; `None` if they are not [`encode`](Self::encode)'s.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Batch> {
        let mut reader = Reader(bytes);
        let writer = u128::from_le_bytes(reader.take(16)?.try_into().ok()?);
        let epoch = u128::from_le_bytes(reader.take(16)?.try_into().ok()?);
        let (shard, sequence) = (u32::try_from(reader.number()?).ok()?, reader.number()?);
        let rebase = reader.byte()? != 0;
        let count = reader.length()?;
        let families = (0..count)
            .map(|_| record::decode_family(reader.bytes()?, reader.bytes()?).map(Arc::new))
            .collect::<Option<Vec<_>>>()?;
        let count = reader.length()?;
        let changes = (0..count).map(|_| change(&mut reader)).collect::<Option<Vec<_>>>()?;
        let known = changes.iter().all(|change: &Change| (change.family as usize) < families.len());
        (known && reader.0.is_empty()).then_some(Batch { writer, shard, epoch, sequence, rebase, families, changes })
    }
}

fn put_change(bytes: &mut Vec<u8>, change: &Change) {
    put_number(bytes, u64::from(change.family));
    record::put_texts(bytes, &change.labels);
    put_number(bytes, change.created.to_bits());
    match &change.delta {
        Delta::Nothing => bytes.push(0),
        Delta::Number { whole, rest } => {
            bytes.push(1);
            put_number(bytes, *whole);
            put_number(bytes, rest.to_bits());
        }
        Delta::Tally { counts, sum } => {
            bytes.push(2);
            record::put_length(bytes, counts.len());
            for (index, count) in counts {
                put_number(bytes, u64::from(*index));
                put_number(bytes, *count);
            }
            put_number(bytes, sum.to_bits());
        }
        Delta::Gauge(values) => {
            bytes.push(3);
            put_gauge(bytes, values);
        }
    }
    record::put_length(bytes, change.notes.len());
    for note in &change.notes {
        put_number(bytes, u64::from(note.part));
        put_number(bytes, note.stamp);
        record::put_bytes(bytes, &note.bytes);
    }
}

fn change(reader: &mut Reader<'_>) -> Option<Change> {
    let family = u32::try_from(reader.number()?).ok()?;
    let labels = reader.texts()?.into_iter().map(String::into_boxed_str).collect();
    let created = reader.float()?;
    let delta = match reader.byte()? {
        0 => Delta::Nothing,
        1 => Delta::Number { whole: reader.number()?, rest: reader.float()? },
        2 => {
            let count = reader.length()?;
            let counts = (0..count)
                .map(|_| Some((u16::try_from(reader.number()?).ok()?, reader.number()?)))
                .collect::<Option<Vec<_>>>()?;
            Delta::Tally { counts, sum: reader.float()? }
        }
        3 => Delta::Gauge(gauge(reader)?),
        _ => return None,
    };
    let count = reader.length()?;
    let notes = (0..count)
        .map(|_| {
            let part = u16::try_from(reader.number()?).ok()?;
            Some(Note { part, stamp: reader.number()?, bytes: reader.bytes()?.to_vec() })
        })
        .collect::<Option<Vec<_>>>()?;
    Some(Change { family, labels, created, delta, notes })
}

/// Writes a gauge's values, without instances.
pub(crate) fn put_gauge(bytes: &mut Vec<u8>, values: &[GaugeValue]) {
    record::put_length(bytes, values.len());
    for value in values {
        put_number(bytes, u64::from(value.pid));
        put_number(bytes, value.value.to_bits());
        put_number(bytes, value.stamp);
        bytes.push(u8::from(value.live) | u8::from(value.kept) << 1);
    }
}

/// Reads what [`put_gauge`] wrote.
pub(crate) fn gauge(reader: &mut Reader<'_>) -> Option<Vec<GaugeValue>> {
    let count = reader.length()?;
    let one = |_| {
        let pid = u32::try_from(reader.number()?).ok()?;
        let (value, stamp, flags) = (reader.float()?, reader.number()?, reader.byte()?);
        Some(GaugeValue { instance: None, pid, value, stamp, live: flags & 1 != 0, kept: flags & 2 != 0 })
    };
    (0..count).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tallymark_model::Kind;

    #[test]
    fn a_batch_comes_back_from_its_bytes() {
        let counter = Family::builder(Kind::Counter, "hits", "Hits.").label_names(["path"]).build().unwrap();
        let gauge = Family::builder(Kind::Gauge, "depth", "").build().unwrap();
        let change = |family, labels: &[&str], delta| Change {
            family,
            labels: labels.iter().map(|label| Box::from(*label)).collect(),
            created: 1.5,
            delta,
            notes: vec![Note { part: 3, stamp: 7, bytes: b"note".to_vec() }],
        };
        let value = GaugeValue { instance: None, pid: 7, value: -0.5, stamp: 9, live: true, kept: false };
        let batch = Batch {
            writer: 1 << 100,
            shard: 3,
            epoch: 5,
            sequence: 9,
            rebase: true,
            families: vec![Arc::new(counter), Arc::new(gauge)],
            changes: vec![
                change(0, &["/"], Delta::Number { whole: 3, rest: 0.5 }),
                change(0, &["é"], Delta::Nothing),
                change(0, &["/b"], Delta::Tally { counts: vec![(0, 1), (9, 1 << 60)], sum: -1.5 }),
                change(1, &[], Delta::Gauge(vec![value])),
            ],
        };
        assert_eq!(Batch::decode(&batch.encode()), Some(batch));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            Batch::decode(&bytes);
        }
    }
}
