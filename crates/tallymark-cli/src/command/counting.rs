//! Where `inc`, `set`, `observe` and `run` count: in a store, or in a group of a gateway.
//!
//! The process makes its series, changes them and leaves: in a store nothing remains of it but what it added. What to
//! count under which name is the commands' business.

use std::sync::Arc;
use std::time::Duration;

use tallymark::model::{Family, GaugeMode, Kind, Snapshot};
use tallymark::{AnyFamily, Series, Store, gather};
use tallymark_transport::push::{Client, ClientOptions, Method, PushError, Pushgateway, group_path};
use uuid::Uuid;

use crate::clock::since_1970;
use crate::error::Error;
use crate::store;

/// How long a store that keeps nothing on this host, or a gateway, may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long a store of many hosts may take to be asked whether other hosts know a name.
const ASKING: Duration = Duration::from_secs(2);

/// How often a file is asked for room. It says at once that it has none; where many processes begin at once it says
/// after a tenth of a second that it was busy.
const TRIES: usize = 50;

/// What a gateway is told of a push: that it is to be added to what the group has.
const DELTA: (&str, &str) = ("Tallymark-Push", "delta");
/// By what it knows one that comes again.
const ID: &str = "Tallymark-Push-Id";
/// And that this holds for gauges, too, of which it would otherwise keep the last.
const SUM: (&str, &str) = ("Tallymark-Gauge", "sum");

/// A place to count in, and what was counted.
pub(crate) struct Counting {
    place: Place,
    patience: Duration,
    families: Vec<Arc<AnyFamily>>,
    series: Vec<Arc<Series>>,
}

enum Place {
    Store(Store),
    Gateway(Pushgateway),
}

impl Counting {
    /// Opens the store, which is made if it is not there, or understands the URL of a gateway, whose group is what its path
    /// says, else `group`. A place that keeps nothing on this host may take as long as `patience`.
    ///
    /// # Errors
    /// As [`store::open`]; [`Error::Usage`] for a gateway without a group, [`Error::Push`] for a URL that is none.
    pub(crate) fn open(url: &str, group: Option<String>, patience: Duration) -> Result<Counting, Error> {
        let place = if url.starts_with("http://") || url.starts_with("https://") {
            Place::Gateway(gateway(url, group, patience)?)
        } else {
            Place::Store(store::open(url)?)
        };
        Ok(Counting { place, patience, families: Vec::new(), series: Vec::new() })
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> String {
        match &self.place {
            Place::Store(store) => store.url(),
            Place::Gateway(_) => "the gateway".to_owned(),
        }
    }

    /// The definitions that `is_wanted` accepts, of the store: those that this host knows, else those of all hosts, if they
    /// can be had. A gateway tells none.
    pub(crate) fn defined(&self, is_wanted: impl Fn(&Family) -> bool) -> Vec<Family> {
        let Place::Store(store) = &self.place else { return Vec::new() };
        let here: Vec<Family> = store.families().into_iter().filter(&is_wanted).collect();
        if !here.is_empty() || !matches!(store, Store::Ledger(_)) {
            return here;
        }
        let everywhere = store::snapshot(store, ASKING).unwrap_or_default().families;
        everywhere.into_iter().map(|family| Family::clone(&family.family)).filter(is_wanted).collect()
    }

    /// A series of a family, made if it is not there.
    ///
    /// # Errors
    /// [`Error::Store`] if there are not as many values as label names.
    pub(crate) fn series<S: AsRef<str>>(&mut self, definition: Family, values: &[S]) -> Result<Arc<Series>, Error> {
        let store = match &self.place {
            Place::Store(store) => store.clone(),
            Place::Gateway(_) => Store::Memory,
        };
        let known = self.families.iter().find(|family| **family.definition() == definition);
        let family = known.cloned().unwrap_or_else(|| {
            let new = Arc::new(AnyFamily::new(definition, store));
            self.families.push(Arc::clone(&new));
            new
        });
        let series = family.series(values, || since_1970().as_secs_f64())?;
        if series.labels().values().iter().zip(values).any(|(has, asked)| **has != *asked.as_ref()) {
            let name = family.definition().name();
            log::warn!("{name} has as many series as max_series allows; counted in the one whose labels are overflow");
        }
        self.series.push(Arc::clone(&series));
        Ok(series)
    }

    /// Whether there is room for all series that were made, as long as nothing was counted in them.
    ///
    /// # Errors
    /// [`Error::NoRoom`] if not.
    pub(crate) fn check_room(&self) -> Result<(), Error> {
        let Place::Store(store) = &self.place else { return Ok(()) };
        if is_kept(&self.families, &self.series) {
            return Ok(());
        }
        store.leave();
        Err(Error::NoRoom(store.url()))
    }

    /// Leaves the numbers in the store, or sends them to the gateway.
    ///
    /// # Errors
    /// [`Error::NoRoom`], [`Error::Store`] and [`Error::Push`], and then something was not counted. A store of many hosts
    /// that is away is no error as long as its spool keeps the numbers: that is said on stderr.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let Counting { place, patience, families, series } = self;
        match place {
            Place::Store(store) => {
                let is_kept = is_kept(&families, &series);
                store.leave();
                if !store.outlives_process() {
                    store.flush(patience)?;
                }
                if is_kept { Ok(()) } else { Err(Error::NoRoom(store.url())) }
            }
            Place::Gateway(gateway) => {
                // Without times of creation: what carries one is a running total.
                let snapshot = Snapshot { families: gather(&families, &[], false).declared };
                let adds = |family: &Family| family.kind() == Kind::Gauge && family.mode() == GaugeMode::Sum;
                let is_sum = families.iter().any(|family| adds(family.definition()));
                let id = Uuid::new_v4().to_string();
                let headers = [DELTA, (ID, &*id), SUM];
                Ok(push(&gateway, &snapshot, if is_sum { &headers } else { &headers[..2] })?)
            }
        }
    }
}

/// Whether the store keeps what these series of the families have counted. It is asked until it does, or long enough.
pub(crate) fn is_kept(families: &[Arc<AnyFamily>], series: &[Arc<Series>]) -> bool {
    (0..TRIES).any(|_| {
        families.iter().for_each(|family| family.share());
        !series.iter().any(|series| series.is_on_heap())
    })
}

/// Makes a family that nobody uses. The first one has the kernel prepare `membarrier(2)` for this process, which takes
/// nothing while there is one thread, and some 15 milliseconds when there are more.
pub(crate) fn make_first_family() {
    if let Ok(definition) = Family::builder(Kind::Counter, "nothing", "").build() {
        drop(AnyFamily::new(definition, Store::Memory));
    }
}

/// Pushes, and once more if it is not known whether that was counted. What has the same id counts once.
fn push(gateway: &Pushgateway, snapshot: &Snapshot, headers: &[(&str, &str)]) -> Result<(), PushError> {
    match gateway.push(Method::Post, snapshot, headers) {
        // With these statuses a proxy says that it has waited in vain.
        Err(PushError::Unreachable { .. } | PushError::Refused { status: 502 | 504, .. }) => {
            gateway.push(Method::Post, snapshot, headers)
        }
        pushed => pushed,
    }
}

fn gateway(url: &str, group: Option<String>, patience: Duration) -> Result<Pushgateway, Error> {
    // Each of two tries has half of it.
    let options = ClientOptions { timeout: patience / 2, ..ClientOptions::default() };
    let client = Client::new(url, options)?;
    let path = client.url().split_once("://").and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
    // A gateway may have a prefix before its paths.
    let has_group = path.is_some_and(|path| path.contains("/metrics/job/") || path.contains("/metrics/job@base64/"));
    match group {
        _ if has_group => Ok(Pushgateway::new(client, String::new())),
        Some(job) => Ok(Pushgateway::new(client, group_path(&job, &[])?)),
        None => {
            let problem = "names no group of the gateway; give its path, too, such as /metrics/job/nightly";
            Err(Error::Usage(format!("{} {problem}", client.url())))
        }
    }
}
