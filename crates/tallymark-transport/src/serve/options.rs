//! What a server allows its clients: every bound, with its default and the reason for it.
//!
//! The defaults are meant for a metrics port inside a working application: a handful of scrapers, now and then a person,
//! and whatever a port scan sends. They must never need tuning for that; nothing here knows how a bound is enforced.

use std::time::Duration;

/// How a [`Server`](crate::Server) listens and what it allows its clients.
///
/// ```
/// use tallymark_transport::Options;
///
/// let options = Options { reuse_port: true, ..Options::default() };
/// assert_eq!(options.max_scrapes, 16);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whether other sockets may listen on the same port (`SO_REUSEPORT`), so that every worker process can start its
    /// own server and the kernel spreads connections over them. Default: `false`.
    ///
    /// All of them must ask for it, and run as the same user. Only with a store that the workers share is every
    /// worker's answer the whole answer.
    pub reuse_port: bool,

    /// Whether answers are compressed for clients that accept it. Default: `true`.
    pub compression: bool,

    /// Whether clients that ask for protobuf get it. Default: `false`, as with the official client.
    ///
    /// A Prometheus that wants native histograms or start times asks for it before all else.
    pub protobuf: bool,

    /// How many clients may be connected at once. Default: 128.
    ///
    /// One more is closed at once instead of waiting in the kernel's backlog: its scrape then fails now, and visibly,
    /// not later by a timeout; and where workers share the port, its next attempt may reach another one. The number
    /// leaves room for a few scrapers with all their connections, and stays far from the common limit of 1,024 open
    /// files, which belong to the application.
    pub max_connections: usize,

    /// How many scrapes may run at once, each on a thread that may block. Default: 16; at least 1.
    ///
    /// One more is answered with 503. More would not help: scrapes mostly wait for the same lock or the same core.
    pub max_scrapes: usize,

    /// How long a client may take to send the head of its request, counted from its connection or, on one that was
    /// kept alive, from the first byte. Default: 10 seconds. After that the connection is closed without an answer.
    pub header_timeout: Duration,

    /// How long a connection is kept for the next request. Default: 2 minutes, twice the scrape interval that
    /// Prometheus has by default, so that a scraper finds its connection where it left it.
    pub idle_timeout: Duration,

    /// How long a client may take to receive its whole answer. Default: 1 minute. After that the connection is closed.
    ///
    /// It is the whole and not the time without progress: otherwise a byte now and then keeps an answer in memory
    /// forever.
    pub write_timeout: Duration,

    /// The largest head (request line and headers) that is read, in bytes. Default: 16 KiB; a larger one is answered
    /// with 431. Many `name[]` parameters are the only reason to raise it.
    pub max_header_bytes: usize,

    /// How long requests that are running at [`shutdown`](crate::Server::shutdown) may still take. Default: 2 seconds,
    /// well inside the grace that process managers give.
    pub shutdown_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            reuse_port: false,
            compression: true,
            protobuf: false,
            max_connections: 128,
            max_scrapes: 16,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(60),
            max_header_bytes: 16 * 1024,
            shutdown_timeout: Duration::from_secs(2),
        }
    }
}
