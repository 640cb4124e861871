//! `tallymark import distributed`: what prometheus-distributed-client has counted, in Redis or SQLite.
//!
//! Its numbers say nothing about themselves. What they mean is said by the metrics that the store holds already, since the
//! programs count there by then. The work is done by the Python package, `tallymark.distributed_client`, so that both ways
//! heed each other's notes about what was imported.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Serialize;
use tallymark::HeldLabels;
use tallymark::model::Kind;

use crate::command::exec::python;
use crate::error::Error;
use crate::store;

/// How long a store of many hosts may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What Python does.
const PROGRAM: &str = include_str!("distributed.py");

/// Take over what prometheus-distributed-client has counted
#[derive(clap::Args)]
#[command(after_help = "\
What the numbers mean is said by the metrics that the store holds: run it when the programs count
there, and the last one that counted in the old place has ended. Doing it again adds what was
counted there since. It needs the Python package tallymark, and for Redis the package redis.

Examples:
  tallymark import distributed redis://db/0 redis://db/0?prefix=shop --prefix shop
  tallymark import distributed /var/lib/shop/metrics.db file:/run/shop/metrics.tally")]
pub(super) struct Distributed {
    /// Where it counted: redis://… or the path of its SQLite database
    #[arg(value_name = "SOURCE")]
    source: String,

    /// The store's URL; the programs must have counted in it
    #[arg(value_name = "STORE", env = "TALLYMARK_STORE", hide_env_values = true)]
    store: String,

    /// Its redis_prefix; means nothing for SQLite
    #[arg(long, value_name = "PREFIX", default_value = "prometheus")]
    prefix: String,
}

/// A metric, as Python is to declare it.
#[derive(Debug, Serialize, PartialEq)]
struct Declared {
    name: String,
    r#type: &'static str,
    help: String,
    labels: Vec<String>,
    mode: &'static str,
    /// As texts: JSON has no infinity.
    bounds: Vec<String>,
}

impl Distributed {
    pub(super) fn run(self) -> Result<(), Error> {
        let store = store::open_existing(&self.store)?;
        let declared =
            serde_json::to_vec(&declared(&store.series(PATIENCE)?)).map_err(|error| Error::Stdout(error.into()))?;
        drop(store);
        let python = python();
        let mut command = Command::new(&python);
        command.args(["-c", PROGRAM, &self.source, &self.prefix]).env("TALLYMARK_STORE", &self.store);
        let mut run = || {
            let mut child = command.stdin(Stdio::piped()).spawn()?;
            // If it has ended already, its exit status says more than the broken pipe.
            let _ = child.stdin.take().map(|mut stdin| stdin.write_all(&declared));
            child.wait()
        };
        let ended = run().map_err(|source| Error::Python { python, source })?;
        // What went wrong was said by Python.
        if ended.success() { Ok(()) } else { Err(Error::Ended(Error::FAILURE)) }
    }
}

/// The metrics of a store that Python is to declare: of several definitions of a name the first.
fn declared(held: &[HeldLabels]) -> Vec<Declared> {
    let mut declared: Vec<Declared> = Vec::new();
    for HeldLabels { family, .. } in held {
        let is_known = declared.iter().any(|known| known.name == family.name());
        if is_known || !matches!(family.kind(), Kind::Counter | Kind::Gauge | Kind::Summary | Kind::Histogram) {
            continue;
        }
        declared.push(Declared {
            name: family.name().to_owned(),
            r#type: family.kind().as_str(),
            help: family.help().to_owned(),
            labels: family.label_names().iter().map(|name| name.to_string()).collect(),
            mode: family.mode().as_str(),
            bounds: family.le().iter().map(|bound| bound.to_string()).collect(),
        });
    }
    declared
}
