//! Instructions per update, counted by valgrind: the same on a busy machine as on a quiet one.
//!
//! This program runs itself under `valgrind --tool=callgrind`, repeating one update many times and then not at all; the
//! difference is the update, and nothing of what comes before it. Its hash maps are seeded anew in every run, so what
//! comes before differs by some ten thousand instructions: `TIMES` makes that less than one per update.

use std::error::Error;
use std::process::Command;

use crate::{stores, updates};

const TIMES: u64 = 200_000;

/// Prints instructions per update.
pub(crate) fn table() -> Result<(), Box<dyn Error>> {
    println!("\n### Core: instructions per update\n");
    println!("| store: update | instructions |");
    println!("|---|--:|");
    for store in stores::NAMES {
        let opened = stores::open(store)?;
        // Instructions of two threads depend on who waits for whom.
        let names = updates::names(&updates::updates(store, &opened.registry)?);
        for update in names.iter().filter(|update| !update.contains("threads")) {
            let counted = count(store, update, TIMES)? - count(store, update, 0)?;
            println!("| {store}: {update} | {:.0} |", counted / TIMES as f64);
        }
    }
    Ok(())
}

fn count(store: &str, update: &str, times: u64) -> Result<f64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["repeat", store, update, &times.to_string()])
        .output()
        .map_err(|error| format!("cannot run valgrind ({error}); install it, or leave this table out"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : "));
    match collected {
        Some((_, count)) if output.status.success() => Ok(count.trim().parse()?),
        _ => Err(format!("valgrind failed: {report}").into()),
    }
}
