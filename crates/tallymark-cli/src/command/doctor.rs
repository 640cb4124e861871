//! `tallymark doctor`: how a store is doing, who counts in it, and what of it wants doing.
//!
//! It looks and changes nothing: ended processes are not folded, nothing is sent, no place is taken.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use tallymark::{FileReport, LedgerReport, Report};

use crate::clock::since_1970;
use crate::error::Error;
use crate::units::{bytes, plain, printable, seconds};
use crate::{output, store, table};

/// How long a store of many hosts may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many series of one family are worth a word: they cost each scrape, and mostly come from a label like a user's id.
const MANY: u64 = 10_000;

/// After what time a host whose programs run should have been drained, unless three of its intervals are longer.
const LATE: Duration = Duration::from_secs(60);

/// Say how a store is doing, and what wants doing
///
/// Ends with 0 if all is well, with 1 if something wants doing or the store cannot be looked at.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tallymark doctor file:/run/app/metrics.tally
  tallymark doctor redis://metrics.internal/0?prefix=shop
  tallymark doctor file:/run/app/metrics.tally --json | jq '.processes[] | select(.live)'")]
pub(crate) struct Doctor {
    /// The store's URL, as the programs have it
    #[arg(value_name = "STORE", env = "TALLYMARK_STORE", hide_env_values = true)]
    store: String,

    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

/// A number, of which those that JSON has not do not occur.
#[derive(Serialize)]
struct Number(f64);

/// What is said, in the order in which it is said.
#[derive(Serialize)]
struct Said {
    store: String,
    file: String,
    bytes: u64,
    processes: Vec<Process>,
    folded: u64,
    families: usize,
    series: u64,
    removed_series: u64,
    largest: Option<Largest>,
    base_bytes: u64,
    free_bytes: u64,
    idle_bytes: u64,
    damaged_records: u64,
    shared: Option<Shared>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Process {
    pid: u32,
    live: bool,
    since: Number,
    blocks: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Largest {
    family: String,
    series: u64,
}

/// Of a store of many hosts.
#[derive(Serialize)]
struct Shared {
    reachable: bool,
    series: Option<u64>,
    families: Option<u64>,
    processes: Option<u64>,
    journal: Option<String>,
    drained_seconds_ago: Option<Number>,
    failed_seconds_ago: Option<Number>,
    failures: Vec<(&'static str, u64)>,
    backlog_series: u64,
    lost_batches: u64,
}

impl Doctor {
    pub(crate) fn run(self) -> Result<(), Error> {
        let store = store::open_existing(&self.store)?;
        let report = store.report(PATIENCE);
        let said = Said::new(store.url(), &report, late(&self.store));
        if self.json {
            output::print_json(&said)?;
        } else {
            output::print(said.as_text().as_bytes())?;
        }
        if said.warnings.is_empty() { Ok(()) } else { Err(Error::Warnings(said.warnings.len())) }
    }
}

impl Said {
    fn new(store: String, report: &Report, late: Duration) -> Said {
        let nothing = FileReport::default();
        let file = report.file.as_ref().unwrap_or(&nothing);
        let found = &file.inspection;
        let processes = found.processes.iter().map(|process| Process {
            pid: process.pid,
            live: process.live,
            since: Number(process.since),
            blocks: process.blocks,
            bytes: process.bytes,
        });
        let largest =
            file.families.first().map(|(family, series)| Largest { family: family.name().to_owned(), series: *series });
        Said {
            store,
            file: file.path.display().to_string(),
            bytes: found.bytes,
            processes: processes.collect(),
            folded: file.folded,
            families: file.families.iter().filter(|(_, series)| *series > 0).count(),
            series: file.families.iter().map(|(_, series)| series).sum(),
            removed_series: found.removed,
            largest: largest.filter(|largest| largest.series > 0),
            base_bytes: found.base_bytes,
            free_bytes: found.free_bytes,
            idle_bytes: found.idle_bytes,
            damaged_records: file.damaged,
            shared: report.ledger.as_ref().map(Shared::new),
            warnings: warnings(file, report.ledger.as_ref(), late),
        }
    }

    fn as_text(&self) -> String {
        let live = self.processes.iter().filter(|process| process.live).count();
        let ended = self.processes.len() - live;
        let mut lines = vec![
            ("store", printable(&self.store).into_owned()),
            ("file", format!("{}, {}", printable(&self.file), bytes(self.bytes as f64))),
            ("processes", format!("{live} live, {ended} ended and not added up yet, {} added up before", self.folded)),
            ("holds", format!("{} series of {} families; {} removed", self.series, self.families, self.removed_series)),
        ];
        if let Some(Largest { family, series }) = &self.largest {
            lines.push(("largest", format!("{} with {series} series", printable(family))));
        }
        let [base, free, idle] = [self.base_bytes, self.free_bytes, self.idle_bytes].map(|size| bytes(size as f64));
        lines.push((
            "room",
            format!("{base} for totals of ended processes, {free} free for new ones, {idle} out of use"),
        ));
        lines.extend(self.shared.iter().flat_map(Shared::lines));
        let cells: Vec<Vec<String>> = lines.into_iter().map(|(what, text)| vec![what.to_owned(), text]).collect();
        let mut text = table::aligned(&cells, 2);
        if !self.processes.is_empty() {
            let _ = write!(text, "\n{}", self.process_table());
        }
        text.push('\n');
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {}", printable(warning));
        }
        if self.warnings.is_empty() {
            text.push_str("all is well\n");
        }
        text
    }

    fn process_table(&self) -> String {
        let now = since_1970().as_secs_f64();
        let mut lines = vec![["process", "", "for", "blocks", "room"].map(str::to_owned).to_vec()];
        for process in &self.processes {
            lines.push(vec![
                process.pid.to_string(),
                if process.live { "live" } else { "ended" }.to_owned(),
                seconds((now - process.since.0).max(0.0).floor()),
                plain(process.blocks as f64),
                bytes(process.bytes as f64),
            ]);
        }
        table::aligned(&lines, 2)
    }
}

impl Shared {
    fn new(ledger: &LedgerReport) -> Shared {
        let holds = ledger.holds.as_ref().ok();
        Shared {
            reachable: holds.is_some(),
            series: holds.map(|holds| holds.series),
            families: holds.map(|holds| holds.families),
            processes: holds.map(|holds| holds.processes),
            journal: ledger.journal.as_ref().map(|path| path.display().to_string()),
            drained_seconds_ago: ledger.drained.map(|ago| Number(ago.as_secs_f64())),
            failed_seconds_ago: ledger.failing.map(|ago| Number(ago.as_secs_f64())),
            failures: ledger.failures.iter().map(|(reason, count)| (reason.name(), *count)).collect(),
            backlog_series: ledger.backlog,
            lost_batches: ledger.lost,
        }
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let holds = match (self.series, self.families, self.processes) {
            (Some(series), Some(families), Some(processes)) => {
                format!("{series} series of {families} families, from {processes} live processes of all hosts")
            }
            _ => "cannot be read".to_owned(),
        };
        let drained = match &self.drained_seconds_ago {
            Some(Number(ago)) => format!("{} ago", seconds(*ago)),
            None => "never since this host was started".to_owned(),
        };
        let failures: Vec<String> = self.failures.iter().map(|(reason, count)| format!("{count} × {reason}")).collect();
        let failures = if failures.is_empty() { "none".to_owned() } else { failures.join(", ") };
        let journal = self.journal.clone().unwrap_or_else(|| "in memory".to_owned());
        vec![
            ("behind it", holds),
            ("last sent", drained),
            (
                "failures",
                format!("{failures}; {} series waited, {} batches were lost", self.backlog_series, self.lost_batches),
            ),
            ("journal", printable(&journal).into_owned()),
        ]
    }
}

/// After what time a host whose programs run should have been drained: the URL may say in what interval that is done.
fn late(url: &str) -> Duration {
    let options = url.split_once('?').map_or("", |(_, options)| options).split('&');
    let interval = options.rev().find_map(|option| option.strip_prefix("interval=")?.parse().ok());
    interval
        .and_then(|interval: f64| Duration::try_from_secs_f64(3.0 * interval).ok())
        .map_or(LATE, |late| late.max(LATE))
}

/// What wants doing, with what to do.
fn warnings(file: &FileReport, ledger: Option<&LedgerReport>, late: Duration) -> Vec<String> {
    let mut warnings = Vec::new();
    if file.damaged > 0 {
        warnings.push(format!(
            "{} records of the file cannot be read, and what they are about is not shown; delete {} when no program uses it",
            file.damaged,
            file.path.display()
        ));
    }
    for (name, kinds) in file.conflicts() {
        let kinds: Vec<String> = kinds.iter().map(|(kind, series)| format!("{kind} ({series} series)")).collect();
        let kinds = kinds.join(" and ");
        warnings.push(format!("{name} is declared as {kinds}, of which one is shown; rename one in its program"));
    }
    for (family, series) in file.families.iter().filter(|(_, series)| *series > MANY) {
        let name = family.name();
        warnings.push(format!(
            "{name} has {series} series; give it labels with fewer values, or the store's URL ?max_series=1000"
        ));
    }
    if let Some(ledger) = ledger {
        ledger_warnings(file, ledger, late, &mut warnings);
    }
    warnings
}

fn ledger_warnings(file: &FileReport, ledger: &LedgerReport, late: Duration, warnings: &mut Vec<String>) {
    if let Err(problem) = &ledger.holds {
        warnings.push(format!("{problem}; until it is back, what is counted waits in {}", file.path.display()));
    }
    if let Some(ago) = ledger.failing {
        let ago = seconds(ago.as_secs_f64());
        let waiting = ledger.backlog;
        warnings.push(format!(
            "what this host has counted could not be sent {ago} ago, and {waiting} series wait; see why with tallymark drain"
        ));
    }
    let live = file.inspection.processes.iter().filter(|process| process.live);
    let first = live.map(|process| process.since).reduce(f64::min);
    let is_late = match ledger.drained {
        Some(ago) => first.is_some() && ago > late,
        // Whoever has just begun will drain in its own time; where nobody lives, nobody will.
        None => first.is_none_or(|since| since_1970().as_secs_f64() - since > late.as_secs_f64()),
    };
    let holds_something = file.families.iter().any(|(_, series)| *series > 0);
    if ledger.failing.is_none() && is_late && holds_something {
        let late = seconds(late.as_secs_f64());
        warnings.push(format!("nothing was sent for more than {late}; send it with tallymark drain"));
    }
    if ledger.lost > 0 {
        warnings.push(format!(
            "{} batches were given up, because it could not be known whether they had been counted; some counts may be low",
            ledger.lost
        ));
    }
}

#[cfg(test)]
mod tests {
    use tallymark::model::{Family, Kind};

    use super::*;

    fn ledger() -> LedgerReport {
        LedgerReport {
            holds: Ok(tallymark::Holdings::default()),
            journal: None,
            drained: Some(Duration::from_secs(1)),
            failing: None,
            failures: Vec::new(),
            backlog: 0,
            lost: 0,
        }
    }

    #[test]
    fn a_host_that_is_drained_rarely_is_late_later() {
        for (url, expected) in [
            ("redis://a", 60),
            ("redis://a?interval=1", 60),
            ("redis://a?prefix=b&interval=300", 900),
            ("redis://a?interval=1e300", 60),
        ] {
            assert_eq!(late(url), Duration::from_secs(expected), "{url}");
        }
    }

    #[test]
    fn who_has_just_begun_is_not_late() {
        let never = LedgerReport { drained: None, ..ledger() };
        let family = Family::builder(Kind::Counter, "a", "").build().unwrap();
        for (live, age, is_late) in [(true, 3.0, false), (true, 61.0, true), (false, 3.0, true)] {
            let mut file = FileReport { families: vec![(family.clone().into(), 1)], ..FileReport::default() };
            file.inspection.processes.push(Default::default());
            let process = &mut file.inspection.processes[0];
            (process.live, process.since) = (live, since_1970().as_secs_f64() - age);

            assert_eq!(warnings(&file, Some(&never), LATE).len(), usize::from(is_late), "{live} {age}");
        }
    }

    #[test]
    fn what_wants_doing_is_said_and_nothing_else() {
        let file = FileReport::default();

        assert!(warnings(&file, Some(&ledger()), LATE).is_empty());
        for (file, ledger, words) in [
            (FileReport { damaged: 2, ..FileReport::default() }, ledger(), "2 records"),
            (FileReport::default(), LedgerReport { lost: 3, ..ledger() }, "3 batches"),
            (
                FileReport::default(),
                LedgerReport { holds: Err("redis://a: away".to_owned()), ..ledger() },
                "redis://a: away",
            ),
            (
                FileReport::default(),
                LedgerReport { failing: Some(Duration::from_secs(5)), backlog: 7, ..ledger() },
                "5 s ago, and 7 series wait",
            ),
        ] {
            let said = warnings(&file, Some(&ledger), LATE);

            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains(words), "{said:?}");
        }
    }
}
