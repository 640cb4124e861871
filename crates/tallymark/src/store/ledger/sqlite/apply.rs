//! Changes to series: a batch is added, a removal takes series away. Each in a transaction of its own.

use rusqlite::{OptionalExtension, Transaction, params};
use tallymark_cells::{ExactSum, Shape};
use tallymark_model::{Family, Kind};

use super::{json, rows};
use crate::family::shape;
use crate::record;
use crate::series::Note;
use crate::store::ledger::{Answer, Batch, Change, Delta, GaugeValue, Removal};

/// How many removals are kept for those who have not heard of them.
const REMOVALS: i64 = 1000;

/// Takes a batch, if it is the one that comes next.
pub(super) fn apply(store: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<Answer> {
    let Some((epoch, clock)) = rows::store(store)? else { return Ok(Answer::OtherEpoch) };
    if epoch != batch.epoch {
        return Ok(Answer::OtherEpoch);
    }
    let uuid = rows::uuid(batch.writer);
    let last: Option<Option<i64>> = store
        .prepare_cached("SELECT sequence FROM writers WHERE uuid = ?")?
        .query_row([&uuid], |row| row.get(0))
        .optional()?;
    let last = last.flatten().map(rows::unsigned);
    match last {
        Some(last) if batch.sequence <= last => return Ok(Answer::Old(last)),
        _ if batch.sequence == last.unwrap_or(0) + 1 || batch.rebase => {}
        _ => return Ok(Answer::Gap(last)),
    }
    let now = rows::now(clock);
    rows::set_clock(store, now)?;
    // A writer that has not greeted has no lease, and nobody knows its host.
    let writer = store
        .prepare_cached(
            "INSERT INTO writers (uuid, sequence, lease_ends, processes, users) VALUES (?1, ?2, ?3, 0, '{}')
             ON CONFLICT (uuid) DO UPDATE SET sequence = excluded.sequence RETURNING id",
        )?
        .query_row(params![uuid, rows::signed(batch.sequence), rows::signed(now)], |row| row.get(0))?;
    Applying { store, writer, now }.all(batch)?;
    Ok(Answer::Applied)
}

/// A batch being added.
struct Applying<'a> {
    store: &'a Transaction<'a>,
    writer: i64,
    now: u64,
}

/// The numbers in a series' own row.
#[derive(Clone, Copy, Default)]
struct Numbers {
    whole: u64,
    sum: f64,
    sum_low: f64,
}

impl Applying<'_> {
    fn all(&self, batch: &Batch) -> rusqlite::Result<()> {
        let families = batch.families.iter().map(|family| rows::family_row(self.store, family));
        let families = families.collect::<rusqlite::Result<Vec<i64>>>()?;
        batch
            .changes
            .iter()
            .try_for_each(|change| self.one(batch.family(change), families[change.family as usize], change))
    }

    fn one(&self, family: &Family, family_row: i64, change: &Change) -> rusqlite::Result<()> {
        let series = self.series(family, family_row, change)?;
        match (shape(family), &change.delta) {
            (Shape::Tally { counts: length }, Delta::Tally { counts, .. }) => {
                let counts = counts.iter().filter(|(bucket, count)| usize::from(*bucket) < length && *count > 0);
                counts.into_iter().try_for_each(|(bucket, count)| self.count(series, *bucket, *count))?;
            }
            (Shape::Gauge(_), Delta::Gauge(values)) => self.gauge(series, values)?,
            _ => {}
        }
        change.notes.iter().try_for_each(|note| self.note(family, series, note))
    }

    /// Finds the series' row, or makes it, and adds what is kept there.
    fn series(&self, family: &Family, family_row: i64, change: &Change) -> rusqlite::Result<i64> {
        let labels = labels(family, &change.labels);
        let found = self
            .store
            .prepare_cached("SELECT id, created, whole, sum, sum_low FROM series WHERE family = ? AND labels = ?")?
            .query_row(params![family_row, labels], |row| {
                // A number that somebody made something else of starts again.
                let whole = rows::unsigned(row.get("whole").unwrap_or_default());
                let sum = rows::number(row, "sum").unwrap_or_default();
                let numbers = Numbers { whole, sum, sum_low: row.get("sum_low").unwrap_or_default() };
                Ok((row.get::<_, i64>("id")?, row.get("created").unwrap_or_default(), numbers))
            })
            .optional()?;
        let (id, created, mut numbers) = match found {
            Some((id, created, numbers)) => (Some(id), earliest(created, change.created), numbers),
            None => (None, earliest(0.0, change.created), Numbers::default()),
        };
        match (shape(family), &change.delta) {
            (Shape::Number, Delta::Number { whole, rest }) => numbers.add(*whole, *rest),
            (Shape::Tally { .. }, Delta::Tally { sum, .. }) => numbers.add(0, *sum),
            _ => {}
        }
        let (used, whole) = (rows::signed(self.now), rows::signed(numbers.whole));
        let Some(id) = id else {
            return self
                .store
                .prepare_cached(
                    "INSERT INTO series (family, labels, created, used, whole, sum, sum_low) VALUES (?, ?, ?, ?, ?, ?, ?)",
                )?
                .insert(params![family_row, labels, created, used, whole, numbers.sum, numbers.sum_low]);
        };
        self.store
            .prepare_cached("UPDATE series SET created = ?, used = ?, whole = ?, sum = ?, sum_low = ? WHERE id = ?")?
            .execute(params![created, used, whole, numbers.sum, numbers.sum_low, id])?;
        Ok(id)
    }

    fn count(&self, series: i64, bucket: u16, count: u64) -> rusqlite::Result<()> {
        // Where `+` would make it a float, it stops: nobody observes as often.
        self.store
            .prepare_cached(
                "INSERT INTO bucket_counts (series, bucket, count) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET count = CASE
                     WHEN count > 9223372036854775807 - excluded.count THEN 9223372036854775807
                     ELSE count + excluded.count
                 END",
            )?
            .execute(params![series, bucket, rows::signed(count)])
            .map(drop)
    }

    fn gauge(&self, series: i64, values: &[GaugeValue]) -> rusqlite::Result<()> {
        self.store
            .prepare_cached("DELETE FROM gauge_values WHERE series = ? AND writer = ?")?
            .execute([series, self.writer])?;
        insert_gauges(self.store, series, self.writer, values)
    }

    /// Keeps a note, if it is the newest of its part. One that cannot be read is not kept.
    fn note(&self, family: &Family, series: i64, note: &Note) -> rusqlite::Result<()> {
        let (labels, value, time) = if family.kind() == Kind::Info {
            let Some(facts) = record::decode_pairs(&note.bytes) else { return Ok(()) };
            (facts, None, None)
        } else {
            let Some(exemplar) = record::decode_exemplar(&note.bytes) else { return Ok(()) };
            (exemplar.labels, Some(exemplar.value), exemplar.timestamp.map(|time| time.seconds()))
        };
        self.store
            .prepare_cached(
                "INSERT INTO notes (series, part, stamp, labels, value, time) VALUES (?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET
                     stamp = excluded.stamp, labels = excluded.labels, value = excluded.value, time = excluded.time
                 WHERE excluded.stamp >= stamp",
            )?
            .execute(params![series, note.part, rows::signed(note.stamp), json::write_object(labels), value, time])
            .map(drop)
    }
}

impl Numbers {
    /// Adds, and rounds nothing away: what `sum` cannot hold goes to `sum_low`, what `whole` cannot hold to `sum`.
    fn add(&mut self, whole: u64, rest: f64) {
        let mut exact = ExactSum::default();
        [self.sum, self.sum_low, rest].iter().for_each(|term| exact.add(*term));
        let total = u128::from(self.whole) + u128::from(whole);
        let kept = if total > i64::MAX as u128 { total % (1 << 53) } else { total };
        // CAST: below 2⁶³; and a multiple of 2⁵³ below 2⁶⁵ is a float.
        self.whole = kept as u64;
        exact.add((total - kept) as f64);
        self.sum = exact.value();
        self.sum_low = 0.0;
        if self.sum.is_finite() {
            exact.add(-self.sum);
            self.sum_low = exact.value();
        }
    }
}

/// Of two times of creation the earlier one, where they say any.
fn earliest(one: f64, other: f64) -> f64 {
    [one, other].into_iter().filter(|time| time.is_finite() && *time > 0.0).reduce(f64::min).unwrap_or(0.0)
}

fn labels(family: &Family, values: &[Box<str>]) -> String {
    json::write_object(family.label_names().iter().zip(values))
}

/// Writes values of a gauge, where a writer has none.
pub(super) fn insert_gauges(
    store: &Transaction<'_>,
    series: i64,
    writer: i64,
    values: &[GaugeValue],
) -> rusqlite::Result<()> {
    let mut insert = store.prepare_cached(
        "INSERT INTO gauge_values (series, writer, place, instance, pid, value, stamp, live, kept)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    (0_i64..).zip(values).try_for_each(|(place, value)| {
        let (instance, stamp) = (value.instance.as_deref(), rows::signed(value.stamp));
        let values = params![series, writer, place, instance, value.pid, value.value, stamp, value.live, value.kept];
        insert.execute(values).map(drop)
    })
}

/// Removes series, unless that removal was made before.
pub(super) fn remove(store: &Transaction<'_>, removal: &Removal) -> rusqlite::Result<()> {
    let family = rows::family_row(store, &removal.family)?;
    // CAST: bits go and come back; `writers` reads it so.
    let id = removal.id as i64;
    let is_new = store
        .prepare_cached("INSERT OR IGNORE INTO removals (writer, id, family, wanted) VALUES (?, ?, ?, ?)")?
        .execute(params![rows::uuid(removal.writer), id, family, json::write(&removal.wanted)])?;
    if is_new == 0 {
        return Ok(());
    }
    store
        .prepare_cached("DELETE FROM removals WHERE number <= (SELECT max(number) FROM removals) - ?")?
        .execute([REMOVALS])?;
    match all_values(removal) {
        Some(values) => store
            .prepare_cached("DELETE FROM series WHERE family = ? AND labels = ?")?
            .execute(params![family, labels(&removal.family, &values)])
            .map(drop),
        None => remove_matching(store, family, removal),
    }
}

/// The values at every place, if each is said, and once.
fn all_values(removal: &Removal) -> Option<Vec<Box<str>>> {
    let mut places = vec![None; removal.family.label_names().len()];
    for (place, value) in &removal.wanted {
        let before = places.get_mut(*place)?.replace(Box::from(&**value));
        before.is_none().then_some(())?;
    }
    places.into_iter().collect()
}

fn remove_matching(store: &Transaction<'_>, family: i64, removal: &Removal) -> rusqlite::Result<()> {
    // SQLite looks for one of the pairs in the text, so that few labels are taken apart.
    let names = removal.family.label_names();
    let pair = removal.wanted.iter().find_map(|(place, value)| Some((names.get(*place)?, value)));
    let pair = pair.map_or_else(String::new, |pair| json::write_object([pair]));
    let pair = pair.trim_start_matches('{').trim_end_matches('}');
    let mut all = store.prepare_cached("SELECT id, labels FROM series WHERE family = ? AND instr(labels, ?) > 0")?;
    let found = all.query_map(params![family, pair], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let mut removed = Vec::new();
    for one in found {
        let (id, labels) = one?;
        let values = json::read_object(&labels).unwrap_or_default();
        let has = |(place, wanted): &(usize, String)| values.get(*place).is_some_and(|(_, value)| value == wanted);
        if removal.wanted.iter().all(has) {
            removed.push(id);
        }
    }
    let mut delete = store.prepare_cached("DELETE FROM series WHERE id = ?")?;
    removed.iter().try_for_each(|id| delete.execute([id]).map(drop))
}
