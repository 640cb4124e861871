//! What `tallymark serve` allows its clients beside what every [`Server`](crate::Server) does, and where its paths are.

use std::path::PathBuf;
use std::time::Duration;

/// The paths, files and limits of a [`Web`](super::Web).
///
/// ```
/// use tallymark_transport::serve::WebOptions;
///
/// let options = WebOptions { admin_api: true, ..WebOptions::default() };
/// assert_eq!(options.telemetry_path, "/metrics");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct WebOptions {
    /// Where scrapes are answered. Default: `/metrics`. Pushes are at `/metrics/job/…` wherever it is; at `/` there is no
    /// page.
    pub telemetry_path: String,

    /// What stands before every path, such as `/gateway`. Default: nothing.
    pub route_prefix: String,

    /// Whether `PUT /-/quit` ends the server. Default: `false`.
    pub lifecycle: bool,

    /// Whether `PUT /api/v1/admin/wipe` deletes all groups. Default: `false`.
    pub admin_api: bool,

    /// A file with TLS, users, headers and a rate, in the format of the Prometheus exporter toolkit. Default: none.
    pub config_file: Option<PathBuf>,

    /// A file with tokens and what each may do. Default: none.
    pub tokens_file: Option<PathBuf>,

    /// How many requests a second are answered, unless the configuration file has a rate. Default: any number.
    ///
    /// One more is answered with 429. As many as in a second may come at once.
    pub max_requests_per_second: Option<u32>,

    /// The largest body that is read, in bytes as they are sent. Default: 16 MiB; a larger one is answered with 413.
    pub max_body_bytes: usize,

    /// How many bytes of bodies are held at once. Default: 64 MiB; one that finds no room is answered with 503.
    pub max_bodies_bytes: usize,

    /// How long a body may take to come. Default: 30 seconds, what the official clients wait for a push as a whole.
    pub body_timeout: Duration,

    /// How many pushes are worked on at once. Default: 4. Others wait for their turn.
    pub max_pushes: usize,

    /// How long a request may wait and be worked on after it has come. Default: 30 seconds; then it is answered with 503.
    pub answer_timeout: Duration,
}

impl Default for WebOptions {
    fn default() -> Self {
        WebOptions {
            telemetry_path: "/metrics".to_owned(),
            route_prefix: String::new(),
            lifecycle: false,
            admin_api: false,
            config_file: None,
            tokens_file: None,
            max_requests_per_second: None,
            max_body_bytes: 16 << 20,
            max_bodies_bytes: 64 << 20,
            body_timeout: Duration::from_secs(30),
            max_pushes: 4,
            answer_timeout: Duration::from_secs(30),
        }
    }
}
