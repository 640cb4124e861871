//! `tallymark gc`: tidies a store up by hand, as scrapes do by themselves.
//!
//! For stores that nobody scrapes for a while, and before a host is taken down. Totals stay what they are.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use crate::error::Error;
use crate::units::bytes;
use crate::{output, store};

/// How long a store of many hosts may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Add up what ended processes have left, and free their room
#[derive(clap::Args)]
#[command(after_help = "\
What ended processes have counted is added to the totals, and the room they had is free for others.
What this host has counted is sent to SQLite or Redis. The file itself does not shrink, and series
that were removed, or that a ?ttl= hides, keep their places in it: only deleting it, when no program
uses it, gives those back.

Examples:
  tallymark gc file:/run/app/metrics.tally
  tallymark gc redis://metrics.internal/0?prefix=shop")]
pub(crate) struct Gc {
    /// The store's URL, as the programs have it
    #[arg(value_name = "STORE", env = "TALLYMARK_STORE", hide_env_values = true)]
    store: String,

    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// What was done.
#[derive(Serialize)]
struct Done {
    added_up: u64,
    left: usize,
    freed_bytes: u64,
    free_bytes: u64,
    file_bytes: u64,
    sent: bool,
}

impl Gc {
    pub(crate) fn run(self) -> Result<(), Error> {
        let store = store::open_existing(&self.store)?;
        // What a store of many hosts holds is not told here, so it need not answer for the reports.
        let report = store.report(Duration::ZERO);
        let (before, sent) = (report.file.unwrap_or_default(), report.ledger.is_some());
        if sent {
            store.flush(PATIENCE)?;
        } else {
            store.series(PATIENCE)?;
        }
        let after = store.report(Duration::ZERO).file.unwrap_or_default();
        let free_bytes = after.inspection.free_bytes;
        let done = Done {
            added_up: after.folded.saturating_sub(before.folded),
            left: after.inspection.processes.iter().filter(|process| !process.live).count(),
            freed_bytes: free_bytes.saturating_sub(before.inspection.free_bytes),
            free_bytes,
            file_bytes: after.inspection.bytes,
            sent,
        };
        if self.json {
            return output::print_json(&done);
        }
        output::print(done.as_text().as_bytes())
    }
}

impl Done {
    fn as_text(&self) -> String {
        let processes =
            |count: u64| if count == 1 { "1 ended process".to_owned() } else { format!("{count} ended processes") };
        let mut text = format!("{} added up\n", processes(self.added_up));
        if self.left > 0 {
            let _ =
                writeln!(text, "{} left: somebody else is at it, or the device is full", processes(self.left as u64));
        }
        let [freed, free, all] = [self.freed_bytes, self.free_bytes, self.file_bytes].map(|size| bytes(size as f64));
        let _ = writeln!(text, "{freed} freed: {free} of {all} are free for new processes");
        if self.sent {
            text.push_str("what this host has counted was sent\n");
        }
        text
    }
}
