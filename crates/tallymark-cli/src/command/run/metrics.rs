//! What is counted of a run: the metrics of jobs, the same for every job, so that one dashboard shows all of them.

use std::sync::Arc;
use std::time::Duration;

use tallymark::metric::Handle;
use tallymark::model::{Family, Kind};
use tallymark::{Counter, Gauge, Histogram, Series};

use super::child::{Ending, Run};
use crate::command::counting::Counting;
use crate::error::Error;

/// Buckets from a tenth of a second to a day: what runs by cron takes seconds or hours.
const BOUNDS: [f64; 14] =
    [0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 10_800.0, 43_200.0, 86_400.0];

/// Counts a run of the job: all of it or nothing.
///
/// # Errors
/// As [`Counting::series`] and [`Counting::check_room`].
pub(super) fn count(counting: &mut Counting, job: &str, labels: &[(String, String)], run: &Run) -> Result<(), Error> {
    let mut job = Job { counting, job, labels, changes: Vec::new() };
    job.count(run)?;
    job.counting.check_room()?;
    job.changes.into_iter().for_each(|change| change());
    Ok(())
}

/// A job's place in a store.
struct Job<'a> {
    counting: &'a mut Counting,
    job: &'a str,
    labels: &'a [(String, String)],
    /// What is done to its series as soon as there is room for all of them.
    changes: Vec<Box<dyn FnOnce()>>,
}

impl Job<'_> {
    fn count(&mut self, run: &Run) -> Result<(), Error> {
        self.counter("job_runs", "Runs of the job, however they ended.", &[], 1.0)?;
        let reason = run.ending.failure();
        if let Some(reason) = &reason {
            self.counter("job_failures", "Runs that failed, by exit code or signal.", &[("reason", reason)], 1.0)?;
        }
        self.gauge("job_last_run_timestamp_seconds", "When the job was last started.", run.started)?;
        if matches!(run.ending, Ending::NotStarted(_)) {
            return Ok(());
        }
        let seconds = run.took.as_secs_f64();
        self.histogram("job_duration_seconds", "How long runs of the job took.", seconds)?;
        self.gauge("job_last_duration_seconds", "How long the last run took.", seconds)?;
        if reason.is_none() {
            self.gauge("job_last_success_timestamp_seconds", "When the job last ended well.", run.started + seconds)?;
        }
        for (mode, time) in [("user", run.user), ("system", run.system)] {
            let help = "CPU time of the job and what it waited for.";
            self.counter("job_cpu_seconds", help, &[("mode", mode)], Duration::as_secs_f64(&time))?;
        }
        let help = "The most memory that one process of the last run had.";
        self.gauge("job_max_memory_bytes", help, run.max_memory.map_or(f64::NAN, |bytes| bytes as f64))
    }

    fn counter(&mut self, name: &str, help: &str, more: &[(&str, &str)], amount: f64) -> Result<(), Error> {
        let counter = Counter::new(self.series(Kind::Counter, name, help, more)?);
        // Refuses what is below zero, which neither a number of runs nor a time is.
        self.changes.push(Box::new(move || drop(counter.inc_by(amount))));
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        let gauge = Gauge::new(self.series(Kind::Gauge, name, help, &[])?);
        self.changes.push(Box::new(move || gauge.set(value)));
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        let histogram = Histogram::new(self.series(Kind::Histogram, name, help, &[])?);
        self.changes.push(Box::new(move || histogram.observe(value)));
        Ok(())
    }

    fn series(&mut self, kind: Kind, name: &str, help: &str, more: &[(&str, &str)]) -> Result<Arc<Series>, Error> {
        let given = self.labels.iter().map(|(name, value)| (&**name, &**value));
        let labels: Vec<(&str, &str)> =
            [("job", self.job)].into_iter().chain(more.iter().copied()).chain(given).collect();
        let builder = Family::builder(kind, name, help).label_names(labels.iter().map(|(name, _)| *name));
        let builder = if kind == Kind::Histogram { builder.bounds(BOUNDS) } else { builder };
        let definition = builder.build().map_err(tallymark::Error::from)?;
        let values: Vec<&str> = labels.iter().map(|(_, value)| *value).collect();
        self.counting.series(definition, &values)
    }
}
