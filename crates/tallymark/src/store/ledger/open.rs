//! From a URL to a store of many hosts. Nothing is sent, and nobody is asked: a store that is away can be opened.

use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "redis")]
use super::redis::{Redis, Target};
use super::sqlite::Sqlite;
use super::store::LedgerStore;
use super::{Ledger, spool};
use crate::Error;
use crate::limits::Limits;
use crate::store::Store;
use crate::store::groups::Place;
use crate::store::url::{Address, Settings, SharedOptions, unknown};

/// `sqlite:/path/metrics.db`.
pub(crate) fn sqlite(
    address: Address<'_>,
    limits: Limits,
    create: bool,
    refuse: impl Fn(String) -> Error,
) -> Result<Store, Error> {
    let path = std::path::absolute(address.path().map_err(&refuse)?).map_err(|error| refuse(error.to_string()))?;
    if !create && !path.exists() {
        return Err(refuse("no such file".to_owned()));
    }
    let url = format!("sqlite:{}", path.display());
    let what = What { url, groups: Place::beside(&path), beside: Some(path.clone()) };
    open(address, limits, create, what, refuse, move |settings| Box::new(Sqlite::new(path.clone(), settings.timeout)))
}

/// `redis://host:6379/0?prefix=app`, and what else `redis/target.rs` knows.
#[cfg(feature = "redis")]
pub(crate) fn redis(
    mut address: Address<'_>,
    limits: Limits,
    create: bool,
    refuse: impl Fn(String) -> Error,
) -> Result<Store, Error> {
    let (mut prefix, mut shards, mut ca) = ("tallymark".to_owned(), None, None);
    let ours = |(name, _): &mut (String, String)| matches!(&**name, "prefix" | "shards" | "ca");
    for (name, value) in address.options.extract_if(.., ours) {
        match &*name {
            "prefix" => prefix = value,
            "ca" => ca = Some(value.into()),
            _ => shards = Some(value.parse().map_err(|_| refuse(format!("shards={value}: not a number")))?),
        }
    }
    let target = Target::parse(&format!("{}:{}", address.kind, address.rest), ca);
    let target = target.map_err(|problem| refuse(problem.to_owned()))?;
    let url = format!("{target}?prefix={prefix}");
    let groups = Place::Redis { target: target.clone(), prefix: prefix.clone() };
    let what = What { url, groups, beside: None };
    open(address, limits, create, what, refuse, move |settings| {
        Box::new(Redis::new(target.clone(), prefix.clone(), shards, settings.timeout))
    })
}

/// What is opened.
struct What {
    /// As it may be shown.
    url: String,
    /// The file that it is, if it is one.
    beside: Option<PathBuf>,
    groups: Place,
}

fn open(
    address: Address<'_>,
    limits: Limits,
    create: bool,
    what: What,
    refuse: impl Fn(String) -> Error,
    connect: impl Fn(&Settings) -> Box<dyn Ledger> + Send + Sync + 'static,
) -> Result<Store, Error> {
    let What { url, beside, groups } = what;
    let mut options = address.options;
    let shared = SharedOptions::take(&mut options).map_err(&refuse)?;
    if let Some((name, value)) = options.first() {
        let own = if beside.is_some() { "" } else { "prefix, shards, ca, " };
        let all = format!("{own}instance, spool, interval, timeout, lease, sync, max_series and ttl");
        return Err(refuse(unknown(name, value, &all)));
    }
    let (spool, spool_path) = spool::open(shared.spool.as_deref(), beside.as_deref(), &url, create)?;
    let host = || nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let settings = Settings {
        url,
        instance: shared.instance.unwrap_or_else(host),
        spool_path,
        interval: shared.interval,
        timeout: shared.timeout,
        lease: shared.lease,
        sync: shared.sync,
        limits,
        groups,
    };
    let store = Arc::new(LedgerStore::new(spool.limited(limits), settings, connect));
    if create {
        // What others have left in the spool is sent, even if this process counts nothing.
        store.start();
    }
    Ok(Store::Ledger(store))
}
