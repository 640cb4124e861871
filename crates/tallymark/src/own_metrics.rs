//! A store's metrics about itself, which stand behind what it holds in every scrape. `docs/stores.md` lists them.

use std::sync::Arc;

use tallymark_cells::file::Status;
use tallymark_model::{Body, Family, FamilySnapshot, Kind, SeriesSnapshot, Value};

use crate::merge::Merged;

/// A counter that says something about a store.
pub(crate) fn counter(name: &str, help: &str, total: u64) -> FamilySnapshot {
    about(Kind::Counter, name, help, &[], [(vec![], Value::Counter { total: total as f64, exemplar: None })])
}

/// A gauge that does.
pub(crate) fn gauge(name: &str, help: &str, value: f64) -> FamilySnapshot {
    about(Kind::Gauge, name, help, &[], [(vec![], Value::Gauge(value))])
}

/// A metric that does, with its series.
pub(crate) fn about<'a>(
    kind: Kind,
    name: &str,
    help: &str,
    label_names: &[&str],
    series: impl IntoIterator<Item = (Vec<&'a str>, Value)>,
) -> FamilySnapshot {
    let family = Family::builder(kind, name, help).label_names(label_names.iter().copied()).build();
    let family = Arc::new(family.expect("a valid definition"));
    let one = |(values, value): (Vec<&str>, Value)| SeriesSnapshot {
        labels: Arc::new(family.labels(&values).expect("as many values as label names")),
        process: None,
        value,
        created: None,
    };
    let series = series.into_iter().map(one).collect();
    FamilySnapshot { family: Arc::clone(&family), body: Body::Series(series) }
}

/// The metric about series that found no room in a store.
pub(crate) fn unshared_series(count: usize) -> FamilySnapshot {
    let help = "Series that this process keeps in its own memory because the file store had no room.";
    gauge("tallymark_unshared_series", help, count as f64)
}

/// A file store's metrics about itself.
pub(crate) fn of_file(status: &Status) -> Vec<FamilySnapshot> {
    vec![
        gauge(
            "tallymark_live_processes",
            "Processes that have the file store open and count in it.",
            status.live as f64,
        ),
        counter("tallymark_folded_processes", "Ended processes whose numbers were added to the totals.", status.folded),
        gauge("tallymark_file_bytes", "Size of the file store.", status.bytes as f64),
        gauge("tallymark_damaged_records", "Records of the file store that cannot be read.", status.damaged as f64),
        gauge(
            "tallymark_file_replacements",
            "Times this process found the file deleted or replaced, and made it anew.",
            status.replaced as f64,
        ),
    ]
}

/// Any shared store's metrics about what it shows.
pub(crate) fn of_merging(merged: &Merged) -> Vec<FamilySnapshot> {
    vec![
        gauge(
            "tallymark_conflicting_series",
            "Series that are not shown because most live processes use their name for another type.",
            merged.conflicts.iter().map(|conflict| conflict.series).sum::<usize>() as f64,
        ),
        gauge(
            "tallymark_overflowing_families",
            "Families whose label sets beyond max_series are counted in an overflow series.",
            merged.overflowing as f64,
        ),
    ]
}
