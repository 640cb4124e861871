//! What a gateway can be told when it is opened, and why the defaults are what they are.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tallymark_model::Kind;

/// How a gateway takes pushes, and how much of them.
#[derive(Clone)]
pub struct Options {
    /// Whether a push is added to its group unless it says otherwise. Default: off, a push takes the place of the last one, as
    /// with the Pushgateway.
    pub aggregate: bool,

    /// After what time without a push a group ends unless its push says otherwise. Default: never.
    pub ttl: Option<Duration>,

    /// How many series all groups together may have, as Prometheus counts them: each bucket is one. Default: 1,000,000, some
    /// 500 MB of memory. A push that would make more is refused with 413.
    pub max_series: usize,

    /// How many bytes all groups together may have: their documents, as they are in the store, and each group's labels once for
    /// each of its series, as they are shown. In memory they take several times the room. Default: 256 MiB. A push that would make more is refused with 413.
    pub max_bytes: usize,

    /// How many bytes a body may have when it is unpacked. Default: 64 MiB, half a million series. A larger one is refused
    /// with 413.
    pub max_decoded_bytes: usize,

    /// How many writers' running totals a series remembers. Default: 10,000, some 600 KB in a group's document. A push of
    /// one more is refused with 413: to forget one that pushes again would count its total twice.
    pub max_writers: usize,

    /// For how long a writer that does not push is remembered. Default: 24 hours. If it pushes again after that, its total
    /// counts whole, as that of a new one.
    pub writers: Duration,

    /// Whether the path may name labels with any text, written `U__…`. Default: off.
    pub utf8_names: bool,

    /// Whether all groups can be wiped by one request. Default: off.
    pub admin: bool,

    /// Names and types of families that the server shows besides the groups: a push of another type is refused.
    pub own: Vec<(String, Kind)>,

    /// What `/api/v1/status` tells of the build.
    pub build: Vec<(String, String)>,

    /// What `/api/v1/status` tells of the flags.
    pub flags: Vec<(String, String)>,

    /// How long the store may take for one request. Default: 10 seconds. What it held before may take longer to be read
    /// first: a minute.
    pub timeout: Duration,

    /// What time it is, in seconds since the Unix epoch.
    pub clock: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            aggregate: false,
            ttl: None,
            max_series: 1_000_000,
            max_bytes: 256 << 20,
            max_decoded_bytes: 64 << 20,
            max_writers: 10_000,
            writers: Duration::from_secs(24 * 3600),
            utf8_names: false,
            admin: false,
            own: Vec::new(),
            build: Vec::new(),
            flags: Vec::new(),
            timeout: Duration::from_secs(10),
            clock: Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |age| age.as_secs_f64())),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("aggregate", &self.aggregate)
            .field("ttl", &self.ttl)
            .field("max_series", &self.max_series)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}
