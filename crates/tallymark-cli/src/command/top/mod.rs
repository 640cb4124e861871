//! `tallymark top`: what a source holds and how it moves, on a terminal, until it is told to stop.
//!
//! Readings come from a thread, so that a store that does not answer keeps nobody from leaving. What they come to is
//! `state.rs`, how it looks `view.rs`; here is only the terminal.

mod state;
mod view;

use std::io::{IsTerminal, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use tallymark::model::Snapshot;

use crate::clock::since_1970;
use crate::error::Error;
use crate::source::Source;
use state::{Flow, State};

/// How long a key waits for the screen to be looked at again.
const TICK: Duration = Duration::from_millis(50);
/// How long it may take to end after a signal.
const GRACE: Duration = Duration::from_secs(1);

/// Watch what a store holds: values, rates and how they move
#[derive(clap::Args)]
#[command(after_help = "\
Keys: arrows move, Enter shows a family's series, Esc goes back, / filters, s sorts by the next
column, r turns the order around, space pauses, ? helps, q quits.

Examples:
  tallymark top file:/run/app/metrics.tally
  tallymark top http://127.0.0.1:9099 --interval 5")]
pub(crate) struct Top {
    /// A store's URL, http://HOST:PORT/metrics, or a file with metrics
    #[arg(value_name = "SOURCE", env = "TALLYMARK_STORE", hide_env_values = true)]
    source: String,

    /// How many seconds lie between two readings
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    interval: Duration,
}

/// What was read, and when in seconds since the Unix epoch.
struct Reading {
    at: f64,
    read: Result<Snapshot, String>,
}

impl Top {
    pub(crate) fn run(self) -> Result<(), Error> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|kind| kind == "dumb");
        if self.source == "-" || !stdin().is_terminal() || !stdout().is_terminal() || is_dumb {
            return Err(Error::NoTerminal);
        }
        let source = Source::open(&self.source)?;
        let name = source.name().to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let signals = Signals::new([SIGTERM, SIGHUP, SIGINT, SIGQUIT]).map_err(Error::Signals)?;
        let told = Arc::clone(&stop);
        thread::spawn(move || end(signals, &told));
        let (sender, readings) = channel();
        let interval = self.interval;
        // It ends with the process: it may be waiting for a store.
        thread::spawn(move || read(&source, interval, &sender));
        // What was done before it failed is undone: the terminal is somebody's.
        let mut terminal = ratatui::try_init().inspect_err(|_| ratatui::restore()).map_err(Error::Stdout)?;
        let state = State::new(name, has_unicode());
        let watched = watch(&mut terminal, state, &readings, &stop);
        ratatui::restore();
        watched.map_err(Error::Stdout)
    }
}

/// Ends it all at a signal. The library that reads the terminal goes on trying when that has gone, and is not waited for.
fn end(mut signals: Signals, stop: &AtomicBool) {
    signals.forever().next();
    stop.store(true, Ordering::Relaxed);
    thread::sleep(GRACE);
    // Nobody may be there to be told.
    let _ = ratatui::try_restore();
    std::process::exit(i32::from(Error::FAILURE));
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    mut state: State,
    readings: &Receiver<Reading>,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let mut is_new = true;
    while !stop.load(Ordering::Relaxed) {
        for Reading { at, read } in readings.try_iter() {
            state.read(at, read);
            is_new = true;
        }
        if is_new {
            terminal.draw(|frame| view::draw(frame, &mut state))?;
        }
        is_new = event::poll(TICK)?;
        if is_new
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
            && state.key(key) == Flow::Quit
        {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads, again and again, until nobody listens.
fn read(source: &Source, interval: Duration, readings: &Sender<Reading>) {
    let mut next = Instant::now();
    loop {
        let read = source.snapshot().map_err(|error| error.to_string());
        let at = since_1970().as_secs_f64();
        if readings.send(Reading { at, read }).is_err() {
            return;
        }
        // After a reading that took longer than the interval there is no catching up.
        next = (next + interval).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// Whether the terminal shows more than ASCII, as far as the environment says.
fn has_unicode() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
    let locale = locale.to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let number = text.parse().ok().filter(|seconds| (0.1..=86_400.0).contains(seconds));
    number.map(Duration::from_secs_f64).ok_or("not a number of seconds from 0.1 to 86400")
}
