//! What rows are in Rust: definitions, moments, identities. A row that says nothing possible is `None`.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Row, params};
use tallymark_model::{Family, Kind};
use uuid::Uuid;

use super::json;
use crate::record;
use crate::store::ledger::GaugeValue;

/// SQLite's integers have a sign.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// And what others wrote may be negative.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A UUID as text.
pub(super) fn uuid(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

pub(super) fn read_uuid(text: &str) -> Option<u128> {
    Uuid::try_parse(text).ok().map(|uuid| uuid.as_u128())
}

/// The store's epoch, and the latest moment it was told; `None` if nobody has greeted yet.
pub(super) fn store(connection: &Connection) -> rusqlite::Result<Option<(u128, u64)>> {
    let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?));
    let found = connection.prepare_cached("SELECT epoch, clock FROM store")?.query_row([], row).optional()?;
    Ok(found.and_then(|(epoch, clock)| Some((read_uuid(&epoch)?, unsigned(clock)))))
}

/// The store's clock: this host's, unless it was later already.
pub(super) fn now(clock: u64) -> u64 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(age.as_nanos()).unwrap_or(u64::MAX).max(clock)
}

/// Sets the store's clock on.
pub(super) fn set_clock(connection: &Connection, now: u64) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE store SET clock = ?")?.execute([signed(now)]).map(drop)
}

/// The number of a family's row, which is made if it is not there.
pub(super) fn family_row(connection: &Connection, family: &Family) -> rusqlite::Result<i64> {
    let (label_names, states) = (json::write(&family.label_names()), json::write(&family.states()));
    let bounds = json::write(&family.le());
    let (name, kind, mode) = (family.name(), family.kind().as_str(), family.mode().as_str());
    let key = params![name, kind, mode, label_names, bounds, states];
    let known = connection
        .prepare_cached(
            "SELECT id FROM families
             WHERE name = ? AND type = ? AND mode = ? AND label_names = ? AND bounds = ? AND states = ?",
        )?
        .query_row(key, |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    connection
        .prepare_cached(
            "INSERT INTO families (name, type, mode, label_names, bounds, states, help, unit)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .insert(params![name, kind, mode, label_names, bounds, states, family.help(), family.unit()])
}

/// The columns that [`family`] reads.
pub(super) const FAMILY: &str = "type, mode, name, label_names, bounds, states, help, unit";

/// The family of a row.
pub(super) fn family(row: &Row<'_>) -> Option<Family> {
    let text = |column| row.get::<_, String>(column).ok();
    let list = |column| json::read::<Vec<String>>(&text(column)?);
    let (kind, mode) = (Kind::parse(&text("type")?)?, text("mode")?.parse().ok()?);
    let builder = record::builder(kind, text("name")?, text("help")?)
        .unit(text("unit")?)
        .label_names(list("label_names")?)
        .states(list("states")?)
        .mode(mode);
    if kind != Kind::Histogram {
        return builder.build().ok();
    }
    let bounds = list("bounds")?.iter().map(|bound| bound.parse().ok()).collect::<Option<Vec<f64>>>()?;
    builder.bounds(bounds).build().ok()
}

/// A gauge's value as it stands in a row.
pub(super) struct GaugeRow {
    pub(super) writer: i64,
    pub(super) instance: Option<String>,
    pub(super) value: GaugeValue,
}

/// The columns that [`gauge`] reads.
pub(super) const GAUGE: &str = "writer, instance, pid, value, stamp, live, kept";

/// The gauge's value of a row, its instance apart.
pub(super) fn gauge(row: &Row<'_>) -> Option<GaugeRow> {
    let value = GaugeValue {
        instance: None,
        pid: row.get("pid").ok()?,
        value: number(row, "value")?,
        stamp: unsigned(row.get("stamp").ok()?),
        live: row.get("live").ok()?,
        kept: row.get("kept").ok()?,
    };
    Some(GaugeRow { writer: row.get("writer").ok()?, instance: row.get("instance").ok()?, value })
}

/// A float of a row, where NULL is NaN.
pub(super) fn number(row: &Row<'_>, column: &str) -> Option<f64> {
    row.get::<_, Option<f64>>(column).ok().map(|number| number.unwrap_or(f64::NAN))
}
