//! What an update costs, by handle and by label values, beside the machine's own atomic add.

use std::error::Error;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use tallymark::{Counter, Family, Histogram, Registry};

use crate::rounds::{Row, interleave};
use crate::stores;

const ROUNDS: usize = 15;
/// Updates in one round: about a millisecond of the fast ones.
const TIMES: u64 = 200_000;
/// Series of the family in which label values are looked up.
const SERIES: usize = 10_000;

/// Prints nanoseconds per update.
pub(crate) fn table() -> Result<(), Box<dyn Error>> {
    let raw = AtomicU64::new(0);
    let mut rows = vec![
        Row::new("loop", TIMES, || {
            black_box(&raw);
        }),
        Row::new("raw: fetch_add", TIMES, || {
            black_box(&raw).fetch_add(1, Ordering::Relaxed);
        }),
        Row::repeated("raw: fetch_add, two threads", TIMES, |times| {
            in_two_threads(times, || {
                black_box(&raw).fetch_add(1, Ordering::Relaxed);
            });
        }),
    ];
    let opened = stores::NAMES.iter().map(|name| stores::open(name)).collect::<Result<Vec<_>, _>>()?;
    for store in &opened {
        rows.extend(updates(store.name, &store.registry)?);
    }
    interleave(&mut rows, ROUNDS);
    let (empty, least) = (rows[0].median(), rows[0].minimum());

    println!("\n### Core: nanoseconds per update\n");
    println!("| store: update | median | minimum |");
    println!("|---|--:|--:|");
    for row in &rows[1..] {
        println!("| {} | {:.1} | {:.1} |", row.name, row.median() - empty, row.minimum() - least);
    }
    Ok(())
}

/// Does one update so many times.
pub(crate) fn repeat(store: &str, update: &str, times: u64) -> Result<(), Box<dyn Error>> {
    let store = stores::open(store)?;
    let mut rows = updates(store.name, &store.registry)?;
    let name = format!("{}: {update}", store.name);
    match rows.iter_mut().find(|row| row.name == name) {
        Some(row) => {
            row.repeat(times);
            Ok(())
        }
        None => Err(format!("no update {update:?} (there are: {})", names(&rows).join(", ")).into()),
    }
}

/// The updates' names, for one store.
pub(crate) fn names(rows: &[Row<'_>]) -> Vec<String> {
    rows.iter().filter_map(|row| row.name.split_once(": ").map(|(_, update)| update.to_owned())).collect()
}

/// Every update, on metrics of this registry.
pub(crate) fn updates(store: &str, registry: &Registry) -> Result<Vec<Row<'static>>, Box<dyn Error>> {
    let counter = registry.counter("requests", "Requests.").register()?.with::<&str>(&[])?;
    let fraction = registry.counter("seconds", "Seconds.").register()?.with::<&str>(&[])?;
    let shared = registry.counter("shared", "Shared.").register()?.with::<&str>(&[])?;
    let gauge = registry.gauge("queue", "Jobs.").register()?.with::<&str>(&[])?;
    let histogram = registry.histogram("latency", "Seconds.").register()?.with::<&str>(&[])?;
    let family = registry.counter("labelled", "Labelled.").label_names(["method", "path", "status"]).register()?;
    let labels: Vec<[String; 3]> = (0..SERIES).map(label_values).collect();
    for values in &labels {
        family.with(values)?;
    }
    let few = labels[..16].to_vec();
    Ok(vec![
        Row::new(format!("{store}: inc"), TIMES, {
            let counter = counter.clone();
            move || black_box(&counter).inc()
        }),
        Row::new(format!("{store}: inc_by(2.5)"), TIMES, move || {
            black_box(&fraction).inc_by(black_box(2.5)).expect("not negative");
        }),
        Row::new(format!("{store}: gauge set"), TIMES, move || black_box(&gauge).set(black_box(1.0))),
        Row::new(format!("{store}: observe"), TIMES, observe(histogram)),
        Row::new(format!("{store}: with(3 values).inc, 16 in turn"), TIMES, look_up(family.clone(), few)),
        Row::new(format!("{store}: with(3 values).inc, {SERIES} in turn"), TIMES, look_up(family, labels)),
        Row::repeated(format!("{store}: inc, two threads"), TIMES, move |times| {
            in_two_threads(times, || black_box(&shared).inc());
        }),
    ])
}

/// Observations from a millisecond to two seconds, so that no bucket can be foreseen.
fn observe(histogram: Histogram) -> impl FnMut() {
    let mut state = 1u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        black_box(&histogram).observe((state >> 53) as f64 / 1000.0);
    }
}

fn look_up(family: Family<Counter>, labels: Vec<[String; 3]>) -> impl FnMut() {
    let mut at = 0;
    move || {
        // A stride that visits all, and is not what a prefetcher expects.
        at = (at + 7919) % labels.len();
        family.with(black_box(&labels[at])).expect("three label values").inc();
    }
}

fn in_two_threads(times: u64, operation: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..times).for_each(|_| operation()));
        }
    });
}

/// The label values of series number `index`.
pub(crate) fn label_values(index: usize) -> [String; 3] {
    const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
    const STATUSES: [&str; 5] = ["200", "201", "404", "500", "503"];
    [METHODS[index / 5 % 4].to_owned(), format!("/api/v1/items/{:06}", index / 20), STATUSES[index % 5].to_owned()]
}
