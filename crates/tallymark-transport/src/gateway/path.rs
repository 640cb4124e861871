//! What a URL says: the labels of the group that is pushed to.
//!
//! `/metrics/job/JOB` and then names and values in turn. A name that ends in `@base64` has a value in the URL's base64,
//! which may hold a slash, or nothing, written `=`. The path is decoded before it is taken apart, as the Pushgateway
//! does: an encoded slash separates like a plain one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;
use tallymark_model::name::{check_label, is_legacy_label};

use super::refusal::Refusal;
use super::scrapeable::colliding;

/// What comes before the group's labels.
const PREFIX: &str = "/metrics/job";
const BASE64: &str = "@base64";

/// The labels that tell a group from others, `job` among them.
pub(super) type Key = BTreeMap<String, String>;

/// Whether the path is one that groups are pushed to.
///
/// ```
/// use tallymark_transport::gateway::is_group;
/// assert!(is_group("/metrics/job/backup") && is_group("/metrics/job@base64/YS9i"));
/// assert!(!is_group("/metrics/job/") && !is_group("/metrics"));
/// ```
pub fn is_group(path: &str) -> bool {
    let rest = path.strip_prefix(PREFIX).map(|rest| rest.strip_prefix(BASE64).unwrap_or(rest));
    rest.is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
}

/// The labels that a group's path names. With `utf8_names`, names that start with `U__` are read as the scheme `values`
/// writes them, and may be any text.
pub(super) fn key(path: &str, utf8_names: bool) -> Result<Key, Refusal> {
    let path = decoded(path)?;
    let rest = path.strip_prefix(PREFIX).unwrap_or_default();
    let (encoded, rest) = match rest.strip_prefix(BASE64) {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let (job, labels) = rest.split_once('/').unwrap_or((rest, ""));
    let job = if encoded { base64("job", job)? } else { job.to_owned() };
    if job.is_empty() {
        return Err(Refusal::malformed("the job's name is empty; push to /metrics/job/NAME"));
    }
    let mut key = Key::new();
    if !labels.is_empty() {
        let parts: Vec<&str> = labels.split('/').collect();
        let (pairs, rest) = parts.as_chunks::<2>();
        if !rest.is_empty() {
            let reason = format!("{labels:?} is not label names with a value each; an empty value is NAME@base64/=");
            return Err(Refusal::malformed(reason));
        }
        for [name, value] in pairs {
            let (name, value) = match name.strip_suffix(BASE64) {
                Some(name) => (name, base64(name, value)?),
                None => (*name, (*value).to_owned()),
            };
            key.insert(label_name(name, utf8_names)?, value);
        }
    }
    key.insert("job".to_owned(), job);
    if let Some([one, other]) = colliding(key.keys().map(String::as_str)) {
        let reason =
            format!("the labels {one:?} and {other:?} are one to whoever asks for names without quotes; rename one");
        return Err(Refusal::malformed(reason));
    }
    Ok(key)
}

/// The path with `%2F` and its like read; a `%` before anything else is one.
fn decoded(path: &str) -> Result<Cow<'_, str>, Refusal> {
    percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| Refusal::malformed(format!("the path {path:?} is not UTF-8; label values must be")))
}

/// The text in the URL's base64, with or without padding.
fn base64(name: &str, text: &str) -> Result<String, Refusal> {
    let refuse = |problem: &str| {
        Refusal::malformed(format!(
            "the value {text:?} of {name:?} is not {problem}; it takes the alphabet of URLs (RFC 4648, section 5)"
        ))
    };
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| refuse("base64"))?;
    String::from_utf8(bytes).map_err(|_| refuse("UTF-8 in base64"))
}

fn label_name(name: &str, utf8_names: bool) -> Result<String, Refusal> {
    let name = match name.strip_prefix("U__") {
        Some(rest) if utf8_names => unescaped(rest).ok_or_else(|| {
            let reason = format!("the label name {name:?} is not escaped as U__… says; . is _2e_, _ is __");
            Refusal::malformed(reason)
        })?,
        _ => name.to_owned(),
    };
    if name.is_empty() || !(utf8_names || is_legacy_label(&name)) {
        let reason = format!("{name:?} is no label name; it takes letters, digits and _, and no digit first");
        return Err(Refusal::malformed(reason));
    }
    check_label(&name, false).map_err(|error| Refusal::malformed(format!("{error}; choose another label name")))?;
    Ok(name)
}

/// A name that was escaped by the scheme `values`, without its `U__`.
fn unescaped(escaped: &str) -> Option<String> {
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        let (before, after) = rest.split_at(at);
        name.push_str(before);
        let after = after.strip_prefix('_')?;
        if let Some(after) = after.strip_prefix('_') {
            name.push('_');
            rest = after;
            continue;
        }
        let (digits, after) = after.split_once('_')?;
        let is_hex = !digits.is_empty() && digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        name.push(u32::from_str_radix(digits, 16).ok().filter(|_| is_hex).and_then(char::from_u32)?);
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The labels of a path, or what is wrong with it.
    fn labels(path: &str) -> Result<Vec<(String, String)>, String> {
        key(path, false).map(|key| key.into_iter().collect()).map_err(|refusal| refusal.reason)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_path_names_its_labels() {
        for (path, expected) in [
            ("/metrics/job/a", &[("job", "a")][..]),
            ("/metrics/job/a/", &[("job", "a")]),
            ("/metrics/job/a/b/c", &[("b", "c"), ("job", "a")]),
            ("/metrics/job/a/b/", &[("b", ""), ("job", "a")]),
            ("/metrics/job/a%20b%/c/%2", &[("c", "%2"), ("job", "a b%")]),
            ("/metrics/job/a/x/%C3%A9+", &[("job", "a"), ("x", "é+")]),
            ("/metrics/job@base64/YS9i", &[("job", "a/b")]),
            ("/metrics/job@base64/YQ==", &[("job", "a")]),
            ("/metrics/job/a/x@base64/Lw", &[("job", "a"), ("x", "/")]),
            ("/metrics/job/a/x@base64/=", &[("job", "a"), ("x", "")]),
            ("/metrics/job/a/x/1/x/2/job/b", &[("job", "a"), ("x", "2")]),
        ] {
            assert_eq!(labels(path), Ok(pairs(expected)), "{path}");
        }
    }

    #[test]
    fn what_a_path_gets_wrong_is_named() {
        for (path, reason) in [
            ("/metrics/job/a/b", "\"b\" is not label names with a value each"),
            ("/metrics/job/a/b/c/", "\"b/c/\" is not label names"),
            ("/metrics/job/a%2Fb", "\"b\" is not label names"),
            ("/metrics/job@base64/=", "the job's name is empty"),
            ("/metrics/job@base64/a!", "the value \"a!\" of \"job\" is not base64"),
            ("/metrics/job/a/x@base64/_-8", "the value \"_-8\" of \"x\" is not UTF-8"),
            ("/metrics/job/a/__b/c", "Reserved label"),
            ("/metrics/job/a/b-c/d", "\"b-c\" is no label name"),
            ("/metrics/job/a/@base64/Lw", "\"\" is no label name"),
            ("/metrics/job/%ff", "the path \"/metrics/job/%ff\" is not UTF-8"),
        ] {
            let found = labels(path).unwrap_err();
            assert!(found.contains(reason), "{path}: {found}");
        }
    }

    #[test]
    fn names_of_any_text_are_read_where_they_are_allowed() {
        let read = |path| key(path, true).map(|key| key.into_keys().collect::<Vec<_>>().join(","));

        assert_eq!(read("/metrics/job/a/U__k8s_2e_pod__name/x"), Ok("job,k8s.pod_name".to_owned()));
        assert_eq!(read("/metrics/job/a/U__host/x"), Ok("host,job".to_owned()));
        assert!(read("/metrics/job/a/U___zz_/x").is_err());
        assert!(read("/metrics/job/a/U___d800_/x").is_err());
        assert!(read("/metrics/job/a/U______name/x").is_err());
        assert!(read("/metrics/job/a/U__a_2e_b/x/a_b/y").is_err());
        assert_eq!(labels("/metrics/job/a/U__k/x").unwrap()[0].0, "U__k");
    }

    proptest! {
        #[test]
        fn any_path_is_read_or_refused(path in "(/metrics/job(@base64)?/)?\\PC{0,40}", utf8: bool) {
            let _ = key(&path, utf8);
        }

        #[test]
        fn any_value_comes_through_base64(value in "\\PC{0,20}") {
            let path = format!("/metrics/job/a/x@base64/{}", URL_SAFE_NO_PAD.encode(&value));
            prop_assert_eq!(key(&path, false).unwrap().remove("x"), Some(value));
        }
    }
}
