//! `tallymark import multiprocess`: the files of the official Python client's multiprocess mode.
//!
//! All files are read before anything is added. What one looks like is `db.rs`.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tallymark::Store;
use tallymark::model::{Family, GaugeMode, Kind};

use super::carry::{self, Amount, Carried, CarriedSeries};
use super::db::{entries, parse_name};
use crate::clock::since_1970;
use crate::error::Error;
use crate::units::seconds;
use crate::{output, store};

/// What says in the directory that it was imported.
const NOTE: &str = "imported-by-tallymark.json";

/// How long a store of many hosts may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Take over the files of the official Python client's multiprocess mode
#[derive(clap::Args)]
#[command(after_help = "\
Counters, histograms and summaries are added to what the store holds. Gauges are set as their modes
say, unless the store has them already; those of the modes that begin with live are left out, as
their processes have ended, and those that have another mode in the store.

Run it when the programs that count there have ended. It leaves a note in the directory, and refuses
to import it a second time; with --force everything counts again.

Examples:
  tallymark import multiprocess /run/app/prometheus file:/run/app/metrics.tally
  tallymark import multiprocess \"$PROMETHEUS_MULTIPROC_DIR\" redis://metrics.internal/0?prefix=shop")]
pub(super) struct Multiprocess {
    /// The directory with the files, PROMETHEUS_MULTIPROC_DIR of the programs
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// The store's URL; made if it is not there
    #[arg(value_name = "STORE", env = "TALLYMARK_STORE", hide_env_values = true)]
    store: String,

    /// Import it although it was imported before, and count everything twice
    #[arg(long)]
    force: bool,
}

/// What is noted, before anything is added: an import that is cut off may miss something, none counts twice.
#[derive(Serialize, Deserialize)]
struct Note {
    store: String,
    at: u64,
}

/// What one file says about a sample.
struct Entry {
    sample: String,
    labels: BTreeMap<String, String>,
    value: f64,
    /// When it was set, in seconds since the Unix epoch.
    time: f64,
    pid: String,
}

/// A family, with what all files say about it.
struct Found {
    kind: Kind,
    mode: GaugeMode,
    help: String,
    entries: Vec<Entry>,
}

/// The samples of one series.
type ByLabels<'a> = BTreeMap<BTreeMap<&'a str, &'a str>, Vec<&'a Entry>>;

impl Multiprocess {
    pub(super) fn run(self) -> Result<(), Error> {
        let trouble = |problem: String| Error::Source { source_name: self.directory.display().to_string(), problem };
        let families = read(&self.directory)?;
        if families.is_empty() {
            return Err(trouble(
                "no family in its *.db files; is it the programs' PROMETHEUS_MULTIPROC_DIR?".to_owned(),
            ));
        }
        let note = self.directory.join(NOTE);
        if let (false, Some(Note { store, at })) = (self.force, read_note(&note)) {
            let ago = seconds(since_1970().as_secs().saturating_sub(at) as f64);
            return Err(trouble(format!("was imported into {store} {ago} ago; with --force everything counts again")));
        }
        let store = store::open(&self.store)?;
        let held = store.series(PATIENCE)?;
        let mut remarks = Vec::new();
        let mut carried = Vec::new();
        for (name, family) in &families {
            carried.push(family.carry(name, &store, &mut remarks).map_err(trouble)?);
        }
        let left_out = carry::reconcile(&mut carried, &held);
        remarks.extend(left_out.map_err(|problem| trouble(format!("{problem}; nothing was imported")))?);
        for Carried { definition, series } in &mut carried {
            let count = series.len();
            series.retain(|one| {
                !(matches!(one.amount, Amount::Value(_)) && carry::is_set(&held, definition, &one.values))
            });
            if series.len() < count {
                remarks.push(format!(
                    "{}: {} series have a value in the store, and keep it",
                    definition.name(),
                    count - series.len()
                ));
            }
        }
        let was_noted = note.exists();
        write_note(&note, &store, self.force)
            .map_err(|error| trouble(format!("cannot note that it was imported: {error}")))?;
        let families = carried.iter().filter(|carried| !carried.series.is_empty()).count();
        let mut series = 0;
        if let Err(error) = carry::add(&store, &carried, PATIENCE, &mut series) {
            if series > 0 {
                let why = match error {
                    Error::NoRoom(store) => format!("{store} has no room for more"),
                    other => other.to_string(),
                };
                return Err(trouble(format!("{series} series were imported, the others were not: {why}")));
            }
            if !was_noted {
                let _ = fs::remove_file(&note);
            }
            return Err(error);
        }
        remarks.iter().for_each(|remark| eprintln!("note: {remark}"));
        output::print(format!("{series} series of {families} families imported into {}\n", store.url()).as_bytes())
    }
}

fn read_note(path: &Path) -> Option<Note> {
    // One that cannot be read says at least that there was an import.
    let text = fs::read(path).ok()?;
    Some(serde_json::from_slice(&text).unwrap_or(Note { store: "a store".to_owned(), at: 0 }))
}

/// Of two imports at once only one may write it, unless it is forced.
fn write_note(path: &Path, store: &Store, force: bool) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let options =
        if force { options.write(true).create(true).truncate(true) } else { options.write(true).create_new(true) };
    options.open(path)?.write_all(&serde_json::to_vec(&Note { store: store.url(), at: since_1970().as_secs() })?)
}

/// The families of all files, by their names.
fn read(directory: &Path) -> Result<BTreeMap<String, Found>, Error> {
    let trouble = |path: &Path, problem: String| Error::Source { source_name: path.display().to_string(), problem };
    let listed = fs::read_dir(directory).map_err(|error| trouble(directory, error.to_string()))?;
    let mut paths: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "db"));
    paths.sort();
    let mut families = BTreeMap::new();
    for path in paths {
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let bytes = fs::read(&path).map_err(|error| trouble(&path, error.to_string()))?;
        read_file(&name, &bytes, &mut families).map_err(|problem| trouble(&path, problem))?;
    }
    Ok(families)
}

/// Adds what a file holds to its families.
fn read_file(name: &str, bytes: &[u8], families: &mut BTreeMap<String, Found>) -> Result<(), String> {
    let (kind, mode, pid) = parse_name(name).ok_or("is not called as the official client calls its files")?;
    for (key, value, time) in entries(bytes)? {
        let read: Result<(String, String, BTreeMap<String, String>, String), _> = serde_json::from_str(&key);
        let (family, sample, labels, help) =
            read.map_err(|_| format!("the key {key:?} is none of the official client's"))?;
        let found = families.entry(family.clone()).or_insert_with(|| Found { kind, mode, help, entries: Vec::new() });
        if (found.kind, found.mode) != (kind, mode) {
            let shown = |kind: Kind, mode: GaugeMode| {
                if kind == Kind::Gauge { format!("gauge of mode {}", mode.as_str()) } else { kind.to_string() }
            };
            return Err(format!(
                "{family} is a {} here and a {} in another file",
                shown(kind, mode),
                shown(found.kind, found.mode)
            ));
        }
        found.entries.push(Entry { sample, labels, value, time, pid: pid.to_owned() });
    }
    Ok(())
}

impl Found {
    /// What is to be added for the family called `name`.
    fn carry(&self, name: &str, store: &Store, remarks: &mut Vec<String>) -> Result<Carried, String> {
        let mut series: ByLabels<'_> = BTreeMap::new();
        for entry in &self.entries {
            let labels = entry.labels.iter().filter(|(label, _)| Some(&***label) != self.kind.reserved_label());
            let labels = labels.map(|(label, value)| (&**label, &**value)).collect();
            series.entry(labels).or_default().push(entry);
        }
        let labels: Vec<&str> = series.keys().next().map(|labels| labels.keys().copied().collect()).unwrap_or_default();
        let bounds = self.bounds(name)?;
        let builder = Family::builder(self.kind, name, &*self.help).label_names(labels.iter().copied()).mode(self.mode);
        let builder = if self.kind == Kind::Histogram { builder.bounds(bounds.clone()) } else { builder };
        let definition = builder.build().map_err(|error| format!("{name}: {error}"))?;
        let mut carried = Vec::new();
        for (values, entries) in &series {
            if values.keys().ne(labels.iter()) {
                return Err(format!("{name} has series with other labels than {}", labels.join(", ")));
            }
            let values: Vec<String> = values.values().map(|&value| value.to_owned()).collect();
            let amounts = self.amounts(name, entries, &bounds, store, remarks)?;
            carried.extend(amounts.into_iter().map(|(process, amount)| CarriedSeries {
                values: values.clone(),
                process,
                amount,
            }));
        }
        Ok(Carried { definition, series: carried })
    }

    /// The upper bounds of all buckets.
    fn bounds(&self, name: &str) -> Result<Vec<f64>, String> {
        let mut bounds = Vec::new();
        for text in
            self.entries.iter().filter_map(|entry| entry.labels.get("le")).filter(|_| self.kind == Kind::Histogram)
        {
            bounds.push(text.parse::<f64>().map_err(|_| format!("{name} has a bucket {text:?}, which is no number"))?);
        }
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        Ok(bounds)
    }

    /// What the entries of one series come to; for gauges of mode `all` of each process.
    fn amounts(
        &self,
        name: &str,
        entries: &[&Entry],
        bounds: &[f64],
        store: &Store,
        remarks: &mut Vec<String>,
    ) -> Result<Vec<(Option<u32>, Amount)>, String> {
        let sum = |wanted: &dyn Fn(&Entry) -> bool| -> f64 {
            entries.iter().filter(|entry| wanted(entry)).map(|entry| entry.value).sum()
        };
        let ending = |suffix: &'static str| move |entry: &Entry| entry.sample.ends_with(suffix);
        let amount = match self.kind {
            Kind::Gauge => return Ok(self.gauges(name, entries, store, remarks)),
            Kind::Counter => {
                let total = sum(&|_| true);
                if total < 0.0 {
                    return Err(format!("{name} is {total}, and a counter is never negative"));
                }
                Amount::Total(total)
            }
            Kind::Summary => {
                Amount::Observed { count: whole(name, sum(&ending("_count")))?, sum: sum(&ending("_sum")) }
            }
            _ => {
                let in_bucket =
                    |bound: f64| sum(&|entry| entry.labels.get("le").and_then(|le| le.parse().ok()) == Some(bound));
                let counts = bounds.iter().map(|bound| whole(name, in_bucket(*bound))).collect::<Result<_, _>>()?;
                Amount::Buckets { counts, sum: sum(&ending("_sum")) }
            }
        };
        Ok(vec![(None, amount)])
    }

    fn gauges(
        &self,
        name: &str,
        entries: &[&Entry],
        store: &Store,
        remarks: &mut Vec<String>,
    ) -> Vec<(Option<u32>, Amount)> {
        let values = || entries.iter().map(|entry| entry.value);
        let amount = match self.mode {
            GaugeMode::Min => Amount::Value(values().fold(f64::INFINITY, f64::min)),
            GaugeMode::Max => Amount::Value(values().fold(f64::NEG_INFINITY, f64::max)),
            GaugeMode::Sum => Amount::Growth(values().sum()),
            GaugeMode::MostRecent => {
                // One that was never set has no time.
                let newest = entries
                    .iter()
                    .filter(|entry| entry.time > 0.0)
                    .max_by(|one, other| one.time.total_cmp(&other.time));
                return newest.map(|entry| (None, Amount::Value(entry.value))).into_iter().collect();
            }
            GaugeMode::All if matches!(store, Store::File(_)) => {
                let mut each = Vec::new();
                for entry in entries {
                    match entry.pid.parse() {
                        Ok(pid) => each.push((Some(pid), Amount::Growth(entry.value))),
                        Err(_) => remarks
                            .push(format!("{name}: left out what {:?} set, which is no process's number", entry.pid)),
                    }
                }
                return each;
            }
            mode => {
                let remark = format!("{name}: left out, as gauges of mode {} show live processes", mode.as_str());
                if !remarks.contains(&remark) {
                    remarks.push(remark);
                }
                return Vec::new();
            }
        };
        vec![(None, amount)]
    }
}

/// How many observations the number says.
fn whole(name: &str, count: f64) -> Result<u64, String> {
    if count >= 0.0 && count.fract() == 0.0 && count < 2f64.powi(53) {
        // CAST: whole, and below 2⁵³.
        return Ok(count as u64);
    }
    Err(format!("{name} has counted {count} observations, which is no count"))
}
