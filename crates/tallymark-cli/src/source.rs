//! Where a command reads metrics from: a store, somebody's `/metrics`, a file, or stdin.
//!
//! Every command that looks at metrics takes the same word for them and reads them here, so that what can be shown can
//! also be checked and sent. Reading changes no number. What is done with them is not known here.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Read};
use std::time::Duration;

use tallymark::model::{FamilySnapshot, Snapshot, parse};
use tallymark::{Groups, Store};
use tallymark_transport::gateway::{self, Gateway};
use tallymark_transport::push::{Client, ClientOptions};

use crate::error::Error;
use crate::store;

/// How long a store of many hosts, or a server, may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most that a server may answer: some millions of series. More is taken for an endless answer, which would fill the
/// memory.
const LARGEST_ANSWER: u64 = 1 << 30;

/// What servers are asked for: OpenMetrics, which says more than the text format.
const WANTED: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8,\
                      text/plain;version=1.0.0;escaping=allow-utf-8;q=0.8,text/plain;version=0.0.4;q=0.7,*/*;q=0.1";

/// The kinds of stores, as their URLs begin.
const STORES: [&str; 8] =
    ["memory:", "file:", "sqlite:", "redis:", "rediss:", "unix:", "redis+cluster:", "rediss+cluster:"];

/// Metrics that can be read, once or again and again.
pub(crate) struct Source {
    /// What it is called in messages: never with a password.
    name: String,
    place: Place,
}

enum Place {
    Store { store: Store, pushed: Box<Gateway> },
    Url(Client),
    File(String),
    Stdin,
}

/// An exposition as somebody wrote it.
pub(crate) struct Text {
    /// The text.
    pub(crate) body: String,
    /// Whether it is OpenMetrics; else it is the text format.
    pub(crate) is_openmetrics: bool,
}

/// What was read.
pub(crate) enum Reading {
    /// What a store holds.
    Snapshot(Snapshot),
    /// What somebody wrote.
    Text(Text),
}

impl Source {
    /// Opens a store that is there; of the other sources it only understands the name.
    ///
    /// - a store's URL, such as `file:/run/app/metrics.tally`;
    /// - `http://…` or `https://…`, which may have `user:password@`; without a path it is that of `/metrics`;
    /// - `-`, which is stdin;
    /// - anything else is the path of a file with an exposition.
    ///
    /// # Errors
    /// As [`store::open_existing`], and [`Error::Push`] for a URL that is none.
    pub(crate) fn open(source: &str) -> Result<Source, Error> {
        if source == "-" {
            return Ok(Source { name: "stdin".to_owned(), place: Place::Stdin });
        }
        if source.starts_with("http://") || source.starts_with("https://") {
            let client = client(&address(source))?;
            return Ok(Source { name: client.name(), place: Place::Url(client) });
        }
        if is_file(source) {
            return Ok(Source { name: source.to_owned(), place: Place::File(source.to_owned()) });
        }
        let store = store::open_existing(source)?;
        let pushed = Box::new(Gateway::open(Groups::open(&store)?, gateway::Options::default()));
        Ok(Source { name: store.url(), place: Place::Store { store, pushed } })
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The families and their values, whatever the source is.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`Error::Source`] with the line that is no metric.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Error> {
        match self.read()? {
            Reading::Snapshot(snapshot) => Ok(snapshot),
            Reading::Text(text) => text.snapshot().map_err(|error| self.trouble(error.to_string())),
        }
    }

    /// What the source holds: of a store the numbers, of all others the text as it came.
    ///
    /// # Errors
    /// [`Error::Store`] if the store does not answer, [`Error::Push`] if the server does not, [`Error::Source`] if the
    /// file cannot be read, or what is there is no text.
    pub(crate) fn read(&self) -> Result<Reading, Error> {
        match &self.place {
            Place::Store { store, pushed } => {
                let counted = store::snapshot(store, PATIENCE)?;
                self.with_pushed(counted, pushed).map(Reading::Snapshot)
            }
            Place::Url(client) => {
                let answer = client.get(WANTED, LARGEST_ANSWER)?;
                let content_type = answer.content_type.as_deref();
                if content_type.is_some_and(|found| found.starts_with("text/html")) {
                    let problem = "the server answered a web page; give the URL of its metrics, often …/metrics";
                    return Err(self.trouble(problem.to_owned()));
                }
                self.text(answer.bytes, content_type).map(Reading::Text)
            }
            Place::File(path) => {
                let bytes = fs::read(path).map_err(|error| self.trouble(format!("{error}; {}", Source::KINDS)))?;
                self.text(bytes, None).map(Reading::Text)
            }
            Place::Stdin => {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes).map_err(|error| self.trouble(error.to_string()))?;
                self.text(bytes, None).map(Reading::Text)
            }
        }
    }

    /// What was counted, with the groups that were pushed to a gateway over the store.
    fn with_pushed(&self, counted: Snapshot, pushed: &Gateway) -> Result<Snapshot, Error> {
        let groups = pushed.snapshot().map_err(|error| self.trouble(error.to_string()))?;
        let (all, conflicts) = Snapshot::union([counted, groups]);
        conflicts.iter().for_each(|conflict| log::warn!("{}: {conflict}", self.name));
        Ok(all)
    }

    /// What can be read, for messages.
    const KINDS: &str = "a source is a store's URL such as file:/run/app/metrics.tally, a URL http://…, a file with metrics, or - for stdin";

    fn text(&self, bytes: Vec<u8>, content_type: Option<&str>) -> Result<Text, Error> {
        if bytes.starts_with(b"TALLYMRK") {
            return Err(self.trouble(format!("a store, not a text of metrics; write file:{}", self.name)));
        }
        Text::new(bytes, content_type).map_err(|error| self.trouble(error.to_string()))
    }

    fn trouble(&self, problem: String) -> Error {
        Error::Source { source_name: self.name.clone(), problem }
    }
}

impl Text {
    /// The text that the bytes are; without a content type it is OpenMetrics if it ends as that does.
    fn new(bytes: Vec<u8>, content_type: Option<&str>) -> Result<Text, parse::ParseError> {
        let body = match String::from_utf8(bytes) {
            Ok(body) => body,
            Err(error) => parse::utf8(error.as_bytes())?.to_owned(),
        };
        let is_openmetrics = match content_type {
            Some(found) => found.trim_start().starts_with("application/openmetrics-text"),
            None => body.trim_end_matches('\n').lines().next_back() == Some("# EOF"),
        };
        Ok(Text { body, is_openmetrics })
    }

    /// The families of the text, with their names as they are written.
    ///
    /// A text that is not quite as it should be is read as the official Python client does, which Prometheus' own server is
    /// as patient as; if that does not help either, the error is the strict reader's.
    fn snapshot(&self) -> Result<Snapshot, parse::ParseError> {
        let strictly = if self.body.ends_with('\n') {
            self.strictly()
        } else {
            Text { body: format!("{}\n", self.body), ..*self }.strictly()
        };
        if self.is_openmetrics || strictly.is_ok() {
            return strictly.map(|families| Snapshot { families });
        }
        let patiently = parse::text(&self.body).map(|family| family.map(FamilySnapshot::from)).collect();
        let families: Result<Vec<FamilySnapshot>, _> = patiently;
        families.or(strictly).map(|families| Snapshot { families })
    }

    /// The families of the text, or the first thing in it that is not as its format demands.
    ///
    /// # Errors
    /// [`parse::ParseError`] with the line.
    pub(crate) fn strictly(&self) -> Result<Vec<FamilySnapshot>, parse::ParseError> {
        if self.is_openmetrics {
            return parse::openmetrics(&self.body).map(|family| family.map(FamilySnapshot::from)).collect();
        }
        parse::strict_text(&self.body, usize::MAX)
    }
}

/// What a server answers at a URL, which may have `user:password@`: the URL without them, and the body.
///
/// # Errors
/// [`Error::Push`] if it cannot be reached, or answers no success.
pub(crate) fn fetch(url: &str, accept: &str) -> Result<(String, Vec<u8>), Error> {
    let client = client(url)?;
    let body = client.get(accept, LARGEST_ANSWER)?;
    Ok((client.name(), body.bytes))
}

fn client(url: &str) -> Result<Client, Error> {
    Ok(Client::new(url, ClientOptions { timeout: PATIENCE, ..ClientOptions::default() })?)
}

/// Whether the word is a path: neither a store's URL nor something that wants to be one.
fn is_file(source: &str) -> bool {
    if STORES.iter().any(|kind| source.starts_with(kind)) {
        return false;
    }
    let kind = source.split_once(':').map_or("", |(kind, _)| kind);
    let is_kind = kind.len() > 1 && kind.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    !is_kind || fs::exists(source).unwrap_or(false)
}

/// A URL with the path that it means.
fn address(url: &str) -> Cow<'_, str> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match path {
        "" | "/" => Cow::Owned(format!("{scheme}://{authority}/metrics")),
        path if path.starts_with('?') => Cow::Owned(format!("{scheme}://{authority}/metrics{path}")),
        _ => Cow::Borrowed(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_that_of_the_metrics_and_its_password_is_kept_out_of_messages() {
        for (url, name) in [
            ("http://host:9090", "http://host:9090/metrics"),
            ("http://host/", "http://host/metrics"),
            ("http://host?name[]=a", "http://host/metrics?name[]=a"),
            ("https://host/a/b?c", "https://host/a/b?c"),
            ("http://me:a%40b@[::1]:1", "http://[::1]:1/metrics"),
            ("http://me@host/x", "http://host/x"),
            ("http://me:1/cret@host", "http://host"),
        ] {
            assert_eq!(Source::open(url).unwrap().name(), name, "{url}");
        }
    }

    #[test]
    fn an_at_sign_behind_the_host_is_no_user_s() {
        for (url, meant) in [
            ("http://vm/federate?match[]={user=%22a@b%22}", "http://vm/federate?match[]={user=%22a@b%22}"),
            ("http://vm/team@shop", "http://vm/team@shop"),
            ("http://me@vm?user=a@b", "http://me@vm/metrics?user=a@b"),
        ] {
            assert_eq!(address(url), meant);
            assert!(Source::open(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_looks_like_a_url_is_no_file() {
        for (source, expected) in [
            ("metrics.txt", true),
            ("./a:b", true),
            ("a/b:c", true),
            ("file:/a", false),
            ("redis+cluster://a,b", false),
            ("carrier-pigeon:coop", false),
        ] {
            assert_eq!(is_file(source), expected, "{source}");
        }
    }

    #[test]
    fn openmetrics_is_known_by_its_type_or_by_its_end() {
        let text = |body: &str, content_type| Text::new(body.as_bytes().to_vec(), content_type).unwrap().is_openmetrics;

        assert!(text("a 1\n# EOF\n", None));
        assert!(text("a 1\n# EOF", None));
        assert!(!text("# EOF\na 1\n", None));
        assert!(!text("a 1\n# EOF\n", Some("text/plain")));
        assert!(text("a 1\n", Some("application/openmetrics-text; version=1.0.0")));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_line() {
        let refused = Text::new(b"a 1\n\xff 2\n".to_vec(), None).err().unwrap();

        assert_eq!("line 2: the byte 0xff is not UTF-8", refused.to_string());
    }
}
