//! `tallymark serve`: what stores hold and what is pushed, over HTTP, until it is told to stop.
//!
//! For stores whose processes have no port of their own, or do not live until the scrape, and for jobs that push. Without
//! a store it is a gateway that keeps what is pushed in memory.

mod flags;
mod log;
mod stores;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use listenfd::ListenFd;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tallymark::{Groups, Store};
use tallymark_transport::serve::{Web, listen};
use tallymark_transport::{ServeError, Server};

use crate::error::Error;
use flags::{Limits, Listening, Pushing};

/// Files that are open beside connections: stores, logs, a certificate being read.
const OTHER_FILES: u64 = 256;

/// Serve what stores hold and what is pushed, over HTTP
///
/// Metrics are at /metrics, a page for people at /, pushes go to /metrics/job/NAME.
///
/// Ends with 0 at SIGINT (Ctrl-C) or SIGTERM, when what has come is answered; at a second one, at once.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tallymark serve file:/run/app/metrics.tally
  tallymark serve redis://metrics.internal/0 --web.listen-address :9091 --push.aggregate
  tallymark serve sqlite:/var/lib/app/metrics.db --web.config.file /etc/tallymark/web.yml
  tallymark serve --web.listen-address 127.0.0.1:0   (a gateway in memory, on a free port)")]
pub(crate) struct Serve {
    /// Stores' URLs, such as file:/run/app/metrics.tally [default: memory:]
    ///
    /// They are made if they are not there. What is pushed is kept beside the first.
    #[arg(value_name = "STORE", env = "TALLYMARK_STORE", hide_env_values = true)]
    stores: Vec<String>,

    /// The same as STORE file:PATH
    #[arg(long = "persistence.file", value_name = "PATH", conflicts_with = "stores")]
    persistence_file: Option<PathBuf>,

    /// Accepted for the Pushgateway's sake: every push is kept before it is answered
    #[arg(long = "persistence.interval", value_name = "DURATION", value_parser = flags::duration, hide = true)]
    _persistence_interval: Option<Duration>,

    #[command(flatten)]
    listening: Listening,

    #[command(flatten)]
    pushing: Pushing,

    #[command(flatten)]
    limits: Limits,

    /// What is said on stderr
    #[arg(long = "log.level", value_name = "LEVEL", value_enum, default_value_t = log::Level::Info)]
    log_level: log::Level,

    /// How it is written
    #[arg(long = "log.format", value_name = "FORMAT", value_enum, default_value_t = log::Format::Logfmt)]
    log_format: log::Format,
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Error> {
        log::start(self.log_level, self.log_format);
        let stores = stores::open(self.urls())?;
        let urls: Vec<String> = stores.iter().map(Store::url).collect();
        let groups = Groups::open(stores.first().unwrap_or(&Store::Memory))?;
        let sources = stores.iter().map(stores::series).collect();

        let options = self.limits.server();
        allow_files(options.max_connections);
        let web = flags::web(&self.listening, &self.limits);
        let path = format!("{}{}", web.route_prefix, web.telemetry_path);
        let web = Web::new(web, self.pushing.gateway(), &options, sources, groups).map_err(Error::Config)?;
        let scheme = if web.speaks_tls() { "https" } else { "http" };
        let (listeners, addrs) = self.listen()?;

        // Before the URL is told: whoever reads it may send a signal at once.
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Error::Signals)?;
        let server = Arc::new(Server::serve(listeners, options, web)?);
        let at: Vec<String> = addrs.iter().map(|addr| format!("{scheme}://{addr}{path}")).collect();
        // If nobody reads stderr, that is no reason not to serve.
        let _ = writeln!(io::stderr(), "serving {} at {}", urls.join(", "), at.join(", "));
        let told = server.clone();
        thread::spawn(move || {
            let mut signals = signals.forever();
            signals.next();
            told.shutdown();
            // Whoever asks again does not want to wait for the clients. If this process cannot be ended so, it ends soon.
            if let Some(signal) = signals.next() {
                let _ = emulate_default_handler(signal);
            }
        });
        server.join();
        Ok(())
    }

    /// The stores' URLs, in whichever way they were named.
    fn urls(&self) -> Vec<String> {
        let file = self.persistence_file.iter().map(|path| format!("file:{}", path.display()));
        self.stores.iter().cloned().chain(file).collect()
    }

    /// The sockets, with their addresses.
    fn listen(&self) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), Error> {
        if !self.listening.systemd {
            let listening = self.listening.addresses.iter().map(|address| listen(address.clone(), false));
            return Ok(listening.collect::<Result<Vec<_>, ServeError>>()?.into_iter().unzip());
        }
        let mut passed = ListenFd::from_env();
        let mut taken = Vec::new();
        for index in 0..passed.len() {
            let socket = passed.take_tcp_listener(index).map_err(Error::Systemd)?;
            taken.extend(socket.map(|socket| socket.local_addr().map(|addr| (socket, addr))));
        }
        if taken.is_empty() {
            return Err(Error::Systemd(io::Error::other("it passed none (LISTEN_FDS, LISTEN_PID)")));
        }
        Ok(taken.into_iter().collect::<io::Result<Vec<_>>>().map_err(Error::Systemd)?.into_iter().unzip())
    }
}

/// Asks for as many open files as there may be connections: 1,024 is what most systems give, and more what they allow.
fn allow_files(connections: usize) {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    // What cannot be had is told when a connection is turned away.
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < wanted.min(hard)
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard);
    }
}
