//! `tallymark serve`: a store's `/metrics`, until it is told to stop.
//!
//! For stores whose processes have no port of their own, or do not live until the scrape. It serves what is in the
//! store and counts nothing itself.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::io::{self, Write};
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tallymark::Registry;
use tallymark::model::Snapshot;
use tallymark_transport::{Options, Server, Source, SourceError};

use crate::error::Error;
use crate::store;

/// Serve what a store holds, as /metrics over HTTP
///
/// Ends with 0 at SIGINT (Ctrl-C) or SIGTERM.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tallymark serve file:/run/app/metrics.tally
  tallymark serve file:/run/app/metrics.tally --listen 0.0.0.0:9099
  tallymark serve file:/run/app/metrics.tally --listen 127.0.0.1:0   (a free port)")]
pub(crate) struct Serve {
    /// The store's URL, such as file:/run/app/metrics.tally; made if it is not there
    #[arg(value_name = "STORE", env = "TALLYMARK_STORE", hide_env_values = true)]
    store: String,

    /// The address to listen on; port 0 is a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9099", value_parser = host_and_port)]
    listen: String,
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Error> {
        say_on_stderr();
        let registry = Registry::with_store(store::open(&self.store)?);
        // Before the URL is told: whoever reads it may send a signal at once.
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Error::Signals)?;
        let options = Options { protobuf: true, ..Options::default() };
        let server = Server::bind(&*self.listen, options, Arc::new(Scrapes(registry)))?;
        // If nobody reads stderr, that is no reason not to serve.
        let _ = writeln!(io::stderr(), "serving {} at http://{}/metrics", self.store, server.local_addr());
        signals.forever().next();
        server.shutdown();
        server.join();
        Ok(())
    }
}

/// Answers scrapes from a store.
struct Scrapes(Registry);

impl Source for Scrapes {
    fn snapshot(&self, names: &[String]) -> Result<Snapshot, SourceError> {
        let snapshot = self.0.snapshot();
        if names.is_empty() {
            return Ok(snapshot);
        }
        let names: HashSet<&str, RandomState> = names.iter().map(String::as_str).collect();
        Ok(snapshot.restrict(&names))
    }
}

/// What the libraries have to say while this runs (a store in trouble, clients turned away) goes to stderr.
fn say_on_stderr() {
    // Fails where whoever calls this library listens already.
    let _ = env_logger::builder().filter_level(log::LevelFilter::Info).format_target(false).try_init();
}

/// Accepts what has the form of an address; whether this host has it turns out when it is listened on.
fn host_and_port(address: &str) -> Result<String, &'static str> {
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(address.to_owned()),
        _ => Err("not HOST:PORT, such as 127.0.0.1:9099, 0.0.0.0:9099 or [::]:9099"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for address in ["127.0.0.1:9099", "[::1]:0", "localhost:65535"] {
            assert_eq!(host_and_port(address), Ok(address.to_owned()));
        }
        for address in ["", "9099", ":9099", "localhost", "localhost:", "localhost:65536", "localhost:http"] {
            assert!(host_and_port(address).is_err(), "{address}");
        }
    }
}
