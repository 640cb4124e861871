//! The ledger on real servers.

use std::time::{Duration, Instant};

use super::super::Ledger;
use super::super::contract::contract;
use super::scripts::Road;
use super::server::{Cluster, Server};
use super::{Redis, Target};

/// A ledger on the server of a URL.
pub(super) fn ledger(url: &str) -> Redis {
    Redis::new(Target::parse(url, None).unwrap(), "tallymark".to_owned(), None, Duration::from_secs(10))
}

fn with_functions() -> (Server, Redis) {
    let server = Server::start(&[]);
    let ledger = ledger(&server.url());
    (server, ledger)
}

fn with_scripts() -> (Server, Redis) {
    let (server, mut ledger) = with_functions();
    ledger.scripts.road = Road::Scripts;
    (server, ledger)
}

fn on_a_cluster() -> (Cluster, Redis) {
    let cluster = Cluster::start();
    let ledger = ledger(&cluster.url());
    (cluster, ledger)
}

mod functions {
    super::contract!(super::with_functions);
}

mod scripts {
    super::contract!(super::with_scripts);
}

mod cluster {
    super::contract!(super::on_a_cluster);
}
