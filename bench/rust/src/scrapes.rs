//! What a scrape costs: adding up what the store holds, and writing it.

use std::error::Error;
use std::hint::black_box;

use tallymark::Registry;
use tallymark::model::{Escaping, encode};

use crate::rounds::{Row, interleave};
use crate::stores;
use crate::updates::label_values;

const ROUNDS: usize = 7;

/// Prints milliseconds per scrape, and nanoseconds per line of it.
pub(crate) fn table() -> Result<(), Box<dyn Error>> {
    println!("\n### Core: a scrape in the text format\n");
    println!("| store: series | lines | snapshot, ms | writing, ms | ns per line | MB/s | a copy of the bytes, ms |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for (title, fill) in [("100,000 counters", counters as Fill), ("10,000 histograms", histograms as Fill)] {
        let opened = stores::NAMES.iter().map(|name| stores::open(name)).collect::<Result<Vec<_>, _>>()?;
        let mut bodies = Vec::new();
        for store in &opened {
            fill(&store.registry)?;
            bodies.push(store.registry.text().into_bytes());
        }
        let mut rows = Vec::new();
        for (store, body) in opened.iter().zip(&bodies) {
            let snapshot = store.registry.snapshot();
            let mut out = Vec::with_capacity(body.len());
            let mut copy = Vec::with_capacity(body.len());
            rows.push(Row::new("snapshot", 1, || drop(black_box(store.registry.snapshot()))));
            rows.push(Row::new("writing", 1, move || {
                out.clear();
                encode::text(&snapshot, Escaping::Underscores, &mut out).expect("native metrics can be written");
                black_box(&out);
            }));
            rows.push(Row::new("copy", 1, move || {
                copy.clear();
                copy.extend_from_slice(black_box(body));
                black_box(&copy);
            }));
        }
        interleave(&mut rows, ROUNDS);
        for ((store, body), rows) in opened.iter().zip(&bodies).zip(rows.chunks(3)) {
            let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#').count();
            let [snapshot, writing, copy] = [0, 1, 2].map(|at| rows[at].median());
            println!(
                "| {}: {title} | {lines} | {:.1} | {:.1} | {:.0} | {:.0} | {:.1} |",
                store.name,
                snapshot / 1e6,
                writing / 1e6,
                (snapshot + writing) / lines as f64,
                body.len() as f64 * 1e3 / (snapshot + writing),
                copy / 1e6,
            );
        }
    }
    Ok(())
}

type Fill = fn(&Registry) -> Result<(), tallymark::Error>;

fn counters(registry: &Registry) -> Result<(), tallymark::Error> {
    let family = registry.counter("requests", "Requests.").label_names(["method", "path", "status"]).register()?;
    for index in 0..100_000 {
        // A spread of values of up to six digits.
        family.with(&label_values(index))?.inc_by((index as u64 * 2_654_435_761 % 1_000_003) as f64)?;
    }
    Ok(())
}

fn histograms(registry: &Registry) -> Result<(), tallymark::Error> {
    let family = registry.histogram("latency", "Seconds.").label_names(["method", "path", "status"]).register()?;
    for index in 0..10_000 {
        let histogram = family.with(&label_values(index))?;
        [0.0042, 0.0371, 0.31, 3.7].iter().for_each(|seconds| histogram.observe(*seconds));
    }
    Ok(())
}
