//! Pushed groups: what the Pushgateway keeps for jobs that end before anybody could scrape them, and totals that add up.
//!
//! ```text
//! request ──> path ──> body ──> reading ──> group ──> cache ──> document ──> the store's groups
//!             labels   samples  families    the group  fits all  bytes
//!                                           after it   others
//! ```
//!
//! A [`Gateway`] answers requests and gives a snapshot of all groups. It opens no sockets: a server hands it requests whose
//! bodies are whole, and calls it on threads that may wait. The groups are in a store that other gateways may write to, too;
//! this one keeps them read, and asks the store for what has changed. A push is checked against what is known, and written
//! only if the store holds nothing newer; else the news are read and it is checked again. So a push is taken whole or
//! not at all, and any number of gateways over one store are as good as one.

mod aggregate;
mod api;
mod ask;
mod body;
mod cache;
mod document;
mod group;
mod growth;
mod message;
mod metric;
mod options;
mod path;
mod reading;
mod refusal;
mod scrapeable;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use hyper::header::{ALLOW, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};
use tallymark::{Groups, Revision};
use tallymark_model::Snapshot;

use ask::Ask;
use cache::{Cache, StoreKey, Written};
use group::{Group, Push};
pub use options::Options;
pub use path::is_group;
use refusal::Refusal;

const TEXT: &str = "text/plain; charset=utf-8";
/// What may be done to a group.
const METHODS: &str = "DELETE, OPTIONS, POST, PUT";

/// A request, read whole.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path, as it was sent, without what the server has in front of its paths.
    pub path: &'a str,
    /// What follows the question mark.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, encoded as `Content-Encoding` says.
    pub body: &'a [u8],
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// What the body is; `None` where there is none.
    pub content_type: Option<&'static str>,
    /// Other headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    fn empty(status: StatusCode) -> Answer {
        Answer { status, content_type: None, headers: Vec::new(), body: Vec::new() }
    }

    fn text(status: StatusCode, text: &str) -> Answer {
        Answer { content_type: Some(TEXT), body: format!("{text}\n").into(), ..Answer::empty(status) }
    }

    fn not_found() -> Answer {
        Answer::text(StatusCode::NOT_FOUND, "404 page not found")
    }

    fn wrong_method(allowed: &'static str) -> Answer {
        let answer = Answer::text(StatusCode::METHOD_NOT_ALLOWED, &format!("405 Method Not Allowed; use {allowed}"));
        Answer { headers: vec![(ALLOW, HeaderValue::from_static(allowed))], ..answer }
    }
}

/// Why groups cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store does not answer, or says no.
    #[error("the pushed groups cannot be read: {0}")]
    Store(#[from] tallymark::Error),
    /// The store does not answer another request, and this one has waited for that.
    #[error("the store of the pushed groups keeps other requests waiting; ask again later")]
    Busy,
    /// A group's document cannot be read.
    #[error(
        "the pushed group {key} cannot be read: {reason}; upgrade tallymark here, or wipe the groups \
         (PUT /api/v1/admin/wipe)"
    )]
    Document {
        /// The group's key in the store.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Answers pushes, and keeps what they brought.
///
/// ```
/// use hyper::{HeaderMap, Method, StatusCode};
/// use tallymark::{Groups, Store};
/// use tallymark_transport::gateway::{Gateway, Options, Request};
///
/// let options = Options { aggregate: true, ..Options::default() };
/// let gateway = Gateway::open(Groups::open(&Store::Memory)?, options);
/// let (path, headers) = ("/metrics/job/backup", HeaderMap::new());
/// for _ in 0..2 {
///     let push = Request { method: &Method::POST, path, query: None, headers: &headers, body: b"jobs_total 1\n" };
///     assert_eq!(gateway.handle(&push).status, StatusCode::OK);
/// }
///
/// let snapshot = gateway.snapshot()?;
/// assert_eq!(snapshot.families[0].samples()[0].value, 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Gateway {
    options: Options,
    started: f64,
    state: Mutex<State>,
}

/// The store and what is known of it.
struct State {
    groups: Groups,
    cache: Cache,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway that keeps its groups in `groups`. Nothing is read before it is asked for.
    pub fn open(groups: Groups, options: Options) -> Gateway {
        let state = Mutex::new(State { groups, cache: Cache::default() });
        Gateway { started: (options.clock)(), options, state }
    }

    /// Answers a request for a path below `/metrics/job` or `/api/v1`; any other is not found.
    ///
    /// Blocks while the store is asked, at most as long as [`Options::timeout`] says, and while other requests are.
    pub fn handle(&self, request: &Request<'_>) -> Answer {
        if request.path.starts_with("/api/v1/") {
            return api::answer(self, request);
        }
        if !path::is_group(request.path) {
            return Answer::not_found();
        }
        let change = match *request.method {
            Method::PUT | Method::POST => self.push(request),
            Method::DELETE => self.delete(request),
            Method::OPTIONS => {
                let headers = vec![(ALLOW, HeaderValue::from_static(METHODS))];
                return Answer { headers, ..Answer::empty(StatusCode::OK) };
            }
            _ => return Answer::wrong_method(METHODS),
        };
        change.map_or_else(Answer::from, Answer::empty)
    }

    /// The job of the group that a path names, if it names one.
    pub(crate) fn job(&self, path: &str) -> Option<String> {
        path::key(path, self.options.utf8_names).ok()?.remove("job")
    }

    /// All groups as one snapshot: the families of each name together, and when each group was pushed.
    ///
    /// # Errors
    /// [`Error`] if the store does not answer or holds what is no group.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        Ok(snapshot::of(&self.groups()?))
    }

    /// The labels of all groups, the job among them: as they were pushed, those without a value, too.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    pub fn labels(&self) -> Result<Vec<BTreeMap<String, String>>, Error> {
        Ok(self.groups()?.iter().map(|group| group.key.clone()).collect())
    }

    /// Asks the store whether it answers, and whether what it holds can be shown.
    ///
    /// # Errors
    /// [`Error`], as [`snapshot`](Self::snapshot) would give it.
    pub fn ping(&self) -> Result<(), Error> {
        let (mut state, limit) = self.state()?;
        state.catch_up(limit)?;
        readable(&state.cache)
    }

    /// The groups that are shown now.
    fn groups(&self) -> Result<Vec<Arc<Group>>, Error> {
        let (mut state, limit) = self.state()?;
        state.catch_up(limit)?;
        readable(&state.cache)?;
        let now = self.now();
        Ok(state.cache.groups().filter(|group| !group.has_ended(now)).cloned().collect())
    }

    fn push(&self, request: &Request<'_>) -> Result<StatusCode, Refusal> {
        let key = path::key(request.path, self.options.utf8_names)?;
        let ask = Ask::read(request, &self.options)?;
        let body = body::read(request.headers, request.body, &self.options)?;
        let store_key = StoreKey::from(document::store_key(&key));
        let push = reading::families(body, &key, self.now())
            .and_then(|families| Push::new(request.method == Method::PUT, families, &ask, &self.options));
        self.change(|cache, now| {
            if let Some((_, reason)) = cache.unreadable() {
                return Change::nothing(Err(Refusal::unavailable(format!(
                    "a group in the store cannot be read: {reason}"
                ))));
            }
            let old = cache.get(&store_key).filter(|group| !group.has_ended(now));
            let old = old.cloned().unwrap_or_else(|| Arc::new(Group::new(key.clone())));
            if ask.id.as_deref().is_some_and(|id| old.knows(id, now)) {
                return Change::nothing(Ok(StatusCode::OK));
            }
            let fits = |group: Group| -> Result<Written, Refusal> {
                cache.check_key(&store_key, &group)?;
                cache.check(&store_key, &group, &self.options.own)?;
                let written = Written::new(group);
                cache.check_room(&store_key, &written, &self.options)?;
                Ok(written)
            };
            let new = push.as_ref().map_err(Refusal::clone).and_then(|push| old.pushed(push, &ask, &self.options, now));
            match new.and_then(fits) {
                Ok(group) => Change { groups: vec![(store_key.clone(), Some(group))], outcome: Ok(StatusCode::OK) },
                Err(refusal) if refusal.stamped => match fits(old.refused(&ask, now)) {
                    Ok(group) => Change { groups: vec![(store_key.clone(), Some(group))], outcome: Err(refusal) },
                    Err(_) => Change::nothing(Err(refusal)),
                },
                Err(refusal) => Change::nothing(Err(refusal)),
            }
        })
    }

    fn delete(&self, request: &Request<'_>) -> Result<StatusCode, Refusal> {
        let key = path::key(request.path, self.options.utf8_names)?;
        let store_key = document::store_key(&key);
        self.change(|cache, _| {
            let groups = cache.has(&store_key).then(|| (StoreKey::from(&*store_key), None)).into_iter().collect();
            Change { groups, outcome: Ok(StatusCode::ACCEPTED) }
        })
    }

    fn wipe(&self) -> Answer {
        let change = self.change(|cache, _| Change {
            groups: cache.keys().map(|key| (key.clone(), None)).collect(),
            outcome: Ok(StatusCode::ACCEPTED),
        });
        change.map_or_else(Answer::from, Answer::empty)
    }

    /// Makes a change: computes it from what is known, and writes it if the store holds nothing newer; else learns that, and
    /// computes it again.
    fn change(&self, compute: impl Fn(&Cache, f64) -> Change) -> Result<StatusCode, Refusal> {
        let (mut state, limit) = self.state().map_err(Refusal::unavailable)?;
        let mut is_fresh = false;
        loop {
            let now = self.now();
            // Groups that have ended go first: they are in nobody's way.
            let ended: Vec<_> = state.cache.ended(now).into_iter().map(|key| (key, None)).collect();
            if ended.is_empty() || state.write(ended, limit)? {
                let change = compute(&state.cache, now);
                // Nothing to write: then nothing but asking tells whether this is still so.
                let is_done = if change.groups.is_empty() { is_fresh } else { state.write(change.groups, limit)? };
                if is_done {
                    return change.outcome;
                }
            }
            if is_fresh && Instant::now() > limit {
                let reason = "other servers write to the store all the time; push again later";
                return Err(Refusal::unavailable(reason));
            }
            state.catch_up(limit).map_err(Refusal::unavailable)?;
            is_fresh = true;
        }
    }

    /// What is known, once no other request uses it, and until when this one may.
    fn state(&self) -> Result<(MutexGuard<'_, State>, Instant), Error> {
        let limit = self.limit();
        let mut state = wait_for(&self.state, limit).ok_or(Error::Busy)?;
        if state.cache.revision != Revision::default() {
            return Ok((state, limit));
        }
        // To tell of all its groups a store takes its time. The request has its own after that.
        state.catch_up(limit)?;
        Ok((state, self.limit()))
    }

    fn now(&self) -> f64 {
        (self.options.clock)()
    }

    fn limit(&self) -> Instant {
        Instant::now() + self.options.timeout
    }
}

/// Waits for a mutex that is held for as long as a store does not answer.
fn wait_for<T>(mutex: &Mutex<T>, limit: Instant) -> Option<MutexGuard<'_, T>> {
    loop {
        match mutex.try_lock() {
            Ok(held) => return Some(held),
            // What a thread that panicked left is as whole as ever: a group is put into the cache when it is written.
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= limit => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// What becomes of groups, and of the request.
struct Change {
    /// `None` deletes.
    groups: Vec<(StoreKey, Option<Written>)>,
    outcome: Result<StatusCode, Refusal>,
}

impl Change {
    fn nothing(outcome: Result<StatusCode, Refusal>) -> Change {
        Change { groups: Vec::new(), outcome }
    }
}

impl State {
    /// Learns what has changed in the store.
    fn catch_up(&mut self, limit: Instant) -> Result<(), tallymark::Error> {
        let changes = self.groups.changes(self.cache.revision, limit)?;
        self.cache.follow(changes);
        Ok(())
    }

    /// Writes groups, unless the store holds something newer than is known here; tells whether it did.
    fn write(&mut self, groups: Vec<(StoreKey, Option<Written>)>, limit: Instant) -> Result<bool, Refusal> {
        let parts = groups.into_iter().map(|(key, written)| {
            let (kept, document) = written.map(Written::parts).unzip();
            ((key.clone(), kept), (key.to_vec(), document))
        });
        let (kept, documents): (Vec<_>, Vec<_>) = parts.unzip();
        let written = self.groups.write(self.cache.revision, &documents, limit).map_err(Refusal::unavailable)?;
        let Some(revision) = written else { return Ok(false) };
        for (key, group) in kept {
            self.cache.put(key, group);
        }
        self.cache.revision = revision;
        Ok(true)
    }
}

/// Whether all documents are groups.
fn readable(cache: &Cache) -> Result<(), Error> {
    match cache.unreadable() {
        None => Ok(()),
        Some((key, reason)) => {
            let key = String::from_utf8_lossy(key).replace('\u{fffd}', " ").trim_end().to_owned();
            Err(Error::Document { key, reason: reason.clone() })
        }
    }
}
