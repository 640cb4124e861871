//! To a Pushgateway, or to `tallymark serve`, which takes the same requests: a group of metrics by its labels.
//!
//! The body is the text format 0.0.4, which every Pushgateway reads, and gzip where it is worth it.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tallymark_model::encode;
use tallymark_model::name::is_legacy_label;
use tallymark_model::{Escaping, Snapshot};

use super::{Client, PushError};

/// Bodies from this size on are compressed: a smaller one fits into a packet as it is.
const WORTH_COMPRESSING: usize = 1400;

/// What is not written as it is in a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What a push does to the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// What is pushed takes the place of the whole group.
    Put,
    /// What is pushed takes the place of the families of its names; the group's others stay.
    Post,
    /// The group is removed.
    Delete,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

/// A gateway and one group in it.
pub struct Pushgateway {
    client: Client,
    path: String,
}

impl Pushgateway {
    /// The group at this path, as [`group_path`] writes it; an empty one if the client's URL has it already.
    pub fn new(client: Client, path: String) -> Pushgateway {
        Pushgateway { client, path }
    }

    /// Sends the snapshot; with [`Method::Delete`] it is not looked at. `headers` go with this request.
    ///
    /// # Errors
    /// [`PushError::Refused`] with what the gateway said, [`PushError::Unreachable`] if it said nothing,
    /// [`PushError::Encode`] if the text format cannot carry the snapshot.
    pub fn push(&self, method: Method, snapshot: &Snapshot, headers: &[(&str, &str)]) -> Result<(), PushError> {
        let mut body = Vec::new();
        let mut headers = headers.to_vec();
        if method != Method::Delete {
            encode::text(snapshot, Escaping::Underscores, &mut body)?;
            headers.push(("Content-Type", "text/plain; version=0.0.4; charset=utf-8"));
            if body.len() >= WORTH_COMPRESSING {
                body = gzip(&body);
                headers.push(("Content-Encoding", "gzip"));
            }
        }
        let answer = self.client.send(method.as_str(), &self.path, &headers, &body)?;
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        let url = format!("{}{}", self.client.name().trim_end_matches('/'), self.path);
        Err(PushError::Refused { url, status: answer.status, message: answer.body })
    }
}

/// The path of a group: `/metrics/job/JOB/LABEL/VALUE…`. Values with a slash, and empty ones, are written in base64.
///
/// ```
/// use tallymark_transport::push::group_path;
/// let labels = [("instance".to_owned(), "a/b c".to_owned())];
/// assert_eq!(group_path("nightly", &labels)?, "/metrics/job/nightly/instance@base64/YS9iIGM");
/// assert!(group_path("", &[]).is_err());
/// # Ok::<(), tallymark_transport::push::PushError>(())
/// ```
///
/// # Errors
/// [`PushError::Group`] for an empty job, and for a label name that is none or is `job` again.
pub fn group_path(job: &str, labels: &[(String, String)]) -> Result<String, PushError> {
    if job.is_empty() {
        return Err(PushError::Group("the job has no name; a gateway keeps groups by job".to_owned()));
    }
    let mut path = format!("/metrics{}", segment("job", job));
    for (name, value) in labels {
        if !is_legacy_label(name) || name.starts_with("__") || name == "job" {
            let problem =
                "is no name of a label that a group can have; letters, digits and _ are, and job is given by itself";
            return Err(PushError::Group(format!("{name:?} {problem}")));
        }
        path.push_str(&segment(name, value));
    }
    Ok(path)
}

fn segment(name: &str, value: &str) -> String {
    if value.is_empty() {
        // Nothing, in base64, would be no part of a path.
        return format!("/{name}@base64/=");
    }
    if value.contains('/') || value == "." || value == ".." {
        return format!("/{name}@base64/{}", URL_SAFE_NO_PAD.encode(value));
    }
    format!("/{name}/{}", utf8_percent_encode(value, ESCAPED))
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // A vector takes everything.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_one_part_of_a_path() {
        for (value, part) in [
            ("web-1.example", "/instance/web-1.example"),
            ("ü 1+2", "/instance/%C3%BC%201%2B2"),
            ("a/b", "/instance@base64/YS9i"),
            ("", "/instance@base64/="),
            ("..", "/instance@base64/Li4"),
        ] {
            let path = group_path("j", &[("instance".to_owned(), value.to_owned())]).unwrap();

            assert_eq!(path, format!("/metrics/job/j{part}"));
        }
    }

    #[test]
    fn a_name_that_no_group_can_have_is_refused() {
        for name in ["job", "__name__", "a-b", ""] {
            assert!(group_path("j", &[(name.to_owned(), "v".to_owned())]).is_err(), "{name}");
        }
    }
}
