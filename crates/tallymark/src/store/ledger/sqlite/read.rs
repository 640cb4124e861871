//! Reading everything, as it is at one moment: each table once, in the order of the series.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Row, Rows, Transaction, ffi};
use tallymark_cells::file::Total;
use tallymark_cells::{ExactSum, Shape};
use tallymark_model::{Exemplar, Family, Kind, Labels};

use super::writers::{self, ENDED, Known};
use super::{json, rows};
use crate::family::shape;
use crate::record;
use crate::series::Note;
use crate::store::ledger::{GaugeValue, HeldSeries, Stored, StoredValue};

/// How many series are read between two looks at the clock.
const STRIDE: usize = 1024;

pub(super) fn read(store: &Transaction<'_>, limit: Instant) -> rusqlite::Result<Stored> {
    let now = rows::now(rows::store(store)?.map_or(0, |(_, clock)| clock));
    let families = families(store)?;
    let (writers, living) = writers::all(store, now)?;
    let mut counts = store.prepare("SELECT series, bucket, count FROM bucket_counts ORDER BY series")?;
    let mut gauges =
        store.prepare(&format!("SELECT series, {} FROM gauge_values ORDER BY series, writer, place", rows::GAUGE))?;
    let mut notes =
        store.prepare("SELECT series, part, stamp, labels, value, time FROM notes ORDER BY series, part")?;
    let mut parts = Parts {
        writers: &writers,
        counts: Beside::new(counts.query([])?, |row| Some((row.get("bucket").ok()?, row.get("count").ok()?)))?,
        gauges: Beside::new(gauges.query([])?, rows::gauge)?,
        notes: Beside::new(notes.query([])?, NoteRow::of)?,
    };
    let mut all =
        store.prepare("SELECT id, family, labels, created, used, whole, sum, sum_low FROM series ORDER BY id")?;
    let mut rows = all.query([])?;
    let mut series = Vec::new();
    let mut seen = 0;
    while let Some(row) = rows.next()? {
        seen += 1;
        if seen % STRIDE == 0 && Instant::now() > limit {
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None));
        }
        series.extend(parts.series(row, &families)?);
    }
    Ok(Stored { series, users: living.users.into_iter().collect(), processes: living.processes, now })
}

fn families(store: &Transaction<'_>) -> rusqlite::Result<HashMap<i64, Arc<Family>>> {
    let mut all = store.prepare(&format!("SELECT id, {} FROM families", rows::FAMILY))?;
    let found = all.query_map([], |row| Ok((row.get("id")?, rows::family(row))))?;
    let found = found.collect::<rusqlite::Result<Vec<(i64, Option<Family>)>>>()?;
    Ok(found.into_iter().filter_map(|(id, family)| Some((id, Arc::new(family?)))).collect())
}

/// A table that is read beside the series, in their order.
struct Beside<'a, T> {
    rows: Rows<'a>,
    decode: fn(&Row<'_>) -> Option<T>,
    /// The row that was read and not asked for yet, and whose it is.
    next: Option<(i64, Option<T>)>,
}

impl<'a, T> Beside<'a, T> {
    fn new(rows: Rows<'a>, decode: fn(&Row<'_>) -> Option<T>) -> rusqlite::Result<Beside<'a, T>> {
        let mut beside = Beside { rows, decode, next: None };
        beside.step()?;
        Ok(beside)
    }

    fn step(&mut self) -> rusqlite::Result<()> {
        let row = self.rows.next()?;
        self.next = row.map(|row| Ok::<_, rusqlite::Error>((row.get("series")?, (self.decode)(row)))).transpose()?;
        Ok(())
    }

    /// The rows of a series. Those that say nothing possible, or are of no series, are passed over.
    fn of(&mut self, series: i64, mut take: impl FnMut(T)) -> rusqlite::Result<()> {
        while let Some((whose, row)) = self.next.take_if(|(whose, _)| *whose <= series) {
            row.filter(|_| whose == series).into_iter().for_each(&mut take);
            self.step()?;
        }
        Ok(())
    }
}

/// What series have in tables of their own.
struct Parts<'a> {
    writers: &'a BTreeMap<i64, Known>,
    counts: Beside<'a, (u16, i64)>,
    gauges: Beside<'a, rows::GaugeRow>,
    notes: Beside<'a, NoteRow>,
}

impl Parts<'_> {
    fn series(&mut self, row: &Row<'_>, families: &HashMap<i64, Arc<Family>>) -> rusqlite::Result<Option<HeldSeries>> {
        let id: i64 = row.get("id")?;
        let family = row.get("family").ok().and_then(|family: i64| families.get(&family));
        let Some((family, labels)) = family.and_then(|family| Some((family, labels(family, row)?))) else {
            return Ok(None);
        };
        let sum = || {
            let mut sum = ExactSum::default();
            sum.add(rows::number(row, "sum")?);
            sum.add(rows::number(row, "sum_low")?);
            Some(sum)
        };
        let value = match shape(family) {
            Shape::Number => row
                .get("whole")
                .ok()
                .zip(sum())
                .map(|(whole, rest)| StoredValue::Total(Total::Number { whole: rows::unsigned(whole), rest })),
            Shape::Tally { counts: length } => {
                let counts = self.counts(id, length)?;
                sum().map(|sum| StoredValue::Total(Total::Tally { counts, sum }))
            }
            Shape::Gauge(_) => Some(StoredValue::Gauge(self.gauges(id)?)),
            Shape::Image { .. } => None,
        };
        let mut notes = Vec::new();
        self.notes.of(id, |note| notes.push(note.note(family.kind())))?;
        let created = row.get("created").unwrap_or_default();
        let idle_since = rows::unsigned(row.get("used").unwrap_or_default());
        let family = Arc::clone(family);
        Ok(value.map(|value| HeldSeries { family, labels, created, value, notes, in_use: false, idle_since }))
    }

    fn counts(&mut self, series: i64, length: usize) -> rusqlite::Result<Box<[u64]>> {
        let mut counts = vec![0; length].into_boxed_slice();
        self.counts.of(series, |(bucket, count)| {
            counts.get_mut(usize::from(bucket)).into_iter().for_each(|known| *known = rows::unsigned(count));
        })?;
        Ok(counts)
    }

    fn gauges(&mut self, series: i64) -> rusqlite::Result<Vec<GaugeValue>> {
        let mut values = Vec::new();
        self.gauges.of(series, |row| {
            let writer = self.writers.get(&row.writer);
            let instance = match writer {
                Some(writer) => Some(Arc::clone(&writer.instance)),
                None => row.instance.filter(|_| row.writer == ENDED).map(Arc::from),
            };
            let live = row.value.live && writer.is_some_and(|writer| writer.live);
            values.push(GaugeValue { instance, live, ..row.value });
        })?;
        Ok(values)
    }
}

/// The label values, if the names are the family's.
fn labels(family: &Family, row: &Row<'_>) -> Option<Arc<Labels>> {
    let pairs = json::read_object(row.get_ref("labels").ok()?.as_str().ok()?)?;
    let same = pairs.iter().map(|(name, _)| &**name).eq(family.label_names().iter().map(|name| &**name));
    let values: Vec<String> = pairs.into_iter().map(|(_, value)| value).collect();
    same.then(|| family.labels(&values).ok().map(Arc::new))?
}

/// A note as it stands in a row.
struct NoteRow {
    part: u16,
    stamp: u64,
    labels: Vec<(String, String)>,
    value: f64,
    time: Option<f64>,
}

impl NoteRow {
    fn of(row: &Row<'_>) -> Option<NoteRow> {
        Some(NoteRow {
            part: row.get("part").ok()?,
            stamp: rows::unsigned(row.get("stamp").ok()?),
            labels: json::read_object(row.get_ref("labels").ok()?.as_str().ok()?)?,
            value: rows::number(row, "value")?,
            time: row.get("time").ok()?,
        })
    }

    fn note(self, kind: Kind) -> Note {
        let bytes = if kind == Kind::Info {
            record::encode_pairs(&self.labels)
        } else {
            let timestamp = self.time.map(Into::into);
            record::encode_exemplar(&Exemplar { labels: self.labels, value: self.value, timestamp })
        };
        Note { part: self.part, stamp: self.stamp, bytes }
    }
}
