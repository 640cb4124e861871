//! The pushed groups of a store, for the commands that list, push or delete them: the gateway of `serve` without a server.
//! What a push holds is not known here.

use std::collections::HashMap;
use std::fmt::Write;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tallymark::{Groups, Store};
use tallymark_transport::gateway::{Gateway, Options, Request};
use ureq::http::{HeaderMap, Method};

use crate::error::Error;

/// A group's labels, the job among them.
pub(crate) type Labels = Vec<(String, String)>;

/// The groups that were pushed to a store.
pub(crate) struct PushedGroups {
    gateway: Gateway,
    store: String,
    /// The labels of those that were there at the beginning, as they were pushed, by those that tell groups apart.
    known: HashMap<Labels, Labels>,
}

impl PushedGroups {
    pub(crate) fn open(store: &Store) -> Result<PushedGroups, Error> {
        let options = Options { utf8_names: true, ..Options::default() };
        let gateway = Gateway::open(Groups::open(store)?, options);
        let all = gateway.labels().map_err(|error| trouble(&store.url(), error.to_string()))?;
        let mut known = HashMap::new();
        for labels in all.into_iter().map(|labels| labels.into_iter().collect::<Labels>()) {
            known.entry(telling(&labels)).or_insert(labels);
        }
        Ok(PushedGroups { gateway, store: store.url(), known })
    }

    /// The labels of the group that has these and no others, as it was pushed; empty ones do not tell groups apart here.
    pub(crate) fn find(&self, labels: &[(String, String)]) -> Option<&Labels> {
        self.known.get(&telling(labels))
    }

    /// Asks the gateway to do something to a group.
    pub(crate) fn ask(
        &self,
        method: &Method,
        group: &[(String, String)],
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), Error> {
        let path = path(group);
        let answer = self.gateway.handle(&Request { method, path: &path, query: None, headers, body });
        if answer.status.is_success() {
            return Ok(());
        }
        Err(trouble(&self.store, format!("{path}: {}", String::from_utf8_lossy(&answer.body).trim())))
    }
}

fn trouble(store: &str, problem: String) -> Error {
    Error::Source { source_name: store.to_owned(), problem }
}

/// The labels that tell groups apart, in order: those that say something.
fn telling(labels: &[(String, String)]) -> Labels {
    let mut labels: Labels = labels.iter().filter(|(_, value)| !value.is_empty()).cloned().collect();
    labels.sort();
    labels
}

/// The path under which a gateway knows the group: the job first, then the others, in whatever order.
fn path(group: &[(String, String)]) -> String {
    let encode = |value: &str| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    let mut path = "/metrics".to_owned();
    let job = group.iter().filter(|(name, _)| name == "job");
    for (name, value) in job.chain(group.iter().filter(|(name, _)| name != "job")) {
        if value.is_empty() {
            let _ = write!(path, "/{}@base64/=", encode(name));
        } else if value.contains('/') {
            let _ = write!(path, "/{}@base64/{}", encode(name), base64(value));
        } else {
            let _ = write!(path, "/{}/{}", encode(name), encode(value));
        }
    }
    path
}

fn base64(value: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_s_path_starts_with_its_job_and_takes_any_value() {
        let group = [("instance", "a/b"), ("job", "nightly backup"), ("empty", "")];
        let group = group.map(|(name, value)| (name.to_owned(), value.to_owned()));

        assert_eq!("/metrics/job/nightly%20backup/instance@base64/YS9i/empty@base64/=", path(&group));
    }
}
