//! The server's own metrics: under the Pushgateway's names where it has them, so that its dashboards go on working.
//!
//! They live in this process's memory and begin at zero with it.

use std::time::Duration;

use hyper::{Method, StatusCode};
use tallymark::{Counter, Error, Family, Gauge, Registry, Summary};
use tallymark_model::{Kind, Snapshot};

/// What the server counts of itself.
pub(super) struct Own {
    registry: Registry,
    requests: Family<Counter>,
    push_seconds: Family<Summary>,
    push_bytes: Family<Summary>,
    refused: Family<Counter>,
    clients: Gauge,
    bodies: Gauge,
}

impl Own {
    pub(super) fn new() -> Own {
        Own::define().expect("the names are valid, and different")
    }

    fn define() -> Result<Own, Error> {
        let registry = Registry::new();
        let build = registry.info("tallymark_build", "The version of this server.").register_one()?;
        build.set(&[("version", env!("CARGO_PKG_VERSION"))])?;
        Ok(Own {
            requests: registry
                .counter("pushgateway_http_requests", "Requests answered, by status, path and method.")
                .label_names(["code", "handler", "method"])
                .register()?,
            push_seconds: registry
                .summary("pushgateway_http_push_duration_seconds", "How long pushes took, from head to answer.")
                .label_names(["method"])
                .register()?,
            push_bytes: registry
                .summary("pushgateway_http_push_size_bytes", "How large the bodies of pushes were, as they were sent.")
                .label_names(["method"])
                .register()?,
            refused: registry
                .counter("tallymark_http_refused", "Requests and connections that were refused, by reason.")
                .label_names(["reason"])
                .register()?,
            clients: registry.gauge("tallymark_http_connections", "Clients that are connected.").register_one()?,
            bodies: registry
                .gauge("tallymark_http_bodies_bytes", "How much room the bodies of requests take.")
                .register_one()?,
            registry,
        })
    }

    /// The families that there are, with the names that pushes could have.
    pub(super) fn families(&self) -> Vec<(String, Kind)> {
        let families = self.snapshot().families.into_iter();
        families.map(|family| (family.family.text_name().into_owned(), family.family.kind())).collect()
    }

    /// Counts a request that was answered.
    pub(super) fn answered(&self, handler: &str, method: &Method, status: StatusCode) {
        if let Ok(requests) = self.requests.with(&[status.as_str(), handler, name(method)]) {
            requests.inc();
        }
    }

    /// Counts a push that the gateway has answered.
    pub(super) fn pushed(&self, method: &Method, bytes: usize, took: Duration) {
        if let Ok(seconds) = self.push_seconds.with(&[name(method)]) {
            seconds.observe(took.as_secs_f64());
        }
        if let Ok(sizes) = self.push_bytes.with(&[name(method)]) {
            sizes.observe(bytes as f64);
        }
    }

    /// Counts what was refused.
    pub(super) fn refused(&self, reason: &str) {
        if let Ok(refused) = self.refused.with(&[reason]) {
            refused.inc();
        }
    }

    /// Notes how many clients are connected.
    pub(super) fn connected(&self, clients: usize) {
        self.clients.set(clients as f64);
    }

    /// Notes how much room bodies take.
    pub(super) fn holding(&self, bytes: usize) {
        self.bodies.set(bytes as f64);
    }

    /// All of it.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.registry.snapshot()
    }
}

/// A method as a label. Clients make up methods, so all that nothing here has are one.
fn name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "get",
        "HEAD" => "head",
        "OPTIONS" => "options",
        "PUT" => "put",
        "POST" => "post",
        "DELETE" => "delete",
        _ => "other",
    }
}
