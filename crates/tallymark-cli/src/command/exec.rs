//! `tallymark exec`: the Python package's command of that name, found from here.
//!
//! It is Python's, since it needs to know where the package is. This process becomes it.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::error::Error;

/// Run a program with tallymark in place of prometheus_client
///
/// Nothing in the program changes: this process becomes it, and every Python that it starts takes tallymark for the
/// official client. This is python -m tallymark exec, of the Python that is installed beside this program, or else of the
/// first python3 on PATH.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: those of the program. 127 if there is no such program, 126 if it cannot be started, 1 if there is no Python
with tallymark.

Examples:
  tallymark exec -- gunicorn --workers 4 app:app
  tallymark exec --store file:/run/app/metrics.tally -- celery -A app worker")]
pub(crate) struct Exec {
    /// Where all its processes count: sets TALLYMARK_STORE
    #[arg(long, value_name = "STORE")]
    store: Option<String>,

    /// The program and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, required = true)]
    command: Vec<OsString>,
}

impl Exec {
    pub(crate) fn run(self) -> Result<(), Error> {
        let python = python();
        let mut command = Command::new(&python);
        command.args(["-m", "tallymark", "exec"]);
        if let Some(store) = self.store {
            command.arg("--store").arg(store);
        }
        // It comes back only if that did not work.
        let source = command.arg("--").args(self.command).exec();
        Err(Error::Python { python, source })
    }
}

/// The Python of the environment that this program is installed in.
pub(crate) fn python() -> PathBuf {
    let beside = env::current_exe().ok().and_then(|program| Some(program.parent()?.join("python3")));
    beside.filter(|python| python.exists()).unwrap_or_else(|| PathBuf::from("python3"))
}
