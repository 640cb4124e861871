//! The command `tallymark`: what is in a store, shown and served.
//!
//! ```text
//! tallymark show  file:/run/app/metrics.tally
//! tallymark serve file:/run/app/metrics.tally --web.listen-address 0.0.0.0:9099
//! ```
//!
//! Each command is one file of `command/`: its arguments, its help, what it does. Data goes to stdout, everything said
//! about it to stderr, nothing is coloured.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done; also if whoever reads stdout has heard enough and closed the pipe |
//! | 1 | the arguments are fine, but the store cannot be read, the address not be listened on, or stdout not be written; `check` or `doctor` found something |
//! | 2 | the arguments are not understood |
//!
//! Nothing here knows how numbers are kept (`tallymark`) or sent (`tallymark-transport`).

mod clock;
mod command;
mod error;
mod groups;
mod lint;
mod output;
mod overview;
mod promql;
mod relations;
mod rows;
mod selector;
mod source;
mod store;
mod table;
mod units;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Parser;

use command::Command;
use error::Error;

/// Prometheus metrics that add up across processes
#[derive(Parser)]
#[command(
    name = "tallymark",
    version,
    after_help = "\
Exit codes:
  0  done; a reader that closes the pipe early is no error
  1  it could not be done, or check or doctor found something
  2  the arguments are not understood"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Runs the command that the arguments ask for, the first of which is the program's name; returns the exit code.
///
/// Writes to this process's stdout and stderr. `serve` returns only after SIGINT or SIGTERM.
///
/// ```
/// assert_eq!(tallymark_cli::run(["tallymark", "show", "file:/nowhere/metrics.tally"]), 1);
/// assert_eq!(tallymark_cli::run(["tallymark", "no-such-command"]), 2);
/// ```
pub fn run(arguments: impl IntoIterator<Item: Into<OsString> + Clone>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, to stdout and with 0. If it cannot be printed, nobody listens.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(Error::USAGE);
        }
    };
    // A server has a log of its own, and a screen no place for one.
    if !matches!(cli.command, Command::Serve(_) | Command::Top(_)) {
        talk();
    }
    match cli.command.run() {
        Ok(()) => 0,
        Err(Error::Ended(status)) => status,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            error.exit_code()
        }
    }
}

/// What the libraries have to say, of a store in trouble for one thing, goes to stderr.
fn talk() {
    let mut logger = env_logger::builder();
    // A series that finds no room at first is tried again, and what comes of it is this command's to say.
    logger.filter_level(log::LevelFilter::Warn).filter_module("tallymark::family", log::LevelFilter::Off);
    logger.format(|out, record| writeln!(out, "tallymark: {}", record.args()));
    // Fails where whoever calls this library listens already.
    let _ = logger.try_init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_put_together_without_contradiction() {
        super::Cli::command().debug_assert();
    }
}
