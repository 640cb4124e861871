//! Which server a URL means, and as whom to speak to it.
//!
//! Nothing here connects. The password is in no text that this file gives away.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// Redis' own port.
const PORT: u16 = 6379;

/// A server, or a cluster of them.
#[derive(Clone, PartialEq)]
pub(crate) struct Target {
    pub(super) place: Place,
    pub(super) tls: bool,
    /// Certificates that a server's has to be signed by; those of the system if there is no file.
    pub(super) ca: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: u32,
}

#[derive(Clone, PartialEq)]
pub(super) enum Place {
    Server(Address),
    Socket(PathBuf),
    /// Members to ask where the others are.
    Cluster(Vec<Address>),
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Target {
    /// The server of `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS, `unix:/path` (with a user:
    /// `unix://user:password@/path`), and the cluster of `redis+cluster://[…@]host[:port][,host[:port]…]`, with TLS
    /// `rediss+cluster://…`. Without its query; `ca` is the file of certificates that it names.
    pub(crate) fn parse(url: &str, ca: Option<PathBuf>) -> Result<Target, &'static str> {
        let (scheme, rest) = url.split_once(':').ok_or("not a store's URL")?;
        let (tls, rest) = match (scheme, rest.strip_prefix("//")) {
            ("redis" | "redis+cluster", Some(rest)) => (false, rest),
            ("rediss" | "rediss+cluster", Some(rest)) => (true, rest),
            ("unix", after) => (false, after.unwrap_or(rest)),
            ("redis" | "rediss" | "redis+cluster" | "rediss+cluster", None) => return Err("no // behind the scheme"),
            _ => return Err("an unknown kind of store"),
        };
        if ca.is_some() && !tls {
            return Err("ca= is for rediss://");
        }
        // A path may have an @; what stands before the last one is a user in every other case.
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) if !(scheme == "unix" && user.starts_with('/')) => (Some(user), rest),
            _ => (None, rest),
        };
        let (user, password) = user.map_or(Ok((None, None)), credentials)?;
        let (place, database) = if scheme == "unix" { (socket(rest)?, 0) } else { servers(scheme, rest)? };
        Ok(Target { place, tls, ca, user, password, database })
    }

    /// A text without this target's password, whoever wrote it.
    pub(super) fn scrub(&self, text: &str) -> String {
        match self.password.as_deref() {
            Some(password) if !password.is_empty() => text.replace(password, "…"),
            _ => text.to_owned(),
        }
    }
}

fn credentials(text: &str) -> Result<(Option<String>, Option<String>), &'static str> {
    let (user, password) = text.split_once(':').ok_or("a user without a password; write user:password@")?;
    let decoded = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok((!text.is_empty()).then(|| text.into_owned())),
        Err(_) => Err("a user or password that is not UTF-8"),
    };
    let (user, password) = (decoded(user)?, decoded(password)?);
    if user.is_some() && password.is_none() {
        return Err("a user without a password; write user:password@");
    }
    Ok((user, password))
}

fn socket(path: &str) -> Result<Place, &'static str> {
    if !path.starts_with('/') {
        return Err("no absolute path of a socket");
    }
    Ok(Place::Socket(path.into()))
}

fn servers(scheme: &str, rest: &str) -> Result<(Place, u32), &'static str> {
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    let number = if database.is_empty() { Ok(0) } else { database.parse() };
    let number = number.map_err(|_| "the database is not a number")?;
    let mut addresses = hosts.split(',').map(address).collect::<Result<Vec<_>, _>>()?;
    match (scheme.ends_with("+cluster"), addresses.len()) {
        (true, _) if number != 0 => Err("a cluster has no databases but 0"),
        (true, _) => Ok((Place::Cluster(addresses), 0)),
        (false, 1) => Ok((Place::Server(addresses.remove(0)), number)),
        (false, _) => Err("several hosts; a cluster is redis+cluster://"),
    }
}

fn address(text: &str) -> Result<Address, &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or("a [ without its ]")?;
            (host, after.strip_prefix(':').or(after.is_empty().then_some("")).ok_or("no : behind ]")?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if host.is_empty() {
        return Err("no host");
    }
    let port = if port.is_empty() { Ok(PORT) } else { port.parse() };
    Ok(Address { host: host.to_owned(), port: port.map_err(|_| "the port is not a number")? })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// The URL without the password.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.tls { "s" } else { "" };
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        match &self.place {
            Place::Socket(path) if user.is_empty() => write!(f, "unix:{}", path.display()),
            Place::Socket(path) => write!(f, "unix://{user}{}", path.display()),
            Place::Server(address) if self.database == 0 => write!(f, "redis{s}://{user}{address}"),
            Place::Server(address) => write!(f, "redis{s}://{user}{address}/{}", self.database),
            Place::Cluster(seeds) => {
                let seeds: Vec<String> = seeds.iter().map(Address::to_string).collect();
                write!(f, "redis{s}+cluster://{user}{}", seeds.join(","))
            }
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_understood_and_shown_without_their_password() {
        for (url, shown) in [
            ("redis://localhost", "redis://localhost:6379"),
            ("redis://localhost:7000/", "redis://localhost:7000"),
            ("redis://h/3", "redis://h:6379/3"),
            ("redis://:secret@h", "redis://h:6379"),
            ("rediss://bob:secret@h:1/2", "rediss://bob@h:1/2"),
            ("redis://[::1]:7000", "redis://[::1]:7000"),
            ("redis://[::1]", "redis://[::1]:6379"),
            ("redis+cluster://a,b:7001,[::1]:7002", "redis+cluster://a:6379,b:7001,[::1]:7002"),
            ("rediss+cluster://bob:secret@a", "rediss+cluster://bob@a:6379"),
            ("unix:/run/a@b.sock", "unix:/run/a@b.sock"),
            ("unix:///run/a@b.sock", "unix:/run/a@b.sock"),
            ("unix://bob:secret@/run/redis.sock", "unix://bob@/run/redis.sock"),
        ] {
            let target = Target::parse(url, None).unwrap();
            assert_eq!(
                (target.to_string().as_str(), url.contains("secret")),
                (shown, target.password.is_some()),
                "{url}"
            );
            assert!(!format!("{target:?}").contains("secret"), "{url}");
        }
    }

    #[test]
    fn users_and_passwords_are_percent_decoded() {
        let target = Target::parse("redis://b%40b:p%2F%C3%A9:w@h", None).unwrap();
        assert_eq!((target.user.as_deref(), target.password.as_deref()), (Some("b@b"), Some("p/é:w")));
        let raw = Target::parse("redis://:pa/ss@wo%20rd@h", None).unwrap();
        assert_eq!((raw.password.as_deref(), raw.to_string().as_str()), (Some("pa/ss@wo rd"), "redis://h:6379"));
        assert_eq!(raw.scrub("no 'pa/ss@wo rd' here"), "no '…' here");
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused_with_the_reason() {
        for (url, problem) in [
            ("redis:localhost", "no // behind the scheme"),
            ("redis://", "no host"),
            ("redis://h:port", "the port is not a number"),
            ("redis://h:70000", "the port is not a number"),
            ("redis://h/first", "the database is not a number"),
            ("redis://bob@h", "a user without a password; write user:password@"),
            ("redis://bob:@h", "a user without a password; write user:password@"),
            ("redis://:%ff@h", "a user or password that is not UTF-8"),
            ("redis://a,b", "several hosts; a cluster is redis+cluster://"),
            ("redis+cluster://a,", "no host"),
            ("redis+cluster://a/1", "a cluster has no databases but 0"),
            ("redis://[::1", "a [ without its ]"),
            ("redis://[::1]7", "no : behind ]"),
            ("unix:run.sock", "no absolute path of a socket"),
            ("carrier-pigeon://coop", "an unknown kind of store"),
        ] {
            assert_eq!(Target::parse(url, None), Err(problem), "{url}");
        }
        assert_eq!(Target::parse("redis://h", Some("/ca.pem".into())), Err("ca= is for rediss://"));
    }
}
