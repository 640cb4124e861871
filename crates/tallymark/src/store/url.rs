//! What a store's URL says.
//!
//! `KIND:ADDRESS?OPTION=VALUE&…`. Nothing is opened here, and no password leaves this file but to the store it is for.

use std::path::Path;
#[cfg(feature = "sqlite")]
use std::path::PathBuf;
#[cfg(feature = "sqlite")]
use std::time::Duration;

#[cfg(feature = "sqlite")]
use super::groups;
#[cfg(feature = "sqlite")]
use crate::limits::Limits;

/// A URL, taken apart.
pub(crate) struct Address<'a> {
    /// `memory`, `file`, `sqlite`, `redis`, …
    pub(crate) kind: &'a str,
    /// What stands behind the colon, without the options.
    pub(crate) rest: &'a str,
    pub(crate) options: Vec<(String, String)>,
}

impl<'a> Address<'a> {
    pub(crate) fn parse(url: &'a str) -> Option<Address<'a>> {
        let (kind, rest) = url.split_once(':')?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let options = form_urlencoded::parse(query.as_bytes());
        Some(Address { kind, rest, options: options.into_owned().filter(|(name, _)| !name.is_empty()).collect() })
    }

    /// The path of a store that is a file.
    pub(crate) fn path(&self) -> Result<&'a Path, String> {
        let path = self.rest.strip_prefix("//").unwrap_or(self.rest);
        if path.is_empty() { Err("no path".to_owned()) } else { Ok(Path::new(path)) }
    }
}

/// How a store of many hosts is used.
#[derive(Clone)]
#[cfg(feature = "sqlite")]
pub(crate) struct Settings {
    /// The store, as it may be shown.
    pub(crate) url: String,
    /// What this host is called.
    pub(crate) instance: String,
    /// Where the spool is; `None` in memory.
    pub(crate) spool_path: Option<PathBuf>,
    /// How often it is drained.
    pub(crate) interval: Duration,
    /// How long one answer of the store may take.
    pub(crate) timeout: Duration,
    /// How long this host's processes are taken to live when it is silent.
    pub(crate) lease: Duration,
    /// Whether there is no thread that drains.
    pub(crate) sync: bool,
    pub(crate) limits: Limits,
    /// Where its pushed groups are.
    pub(crate) groups: groups::Place,
}

/// The options of a store of many hosts that all kinds share, and the rest of them.
#[cfg(feature = "sqlite")]
pub(crate) struct SharedOptions {
    pub(crate) instance: Option<String>,
    pub(crate) spool: Option<String>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) lease: Duration,
    pub(crate) sync: bool,
}

#[cfg(feature = "sqlite")]
impl SharedOptions {
    /// Takes its options out of `options`; what is left is for the kind of store to know.
    pub(crate) fn take(options: &mut Vec<(String, String)>) -> Result<SharedOptions, String> {
        let mut found = SharedOptions {
            instance: None,
            spool: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            lease: Duration::from_secs(30),
            sync: false,
        };
        let mut left = Vec::new();
        for (name, value) in options.drain(..) {
            match &*name {
                "instance" => found.instance = Some(value),
                "spool" => found.spool = Some(value),
                "interval" => found.interval = seconds(&name, &value)?,
                "timeout" => found.timeout = seconds(&name, &value)?,
                "lease" => found.lease = seconds(&name, &value)?,
                "sync" => found.sync = truth(&name, &value)?,
                _ => left.push((name, value)),
            }
        }
        *options = left;
        Ok(found)
    }
}

/// A positive number of seconds, up to a hundred years.
#[cfg(feature = "sqlite")]
pub(crate) fn seconds(name: &str, value: &str) -> Result<Duration, String> {
    let number: Option<f64> = value.parse().ok().filter(|number| (1e-3..=3e9).contains(number));
    let refuse = || format!("{name}={value}: not a number of seconds such as 0.5 or 3600");
    number.map(Duration::from_secs_f64).ok_or_else(refuse)
}

#[cfg(feature = "sqlite")]
fn truth(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" | "" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("{name}={value}: neither true nor false")),
    }
}

/// What is said of an option that nobody knows; never a part of a password that has a question mark.
pub(crate) fn unknown(name: &str, value: &str, known: &str) -> String {
    if name.contains('@') || value.contains('@') {
        return format!("an unknown option (there are {known}); a question mark in a password is written %3F");
    }
    format!("{name}={value}: an unknown option (there are {known})")
}

/// A URL as it may be shown: what stands between `//` and `@` is left out.
pub(crate) fn without_password(url: &str) -> String {
    match (url.find("//"), url.rfind('@')) {
        (Some(start), Some(end)) if start + 2 < end => format!("{}…{}", &url[..start + 2], &url[end..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "redis://me:secret@host/0",
            "redis://:secret@h",
            "rediss://a:secret@b@c:1/2?x=secret@",
            "redis+cluster://u:secret@a,b",
        ] {
            assert!(!without_password(url).contains("secret"), "{}", without_password(url));
        }
        assert_eq!(without_password("file:///a/b"), "file:///a/b");
    }

    #[test]
    fn an_address_is_taken_apart() {
        let address = Address::parse("file:///run/a.tally?mode=0660&x=a%20b").unwrap();
        assert_eq!((address.kind, address.path().unwrap()), ("file", Path::new("/run/a.tally")));
        assert_eq!(address.options, [("mode".to_owned(), "0660".to_owned()), ("x".to_owned(), "a b".to_owned())]);
        assert!(Address::parse("nothing").is_none());
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn seconds_are_positive_numbers() {
        assert_eq!(seconds("ttl", "0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "0", "-1", "inf", "nan", "1h", "1e300"] {
            assert!(seconds("ttl", wrong).is_err(), "{wrong}");
        }
    }
}
