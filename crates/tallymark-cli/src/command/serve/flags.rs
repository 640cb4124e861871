//! The flags of `tallymark serve`, under the Pushgateway's names where it has them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use tallymark_transport::Options;
use tallymark_transport::gateway;
use tallymark_transport::serve::WebOptions;

/// Where to listen, and who may come.
#[derive(clap::Args)]
#[command(next_help_heading = "Listening")]
pub(super) struct Listening {
    /// An address to listen on: :9099 is all of this host's, port 0 a free one; may be repeated
    #[arg(
        long = "web.listen-address",
        alias = "listen",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9099",
        value_parser = host_and_port
    )]
    pub(super) addresses: Vec<Address>,

    /// Take the sockets that systemd passes, instead of addresses
    #[arg(long = "web.systemd-socket", conflicts_with = "addresses")]
    pub(super) systemd: bool,

    /// A file with TLS, users and headers, in the Prometheus exporter toolkit's format
    #[arg(long = "web.config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// A file with tokens and what each may do: push, scrape, admin
    #[arg(long = "web.tokens.file", value_name = "FILE")]
    tokens_file: Option<PathBuf>,

    /// The path of the metrics; at / there is no page
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path)]
    telemetry_path: String,

    /// The URL that clients know; its path is the default of --web.route-prefix
    #[arg(long = "web.external-url", value_name = "URL", value_parser = path_of_url)]
    external_path: Option<String>,

    /// What stands before every path
    #[arg(long = "web.route-prefix", value_name = "PATH", value_parser = route_prefix)]
    route_prefix: Option<String>,

    /// Let clients end the server: PUT or POST /-/quit
    #[arg(long = "web.enable-lifecycle")]
    lifecycle: bool,

    /// Let clients delete all groups: PUT /api/v1/admin/wipe
    #[arg(long = "web.enable-admin-api")]
    admin_api: bool,
}

/// What becomes of what is pushed.
#[derive(clap::Args)]
#[command(next_help_heading = "Pushing")]
pub(super) struct Pushing {
    /// Add what is pushed to what was, unless a push says otherwise [default: replace it]
    #[arg(long = "push.aggregate")]
    aggregate: bool,

    /// Forget a group so long after its last push, unless that says otherwise [default: never]
    #[arg(long = "push.ttl", value_name = "DURATION", value_parser = duration)]
    ttl: Option<Duration>,

    /// Series of all groups together; a push of more is refused
    #[arg(long = "push.max-series", value_name = "N", default_value = "1000000")]
    max_series: usize,

    /// Bytes of all groups together, as they are shown; a push of more is refused
    #[arg(long = "push.max-bytes", value_name = "BYTES", default_value = "256MiB", value_parser = bytes)]
    max_bytes: usize,

    /// The largest body of a push when it is unpacked; a larger one gets 413
    #[arg(long = "push.max-decoded", value_name = "BYTES", default_value = "64MiB", value_parser = bytes)]
    max_decoded: usize,

    /// Let paths name labels with any text, written U__...
    #[arg(long = "push.enable-utf8-names")]
    utf8_names: bool,

    /// Accepted for the Pushgateway's sake: checking costs what the push costs, and is done
    #[arg(long = "push.disable-consistency-check", hide = true)]
    _unchecked: bool,
}

impl Pushing {
    /// What a gateway is told.
    pub(super) fn gateway(&self) -> gateway::Options {
        let flags = [
            ("push.aggregate", self.aggregate.to_string()),
            ("push.enable-utf8-names", self.utf8_names.to_string()),
            ("push.max-bytes", self.max_bytes.to_string()),
            ("push.max-decoded", self.max_decoded.to_string()),
            ("push.max-series", self.max_series.to_string()),
            ("push.ttl", self.ttl.map_or(String::new(), |ttl| format!("{ttl:?}"))),
        ];
        gateway::Options {
            aggregate: self.aggregate,
            ttl: self.ttl,
            max_series: self.max_series,
            max_bytes: self.max_bytes,
            max_decoded_bytes: self.max_decoded,
            utf8_names: self.utf8_names,
            build: vec![("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())],
            flags: flags.map(|(name, value)| (name.to_owned(), value)).into(),
            ..gateway::Options::default()
        }
    }
}

/// How much clients may ask of the server.
#[derive(clap::Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct Limits {
    /// Clients connected at once; one more is closed
    #[arg(long = "web.max-connections", value_name = "N", default_value = "4096")]
    connections: usize,

    /// Scrapes at once; one more gets 503
    #[arg(long = "web.max-scrapes", value_name = "N", default_value = "16")]
    scrapes: usize,

    /// Pushes worked on at once; others wait
    #[arg(long = "web.max-pushes", value_name = "N", default_value = "4")]
    pushes: usize,

    /// The largest body of a push, as it is sent; a larger one gets 413
    #[arg(long = "web.max-body", value_name = "BYTES", default_value = "16MiB", value_parser = bytes)]
    body: usize,

    /// All bodies that are held at once; one that finds no room gets 503
    #[arg(long = "web.max-bodies", value_name = "BYTES", default_value = "64MiB", value_parser = bytes)]
    bodies: usize,

    /// Requests a second, and as many at once; one more gets 429 [default: any number]
    #[arg(long = "web.max-requests-per-second", value_name = "N")]
    requests_per_second: Option<u32>,

    /// How long a client may take to send a request's head
    #[arg(long = "web.header-timeout", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    header_timeout: Duration,

    /// How long a client may take to send a body; then it gets 408
    #[arg(long = "web.body-timeout", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    body_timeout: Duration,

    /// How long a request may wait and be worked on; then it gets 503
    #[arg(long = "web.answer-timeout", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    answer_timeout: Duration,

    /// How long a client may take to receive its answer
    #[arg(long = "web.write-timeout", value_name = "DURATION", default_value = "1m", value_parser = duration)]
    write_timeout: Duration,
}

impl Limits {
    /// What every server has.
    pub(super) fn server(&self) -> Options {
        Options {
            max_connections: self.connections,
            max_scrapes: self.scrapes,
            header_timeout: self.header_timeout,
            write_timeout: self.write_timeout,
            protobuf: true,
            // A push that has come is to be answered; process managers give 10 seconds and more.
            shutdown_timeout: Duration::from_secs(8),
            ..Options::default()
        }
    }
}

/// What this server has.
pub(super) fn web(listening: &Listening, limits: &Limits) -> WebOptions {
    let prefix = listening.route_prefix.clone().or_else(|| listening.external_path.clone());
    WebOptions {
        telemetry_path: listening.telemetry_path.clone(),
        route_prefix: prefix.unwrap_or_default(),
        lifecycle: listening.lifecycle,
        admin_api: listening.admin_api,
        config_file: listening.config_file.clone(),
        tokens_file: listening.tokens_file.clone(),
        max_requests_per_second: limits.requests_per_second,
        max_body_bytes: limits.body,
        max_bodies_bytes: limits.bodies,
        body_timeout: limits.body_timeout,
        max_pushes: limits.pushes,
        answer_timeout: limits.answer_timeout,
    }
}

/// An address as it was given; whether this host has it turns out when it is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A port of all addresses.
    All(u16),
    HostAndPort(String),
}

impl ToSocketAddrs for Address {
    type Iter = std::vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> std::io::Result<Self::Iter> {
        match self {
            // IPv6 takes IPv4 too; the second is for hosts without it.
            Address::All(port) => {
                let all = [(Ipv6Addr::UNSPECIFIED, *port).into(), (Ipv4Addr::UNSPECIFIED, *port).into()];
                Ok(Vec::from(all).into_iter())
            }
            Address::HostAndPort(address) => address.as_str().to_socket_addrs(),
        }
    }
}

fn host_and_port(address: &str) -> Result<Address, &'static str> {
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match parts {
        Some(("", port)) => Ok(Address::All(port)),
        Some(_) => Ok(Address::HostAndPort(address.to_owned())),
        None => Err("not HOST:PORT, such as 127.0.0.1:9099, 0.0.0.0:9099, [::]:9099 or :9099"),
    }
}

/// A path for requests; one that is only a slash is none.
fn path(text: &str) -> Result<String, &'static str> {
    match text.trim_end_matches('/') {
        "" if text == "/" || text.is_empty() => Ok(String::new()),
        path if path.starts_with('/') && !path.contains(['?', '#', ' ']) => Ok(path.to_owned()),
        _ => Err("not a path, such as /metrics"),
    }
}

/// A path that may be the root.
fn telemetry_path(text: &str) -> Result<String, &'static str> {
    path(text).map(|path| if path.is_empty() { "/".to_owned() } else { path })
}

/// A path whose first slash may be left out, as for the Pushgateway.
fn route_prefix(text: &str) -> Result<String, &'static str> {
    path(&format!("/{}", text.trim_start_matches('/')))
}

/// The path of a URL; a URL may be a path alone, as for the Pushgateway.
fn path_of_url(url: &str) -> Result<String, &'static str> {
    let rest = match url.split_once("://") {
        Some(("http" | "https", rest)) => rest.find('/').map_or("", |slash| rest.get(slash..).unwrap_or_default()),
        Some(_) => return Err("not a URL, such as https://metrics.example/push/"),
        None => url,
    };
    path(rest).map_err(|_| "not a URL, such as https://metrics.example/push/")
}

fn bytes(text: &str) -> Result<usize, &'static str> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("" | "B") => 1,
        Some("KiB") => 1 << 10,
        Some("MiB") => 1 << 20,
        Some("GiB") => 1 << 30,
        _ => 0,
    };
    let number = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
    number.filter(|number| *number > 0).ok_or("not a number of bytes such as 65536, 512KiB or 16MiB")
}

pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match text.get(number.len()..) {
        Some("ms") => 0.001,
        Some("s") => 1.0,
        Some("m") => 60.0,
        Some("h") => 3600.0,
        Some("d") => 86_400.0,
        _ => f64::NAN,
    };
    let seconds = number.parse::<f64>().ok().map(|number| number * unit);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or("not a duration such as 500ms, 30s, 5m or 2h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for address in ["127.0.0.1:9099", "[::1]:0", "localhost:65535"] {
            assert_eq!(host_and_port(address), Ok(Address::HostAndPort(address.to_owned())));
        }
        assert_eq!(Ok(Address::All(9091)), host_and_port(":9091"));
        for address in ["", "9099", "localhost", "localhost:", "localhost:65536", "localhost:http"] {
            assert!(host_and_port(address).is_err(), "{address}");
        }
    }

    #[test]
    fn a_url_has_a_path_or_none() {
        for (url, path) in [
            ("https://metrics.example/push/", "/push"),
            ("http://metrics.example", ""),
            ("http://metrics.example/", ""),
            ("/push", "/push"),
            ("/", ""),
        ] {
            assert_eq!(Ok(path.to_owned()), path_of_url(url), "{url}");
        }
        for url in ["ftp://metrics.example/", "metrics.example/push", "http://metrics.example/?a=b"] {
            assert!(path_of_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_path_may_be_the_root_and_a_prefix_may_lack_its_slash() {
        for (text, path) in [("/metrics", "/metrics"), ("/all/", "/all"), ("/", "/")] {
            assert_eq!(Ok(path.to_owned()), telemetry_path(text), "{text}");
        }
        for (text, prefix) in [("push", "/push"), ("/push/", "/push"), ("a/b/", "/a/b"), ("/", ""), ("", "")] {
            assert_eq!(Ok(prefix.to_owned()), route_prefix(text), "{text}");
        }
        assert!(telemetry_path("metrics").is_err());
        assert!(route_prefix("push?a=b").is_err());
    }

    #[test]
    fn amounts_have_units() {
        assert_eq!([Ok(7), Ok(2048), Ok(3 << 20)], ["7", "2KiB", "3MiB"].map(bytes));
        assert_eq!(
            [Ok(90_000), Ok(250), Ok(5_400_000)].map(|ms| ms.map(Duration::from_millis)),
            ["90s", "250ms", "1.5h"].map(duration)
        );
        for wrong in ["", "0", "MiB", "1MB", "-1", "99999999999GiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "10", "s", "-1s", "1 s", "1y", "1e999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
