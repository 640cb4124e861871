//! Writers: their leases, what they hear of each other, and what remains of those that have ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use tallymark_model::Family;
use uuid::Uuid;

use super::apply::insert_gauges;
use super::{json, rows};
use crate::store::ledger::{GaugeValue, Greeting, Hello, Removal, kept};

/// How long a writer is remembered after its lease: nanoseconds of a day. It may come back, and its batches too.
const REMEMBERED: u64 = 24 * 60 * 60 * 1_000_000_000;

/// Who has what is kept of writers that have ended. No row of `writers` has this number.
pub(super) const ENDED: i64 = 0;

pub(super) fn greet(store: &Transaction<'_>, hello: &Hello<'_>) -> rusqlite::Result<Greeting> {
    let (epoch, now) = wind(store)?;
    let uuid = rows::uuid(hello.writer);
    let known =
        store.prepare_cached("SELECT 1 FROM writers WHERE uuid = ? AND instance IS NOT NULL")?.exists([&uuid])?;
    let writer = renew(store, hello, &uuid, now)?;
    if hello.lease.is_zero() {
        end(store, writer)?;
    }
    forget(store, now.saturating_sub(REMEMBERED))?;
    let (removals, last_removal) = removals(store, &uuid, hello.removals)?;
    Ok(Greeting { now, epochs: vec![epoch], removals, last_removal, known })
}

/// The epoch, made if there is none, and the store's clock, set on.
fn wind(store: &Transaction<'_>) -> rusqlite::Result<(u128, u64)> {
    if let Some((epoch, clock)) = rows::store(store)? {
        let now = rows::now(clock);
        rows::set_clock(store, now)?;
        return Ok((epoch, now));
    }
    let (epoch, now) = (Uuid::new_v4(), rows::now(0));
    store.execute(
        "INSERT OR REPLACE INTO store (id, epoch, clock) VALUES (1, ?, ?)",
        params![epoch.to_string(), rows::signed(now)],
    )?;
    Ok((epoch.as_u128(), now))
}

fn renew(store: &Transaction<'_>, hello: &Hello<'_>, uuid: &str, now: u64) -> rusqlite::Result<i64> {
    let lease = u64::try_from(hello.lease.as_nanos()).unwrap_or(u64::MAX);
    let users = json::write_object(hello.users.iter().map(|(family, users)| (format!("{family:016x}"), users)));
    let (ends, processes) = (rows::signed(now.saturating_add(lease)), rows::signed(hello.processes));
    store
        .prepare_cached(
            "INSERT INTO writers (uuid, instance, lease_ends, processes, users) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (uuid) DO UPDATE SET
                 instance = excluded.instance, lease_ends = excluded.lease_ends,
                 processes = excluded.processes, users = excluded.users
             RETURNING id",
        )?
        .query_row(params![uuid, hello.instance, ends, processes, users], |row| row.get(0))
}

/// A writer said goodbye: only the number of its last batch is still known, for one that comes again.
fn end(store: &Transaction<'_>, writer: i64) -> rusqlite::Result<()> {
    fold(store, writer)?;
    store
        .prepare_cached("UPDATE writers SET instance = NULL, processes = 0, users = '{}' WHERE id = ?")?
        .execute([writer])
        .map(drop)
}

/// Forgets the writers whose lease ended before that moment.
fn forget(store: &Transaction<'_>, before: u64) -> rusqlite::Result<()> {
    let mut ended = store.prepare_cached("SELECT id FROM writers WHERE lease_ends < ?")?;
    let ended = ended.query_map([rows::signed(before)], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    ended.into_iter().try_for_each(|writer| {
        fold(store, writer)?;
        store.prepare_cached("DELETE FROM writers WHERE id = ?")?.execute([writer]).map(drop)
    })
}

/// Leaves of a writer's gauges, and of those kept before, what the mode of each keeps.
fn fold(store: &Transaction<'_>, writer: i64) -> rusqlite::Result<()> {
    let instance: Option<String> =
        store.prepare_cached("SELECT instance FROM writers WHERE id = ?")?.query_row([writer], |row| row.get(0))?;
    let instance: Option<Arc<str>> = instance.map(Arc::from);
    let mut all = store.prepare_cached("SELECT DISTINCT series FROM gauge_values WHERE writer = ?")?;
    let all = all.query_map([writer], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    for series in all {
        let values = values_of(store, series, writer, instance.as_ref())?;
        let kept = family_of(store, series)?.map_or_else(Vec::new, |family| kept(&family, &values));
        store
            .prepare_cached("DELETE FROM gauge_values WHERE series = ? AND writer IN (?, ?)")?
            .execute([series, writer, ENDED])?;
        insert_gauges(store, series, ENDED, &kept)?;
    }
    Ok(())
}

/// A writer's values of a gauge, and what is kept of writers that have ended.
fn values_of(
    store: &Transaction<'_>,
    series: i64,
    writer: i64,
    instance: Option<&Arc<str>>,
) -> rusqlite::Result<Vec<GaugeValue>> {
    let mut both = store.prepare_cached(&format!(
        "SELECT {} FROM gauge_values WHERE series = ? AND writer IN (?, ?) ORDER BY writer, place",
        rows::GAUGE
    ))?;
    let found = both.query_map([series, writer, ENDED], |row| Ok(rows::gauge(row)))?;
    let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
    let whole = found.into_iter().flatten().map(|row| GaugeValue {
        instance: if row.writer == ENDED { row.instance.map(Arc::from) } else { instance.cloned() },
        ..row.value
    });
    Ok(whole.collect())
}

fn family_of(store: &Transaction<'_>, series: i64) -> rusqlite::Result<Option<Family>> {
    let found = store
        .prepare_cached(&format!(
            "SELECT {} FROM families WHERE id = (SELECT family FROM series WHERE id = ?)",
            rows::FAMILY
        ))?
        .query_row([series], |row| Ok(rows::family(row)))
        .optional()?;
    Ok(found.flatten())
}

/// What others have removed after the number `since`, and the number of the last removal of all.
fn removals(store: &Transaction<'_>, own: &str, since: u64) -> rusqlite::Result<(Vec<Removal>, u64)> {
    let last: Option<i64> =
        store.prepare_cached("SELECT max(number) FROM removals")?.query_row([], |row| row.get(0))?;
    let mut new = store.prepare_cached(&format!(
        "SELECT removals.writer, removals.id, removals.wanted, {} FROM removals JOIN families ON families.id = family
         WHERE number > ? AND writer <> ? ORDER BY number",
        rows::FAMILY
    ))?;
    let found = new.query_map(params![rows::signed(since), own], |row| Ok(removal(row)))?;
    let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok((found.into_iter().flatten().collect(), last.map_or(0, rows::unsigned)))
}

fn removal(row: &Row<'_>) -> Option<Removal> {
    let writer = rows::read_uuid(&row.get::<_, String>("writer").ok()?)?;
    // CAST: bits, as `apply::remove` wrote them.
    let id = row.get::<_, i64>("id").ok()? as u64;
    let wanted = json::read(&row.get::<_, String>("wanted").ok()?)?;
    Some(Removal { writer, id, family: Arc::new(rows::family(row)?), wanted })
}

/// The hosts of the writers that may still have gauges, and whether their leases last.
pub(super) struct Known {
    pub(super) instance: Arc<str>,
    pub(super) live: bool,
}

/// The live writers' processes, in all and by family.
#[derive(Default)]
pub(super) struct Living {
    pub(super) processes: u64,
    pub(super) users: BTreeMap<u64, u32>,
}

/// Every writer that has said who it is, by its row, and what the live ones say of their processes.
pub(super) fn all(store: &Transaction<'_>, now: u64) -> rusqlite::Result<(BTreeMap<i64, Known>, Living)> {
    let (mut all, mut living) = (BTreeMap::new(), Living::default());
    let mut writers = store
        .prepare_cached("SELECT id, instance, lease_ends, processes, users FROM writers WHERE instance IS NOT NULL")?;
    let mut rows = writers.query([])?;
    while let Some(row) = rows.next()? {
        let Ok(instance) = row.get::<_, String>("instance") else { continue };
        let live = row.get("lease_ends").is_ok_and(|ends| rows::unsigned(ends) > now);
        all.insert(row.get("id")?, Known { instance: instance.into(), live });
        if live {
            living.add(row);
        }
    }
    Ok((all, living))
}

impl Living {
    fn add(&mut self, row: &Row<'_>) {
        let processes = rows::unsigned(row.get("processes").unwrap_or_default());
        self.processes = self.processes.saturating_add(processes);
        let users = row.get::<_, String>("users").ok().and_then(|text| json::read::<BTreeMap<String, u32>>(&text));
        for (family, users) in users.unwrap_or_default() {
            let Ok(family) = u64::from_str_radix(&family, 16) else { continue };
            let known = self.users.entry(family).or_default();
            *known = known.saturating_add(users);
        }
    }
}
