//! `tallymark run`: runs a command and counts how it went.
//!
//! The command comes first: it is started before any store is looked at, gets stdin, stdout, stderr, the environment and
//! the signals as if it had been started by itself, and its end is this process's end, whatever becomes of the counting.
//! How it is started and waited for is `child.rs`'s business, what is counted `metrics.rs`'s.

mod child;
mod metrics;

use std::collections::HashSet;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use tallymark::model::name::check_label;

use super::counting::{self, Counting};
use crate::error::Error;

/// How long a gateway, or a store that keeps nothing on this host, may take: as long as other stores.
const PATIENCE: Duration = Duration::from_secs(2);

/// Run a command and count how it went
#[derive(clap::Args)]
#[command(after_help = "\
What is counted, each with the label job and those of --label:
  job_runs_total                        runs, however they ended
  job_failures_total{reason=…}          exit_1, signal_KILL, not_started, …
  job_duration_seconds                  a histogram
  job_last_duration_seconds
  job_last_run_timestamp_seconds        when it was last started
  job_last_success_timestamp_seconds    when it last ended with 0
  job_cpu_seconds_total{mode=…}         user, system
  job_max_memory_bytes                  of the last run, of its largest process

Exit codes: those of the command; if a signal has killed it, run dies of the same one. 127 if there is no such command,
126 if it cannot be started. If the run cannot be counted, that is said on stderr and changes nothing else.

Examples:
  tallymark run --store file:/var/lib/tallymark/jobs.tally -- backup --all
  TALLYMARK_STORE=redis://metrics.internal/0 tallymark run --job nightly --label env=prod -- sh -c 'dump | upload'
  0 3 * * *  tallymark run --job report -- /usr/local/bin/report      (a line for cron)")]
pub(crate) struct Run {
    /// What the job is called in the metrics; else the command's name
    #[arg(long, value_name = "NAME")]
    job: Option<String>,

    /// The store's URL, or that of a gateway, http://HOST:PORT
    #[arg(long, value_name = "STORE", env = "TALLYMARK_STORE", hide_env_values = true)]
    store: Option<String>,

    /// A label for all metrics of this job; may be given more than once
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// The command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, required = true)]
    command: Vec<OsString>,
}

impl Run {
    pub(crate) fn run(self) -> Result<(), Error> {
        self.check_labels()?;
        let run = child::run(&self.command);
        if let child::Ending::NotStarted(problem) = run.ending {
            log::warn!("{}: {}", self.command.first().cloned().unwrap_or_default().display(), problem.desc());
        }
        // Before there is a second thread.
        counting::make_first_family();
        child::end_on_signal(run.ending);
        if let Err(problem) = in_spite_of_panics(|| self.count(&run)) {
            log::warn!("the run is not counted: {problem}");
        }
        Err(Error::Ended(run.ending.pass_on()))
    }

    fn count(&self, run: &child::Run) -> Result<(), Error> {
        let missing = || Error::Usage("no store; give --store or set TALLYMARK_STORE".to_owned());
        let url = self.store.as_ref().filter(|url| !url.is_empty()).ok_or_else(missing)?;
        let job = self.job.clone().unwrap_or_else(|| self.name());
        let mut counting = Counting::open(url, Some(job.clone()), PATIENCE)?;
        metrics::count(&mut counting, &job, &self.labels, run)?;
        counting.finish()
    }

    /// Refuses two labels of one name, with which nothing could be counted.
    fn check_labels(&self) -> Result<(), Error> {
        let mut names = HashSet::new();
        match self.labels.iter().find(|(name, _)| !names.insert(name)) {
            Some((name, _)) => Err(Error::Usage(format!("the label {name} is given twice"))),
            None => Ok(()),
        }
    }

    /// The command's name, without the directories before it.
    fn name(&self) -> String {
        let command = self.command.first().map(Path::new).unwrap_or(Path::new(""));
        command.file_name().unwrap_or(command.as_os_str()).to_string_lossy().into_owned()
    }
}

/// Counts; whatever becomes of it, this process goes on to its end.
fn in_spite_of_panics(count: impl FnOnce() -> Result<(), Error>) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(count)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("a defect of tallymark, told above".to_owned()),
    }
}

/// A label that no metric of a job has already.
fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("not NAME=VALUE, such as env=prod")?;
    check_label(name, false).map_err(|error| error.to_string())?;
    if matches!(name, "job" | "reason" | "mode" | "le") {
        return Err(format!("{name} is a label of these metrics already; choose another name"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_no_more_than_a_run_that_is_not_counted() {
        assert!(in_spite_of_panics(|| panic!("told on stderr")).unwrap_err().contains("defect"));
        assert_eq!(Ok(()), in_spite_of_panics(|| Ok(())));
    }

    #[test]
    fn a_label_is_a_name_and_a_value_and_not_one_of_ours() {
        assert_eq!(Ok(("env".to_owned(), "a=b".to_owned())), label("env=a=b"));
        for refused in ["env", "__x=1", "job=1", "reason=1", "=1"] {
            assert!(label(refused).is_err(), "{refused}");
        }
    }
}
