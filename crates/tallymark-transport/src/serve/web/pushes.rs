//! Placeholder until the gateway is merged.
use super::super::SourceError;
use super::super::handler::respond;
use super::super::service::Answer;
use hyper::{HeaderMap, Method, StatusCode};
use tallymark_model::Snapshot;
pub struct Gateway;
impl Gateway {
    pub(super) fn answer(&self, _: &Method, _: &str, _: Option<&str>, _: &HeaderMap, _: &[u8]) -> Answer {
        respond(StatusCode::NOT_IMPLEMENTED, &[], Vec::new())
    }
    pub(super) fn snapshot(&self) -> Result<Snapshot, SourceError> {
        Ok(Snapshot::default())
    }
    pub(super) fn ping(&self) -> Result<(), SourceError> {
        Ok(())
    }
}
pub(super) fn job(path: &str) -> Option<String> {
    path.strip_prefix("/metrics/job/").map(|j| j.split('/').next().unwrap_or("").to_owned())
}
