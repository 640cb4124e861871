//! What goes wrong with a server, in the ledger's words: a kind, and a sentence that says what to do.

use redis::{ErrorKind, RedisError};

use super::super::{Reason, Trouble};
use super::target::Target;

/// What servers say in capitals at the beginning of an error, or somewhere within where a script failed.
const CODES: [(&str, Reason, &str); 20] = [
    ("OOM", Reason::Full, "raise its maxmemory, or give Tallymark a server of its own"),
    ("READONLY", Reason::ReadOnly, "a replica takes no changes; name the primary"),
    ("MISCONF", Reason::ReadOnly, "it cannot save its data; see its own log"),
    ("MASTERDOWN", Reason::NotReady, "its primary is away"),
    ("NOREPLICAS", Reason::NotReady, "it waits for its replicas"),
    ("LOADING", Reason::NotReady, "it is reading its data"),
    ("BUSY", Reason::NotReady, "it runs somebody's script"),
    ("TRYAGAIN", Reason::NotReady, "keys are being moved"),
    ("CLUSTERDOWN", Reason::NotReady, "a part of the cluster is away"),
    ("MOVED", Reason::NotReady, "a member of a cluster; write redis+cluster://"),
    ("ASK", Reason::NotReady, "a member of a cluster; write redis+cluster://"),
    ("UNBLOCKED", Reason::NotReady, "it is failing over"),
    ("NOSCRIPT", Reason::NotReady, "it forgot the script at once"),
    ("NOAUTH", Reason::Denied, "give a user and password: redis://user:password@host"),
    ("WRONGPASS", Reason::Denied, "check the user and the password"),
    ("NOPERM", Reason::Denied, "give the user the permissions that the documentation lists"),
    ("DENIED", Reason::Denied, "it accepts its own host only: protected mode"),
    ("WRONGTYPE", Reason::Foreign, "another program's key; choose another prefix="),
    ("CROSSSLOT", Reason::Foreign, "not a server that Tallymark knows"),
    ("NOPROTO", Reason::Foreign, "not a server that Tallymark knows"),
];

/// Trouble with this target.
pub(super) fn trouble(target: &Target, reason: Reason, what: &str) -> Trouble {
    Trouble { reason, message: target.scrub(&format!("{target}: {what}")) }
}

/// What an error of a connection or a server means.
pub(super) fn from_error(target: &Target, error: &RedisError) -> Trouble {
    let (reason, what) = meaning(error);
    trouble(target, reason, &what)
}

/// What stands at the end of its wait.
pub(super) fn late() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))
}

/// The kind of trouble that an error is.
pub(super) fn reason(error: &RedisError) -> Reason {
    meaning(error).0
}

fn meaning(error: &RedisError) -> (Reason, String) {
    if error.is_timeout() {
        return (Reason::Timeout, "no answer in time; check that it runs, or raise timeout=".to_owned());
    }
    match error.kind() {
        ErrorKind::Io => io(error),
        ErrorKind::AuthenticationFailed => {
            (Reason::Denied, "does not accept the password; check the user and the password".to_owned())
        }
        ErrorKind::InvalidClientConfig => (Reason::Other, error.to_string()),
        ErrorKind::Parse => (Reason::Foreign, "does not answer as Redis does; check the port".to_owned()),
        _ => said(error),
    }
}

fn io(error: &RedisError) -> (Reason, String) {
    let what = if error.is_connection_refusal() {
        "nobody listens there; start the server, or check host and port".to_owned()
    } else {
        let text = error.to_string();
        match text.contains("certificate") {
            true => format!("its certificate is not accepted ({text}); name the file of its authority with ca="),
            false => format!("no connection ({text}); check host, port and network"),
        }
    };
    (Reason::Unreachable, what)
}

/// What a server said itself.
fn said(error: &RedisError) -> (Reason, String) {
    let (code, detail) = (error.code().unwrap_or("ERR"), error.detail().unwrap_or_default());
    let said = format!("says {code} {detail}");
    let words = || [code].into_iter().chain(detail.split(|c: char| !c.is_ascii_uppercase()));
    let known = words().find_map(|word| CODES.iter().find(|(code, ..)| *code == word));
    if let Some((_, reason, advice)) = known {
        return (*reason, format!("{said}; {advice}"));
    }
    let lower = detail.to_lowercase();
    for (part, reason, advice) in [
        ("can't run this command", Reason::Denied, "give the user the permissions that the documentation lists"),
        ("without any password", Reason::Denied, "it has no password; leave it away"),
        ("max number of clients", Reason::NotReady, "raise its maxclients"),
        ("unknown command", Reason::Foreign, "not a server that Tallymark knows"),
        ("db index is out of range", Reason::Other, "choose another database"),
    ] {
        if lower.contains(part) {
            return (reason, format!("{said}; {advice}"));
        }
    }
    (Reason::Other, said)
}

/// Whether the server has no functions, or this user may not use them.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    let detail = error.detail().unwrap_or_default().to_lowercase();
    error.code() == Some("NOPERM") || detail.contains("unknown command")
}

/// Whether the server does not have what it is asked to run, which it can be given.
pub(super) fn is_missing(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT") || error.detail().is_some_and(|detail| detail.contains("Function not found"))
}
