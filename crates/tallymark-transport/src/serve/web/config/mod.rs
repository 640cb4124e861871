//! Who may come and how: the configuration file and the file of tokens, read, and read again when they change.
//!
//! ```text
//! file     what is written          tls ─ clients     what TLS is spoken, to whom
//! files    which versions were      users   tokens    who may do what
//!          read
//! ```
//!
//! A file that is broken at the start is an error. One that is broken later makes every request fail until it is mended:
//! the server forgets what it knew, so that a slip never opens what was closed. A file that is written in place may be
//! read by halves, and half of one may be a good file that guards less. So one that guards less than the last good one is
//! a broken one, too: whoever means it starts the server anew. Whether TLS is spoken is decided at the start.

mod clients;
mod error;
mod file;
mod files;
mod tls;
mod tokens;
mod users;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use rustls::ServerConfig;
use tokio::time::Instant;

use super::rate::{Bucket, Rate};
use clients::Asked;
pub use error::ConfigError;
use file::{HttpFile, RateFile, WebFile};
use files::Files;
pub(super) use tokens::{Scope, Tokens};
pub(super) use users::Users;

/// The headers that a file may ask for, with the values that each may have; none: any.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

/// What the files say.
pub(super) struct Config {
    pub(super) tls: Option<Arc<ServerConfig>>,
    asked: Asked,
    pub(super) users: Option<Users>,
    pub(super) tokens: Option<Tokens>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) bucket: Option<Bucket>,
}

/// Where the files are, and what holds without them.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) config: Option<PathBuf>,
    pub(super) tokens: Option<PathBuf>,
    pub(super) rate: Option<Rate>,
}

/// The files' present configuration.
pub(super) struct Watched {
    places: Places,
    state: Mutex<State>,
}

struct State {
    files: Files,
    /// `None` while a file is broken.
    config: Option<Arc<Config>>,
    /// The last good one: a client that is told of a broken file is told so over TLS, and the next guards as much.
    last: Arc<Config>,
}

impl Watched {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn new(places: Places) -> Result<Watched, ConfigError> {
        let mut files = Files::default();
        let config = Arc::new(load(&places, &mut files)?);
        Ok(Watched { places, state: Mutex::new(State { files, config: Some(config.clone()), last: config }) })
    }

    /// Whether clients must speak TLS.
    pub(super) fn speaks_tls(&self) -> bool {
        self.state().last.tls.is_some()
    }

    /// What the files say now; `None` while they are broken.
    ///
    /// Looks at the files first. That is a few system calls and, after a change, reading a few kilobytes: what a disk
    /// answers at once.
    pub(super) fn now(&self) -> Option<Arc<Config>> {
        self.look().config.clone()
    }

    /// What a new connection is begun with.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.look().last.tls.clone()
    }

    fn look(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        if state.files.have_changed() {
            let mut files = Files::default();
            match load(&self.places, &mut files).and_then(|config| self.keep(&state.last, config)) {
                Ok(config) => {
                    log::info!("the server's configuration has been read again");
                    state.last = Arc::new(config);
                    state.config = Some(state.last.clone());
                }
                Err(error) => {
                    log::error!("{error}; every request is refused until this is mended");
                    state.config = None;
                }
            }
            state.files = files;
        }
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses files that guard less than the last good ones did, or that begin or end TLS.
    fn keep(&self, last: &Config, config: Config) -> Result<Config, ConfigError> {
        let lost = |path: &Option<PathBuf>, what: &str| {
            let problem = format!("{what}, as in a file that is half written; if it is meant, restart the server");
            ConfigError::new(path.as_deref().unwrap_or(Path::new("")), problem)
        };
        if config.tls.is_some() != last.tls.is_some() {
            return Err(lost(&self.places.config, "tls_server_config came or went"));
        }
        if config.asked.is_less_than(last.asked) {
            return Err(lost(&self.places.config, "less is asked of clients' certificates than before"));
        }
        if config.users.is_none() && last.users.is_some() {
            return Err(lost(&self.places.config, "basic_auth_users went"));
        }
        let unbound = config.tokens.as_ref().zip(last.tokens.as_ref()).is_some_and(|(now, last)| now.unbind(last));
        if unbound {
            return Err(lost(&self.places.tokens, "a token is no longer bound to its job"));
        }
        Ok(config)
    }
}

fn load(places: &Places, files: &mut Files) -> Result<Config, ConfigError> {
    let (tls, asked) = (None, Asked::default());
    let mut config = Config { tls, asked, users: None, tokens: None, headers: Vec::new(), bucket: None };
    let mut rate = places.rate;
    if let Some(path) = &places.config {
        let refuse = |problem: String| ConfigError::new(path, problem);
        let file: WebFile = file::parse(&files.read(path)?).map_err(refuse)?;
        if let Some(tls) = &file.tls_server_config {
            config.tls = Some(tls::server_config(path, tls, files)?);
            config.asked = Asked::of(tls).map_err(refuse)?;
        }
        config.users = Users::new(file.basic_auth_users.unwrap_or_default()).map_err(refuse)?;
        config.headers = headers(file.http_server_config.unwrap_or_default()).map_err(refuse)?;
        if let Some(limit) = file.rate_limit {
            rate = parse_rate(&limit).map_err(refuse)?;
        }
    }
    if let Some(path) = &places.tokens {
        let entries = file::parse(&files.read(path)?).and_then(Tokens::new);
        config.tokens = Some(entries.map_err(|problem| ConfigError::new(path, problem))?);
    }
    config.bucket = rate.map(|rate| Bucket::new(rate, Instant::now()));
    Ok(config)
}

fn headers(file: HttpFile) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let read = |(name, value): (String, String)| {
        let refuse = |problem: String| format!("http_server_config: headers: {problem}");
        let Some((_, values)) = HEADERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)) else {
            return Err(refuse(format!("{name:?}; there are {}", HEADERS.map(|(known, _)| known).join(", "))));
        };
        if !values.is_empty() && !values.contains(&&*value) {
            return Err(refuse(format!("{name}: {value:?}; there is {}", values.join(", "))));
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse(format!("{name:?}")))?;
        let value = HeaderValue::from_str(&value).map_err(|_| refuse(format!("{name}: not a header's value")))?;
        Ok((name, value))
    };
    file.headers.into_iter().filter(|(_, value)| !value.is_empty()).map(read).collect()
}

/// An interval of 0 is no limit, as in the Prometheus tools.
fn parse_rate(file: &RateFile) -> Result<Option<Rate>, String> {
    let interval = parse_duration(&file.interval)
        .ok_or_else(|| format!("rate_limit: interval: {:?}; give a duration such as 100ms, 1s or 1m", file.interval))?;
    match (interval.is_zero(), file.burst) {
        (true, _) => Ok(None),
        (false, 0) => Err("rate_limit: burst: 0 would refuse every request; give at least 1".to_owned()),
        (false, burst) => Ok(Some(Rate { interval, burst })),
    }
}

/// A duration of one unit, as Go writes it: `1.5s`, `100ms`.
fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let number = text.trim_end_matches(|letter: char| letter.is_alphabetic());
    let unit = match text.get(number.len()..)? {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "" if number == "0" => 1.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

#[cfg(test)]
mod tests;
