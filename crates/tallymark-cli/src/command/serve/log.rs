//! What the libraries have to say while the server runs (a store in trouble, clients turned away), on stderr.

use std::io::Write;

use env_logger::fmt::Formatter;
use log::{LevelFilter, Record};

use crate::clock::since_1970;

/// What is worth saying: the Pushgateway's names.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// How it is written.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// [TIME LEVEL] TEXT, for people; the Pushgateway's name, without its keys
    Logfmt,
    /// A JSON object a line
    Json,
}

/// Begins to write.
pub(super) fn start(level: Level, format: Format) {
    let level = match level {
        Level::Debug => LevelFilter::Debug,
        Level::Info => LevelFilter::Info,
        Level::Warn => LevelFilter::Warn,
        Level::Error => LevelFilter::Error,
    };
    let mut builder = env_logger::builder();
    builder.filter_level(level).format_target(false);
    if format == Format::Json {
        builder.format(json);
    }
    // Fails where whoever calls this library listens already.
    let _ = builder.try_init();
}

fn json(formatter: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let now = since_1970().as_secs_f64();
    let level = record.level().as_str().to_ascii_lowercase();
    let line = serde_json::json!({ "time": now, "level": level, "msg": record.args().to_string() });
    writeln!(formatter, "{line}")
}
