//! The pushed groups of a store, for the commands that list, push or delete them: the gateway of `serve` without a server.
//! What a push holds is not known here.

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
}

impl PushedGroups {
    pub(crate) fn open(store: &Store) -> Result<PushedGroups, Error> {
        let options = Options { utf8_names: true, ..Options::default() };
        Ok(PushedGroups { gateway: Gateway::open(Groups::open(store)?, options), store: store.url() })
    }

    /// The labels of each, as [`telling`] gives them.
    pub(crate) fn labels(&self) -> Result<Vec<Labels>, Error> {
        let snapshot = self.gateway.snapshot().map_err(|error| self.trouble(error.to_string()))?;
        // The gateway adds a sample of it to each group.
        let of_each = snapshot.families.iter().filter(|family| family.family.name() == "push_time_seconds");
        Ok(of_each.flat_map(|family| family.samples()).map(|sample| telling(&sample.labels)).collect())
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
        Err(self.trouble(format!("{path}: {}", String::from_utf8_lossy(&answer.body).trim())))
    }

    fn trouble(&self, problem: String) -> Error {
        Error::Source { source_name: self.store.clone(), problem }
    }
}

/// The labels that tell groups apart, in order: those that say something.
pub(crate) fn telling(labels: &[(String, String)]) -> Labels {
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
