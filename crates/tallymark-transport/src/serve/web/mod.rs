//! `tallymark serve`: `/metrics`, pushes, the page, and who may have them.
//!
//! ```text
//! config   who may come            route    which path is what      body     what is pushed, as bytes
//! access   who this is, and what   rate     how many a second       refusal  what is not done, and why
//!          they may                own      what the server counts of itself
//! ```
//!
//! A request passes in this order: the configuration (which may be broken), the rate, the user, the path, the method, and
//! only then its body is read. Pushes and scrapes run on threads that may block, bounded each for themselves, so that
//! slow scrapes keep no push waiting. What a push means is the gateway's matter, what a store holds the source's.

mod access;
mod body;
mod config;
mod everything;
mod options;
mod own;
mod rate;
mod refusal;
mod route;
mod stream;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use tallymark::Groups;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinError;
use tokio::time::{Instant, timeout, timeout_at};

use super::handler::{Busy, Handler, TEXT, failed, joined, panic_text, requested_names, respond};
use super::service::{Answer, Service};
use super::{Exposition, Options, ServeError, Server, Source};
use crate::gateway::{self, Gateway};
use crate::page;
use body::{Bodies, Held};
pub use config::ConfigError;
use config::{Config, Places, Watched};
use everything::Everything;
pub use options::WebOptions;
use own::Own;
use rate::Rate;
use refusal::Refusal;
use route::{Route, Routes};
use stream::Stream;

/// How many questions about groups and about the stores' health are answered at once.
const READS: usize = 2;

/// Threads for what is neither a scrape nor a push: those, and a password.
const OTHER_THREADS: usize = READS + 1;

/// What a [`Server`] does for `tallymark serve`.
pub struct Web {
    routes: Routes,
    config: Watched,
    bodies: Bodies,
    handler: Handler,
    everything: Arc<Everything>,
    compression: bool,
    pushes: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    threads: usize,
    answer_timeout: Duration,
    quit: Notify,
}

impl Web {
    /// Serves `sources` and what is pushed to `groups`, for a server with the options `server`.
    ///
    /// Of `push` this sets what it knows itself: whether there is a wipe, and the names of its own metrics.
    ///
    /// # Errors
    /// [`ConfigError`] if a file of `options` cannot be followed.
    pub fn new(
        options: WebOptions,
        push: gateway::Options,
        server: &Options,
        sources: Vec<Arc<dyn Source>>,
        groups: Groups,
    ) -> Result<Web, ConfigError> {
        let rate = options.max_requests_per_second.filter(|rate| *rate > 0);
        let rate = rate.map(|rate| Rate { interval: Duration::from_secs(1) / rate, burst: rate });
        let places = Places { config: options.config_file.clone(), tokens: options.tokens_file.clone(), rate };
        let own = Own::new();
        let gateway = Gateway::open(groups, gateway::Options { admin: options.admin_api, own: own.families(), ..push });
        let everything = Arc::new(Everything::new(own, sources, gateway));
        let pushes = options.max_pushes.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Web {
            routes: Routes::new(&options),
            config: Watched::new(places)?,
            bodies: Bodies::new(options.max_body_bytes, options.max_bodies_bytes, options.body_timeout),
            handler: Handler::new(everything.clone(), server),
            everything,
            compression: server.compression,
            pushes: Arc::new(Semaphore::new(pushes)),
            reads: Arc::new(Semaphore::new(READS)),
            threads: server.max_scrapes.saturating_add(pushes).saturating_add(OTHER_THREADS),
            answer_timeout: options.answer_timeout,
            quit: Notify::new(),
        })
    }

    /// Whether clients must speak TLS.
    pub fn speaks_tls(&self) -> bool {
        self.config.speaks_tls()
    }

    async fn answer(
        &self,
        config: &Config,
        route: Option<Route>,
        request: Request<Incoming>,
    ) -> Result<Answer, Refusal> {
        let (head, body) = request.into_parts();
        if let Some(bucket) = &config.bucket {
            bucket.take(Instant::now()).map_err(Refusal::Rate)?;
        }
        let path = self.routes.inside(head.uri.path()).unwrap_or_default();
        self.everything.own.holding(self.bodies.held());
        // A browser asks what it may before it has any credentials; nothing is told that is not written in the manual.
        if head.method != Method::OPTIONS {
            access::admit(config, route, &head.headers, || self.everything.gateway.job(path)).await?;
        }
        let route = route.ok_or_else(|| self.routes.not_found())?;
        self.routes.allow(route, &head.method)?;
        if head.method == Method::OPTIONS && route != Route::Groups {
            return Ok(respond(StatusCode::OK, &[(ALLOW, route.methods())], Vec::new()));
        }
        match route {
            Route::Metrics => self.scraped(self.handler.scrape(head.uri.query(), &head.headers)).await,
            Route::Families => self.families(&head).await,
            Route::Push => {
                let started = Instant::now();
                let held = self.bodies.read(body).await?;
                let (method, bytes) = (head.method.clone(), held.bytes().len());
                let answer = self.gateway(&self.pushes, path.to_owned(), head, held).await?;
                self.everything.own.pushed(&method, bytes, started.elapsed());
                Ok(answer)
            }
            Route::Delete | Route::Wipe => self.gateway(&self.pushes, path.to_owned(), head, Held::default()).await,
            Route::Groups => self.gateway(&self.reads, path.to_owned(), head, Held::default()).await,
            Route::Healthy => Ok(text("OK")),
            Route::Ready => self.ready(config).await,
            Route::Quit => {
                self.quit.notify_one();
                Ok(text("Requesting termination... Goodbye!"))
            }
            Route::Page => Ok(asset(path, &head).unwrap_or_else(|| self.routes.not_found().answer())),
            Route::Root => Ok(elsewhere(&format!("{}/", self.routes.prefix()))),
            Route::Moved => Ok(elsewhere(&self.routes.moved())),
        }
    }

    /// Hands a request to the gateway, when it is its turn.
    async fn gateway(&self, turns: &Arc<Semaphore>, path: String, head: Parts, held: Held) -> Result<Answer, Refusal> {
        let done = self.in_turn(turns, move |everything| {
            // The head of an answer is the same with and without its body, which the HTTP library leaves out.
            let method = if head.method == Method::HEAD { &Method::GET } else { &head.method };
            let (query, headers, body) = (head.uri.query(), &head.headers, held.bytes());
            everything.gateway.handle(&gateway::Request { method, path: &path, query, headers, body })
        });
        match done.await? {
            Some(Ok(answer)) => Ok(gateway_answer(answer)),
            Some(Err(panic)) => Ok(failed(&panic_text("the gateway", panic))),
            None => Err(Refusal::PushTime(self.answer_timeout)),
        }
    }

    /// Does something on a thread that may block, when it is its turn; `None` if it takes too long.
    async fn in_turn<T: Send + 'static>(
        &self,
        turns: &Arc<Semaphore>,
        work: impl FnOnce(&Everything) -> T + Send + 'static,
    ) -> Result<Option<Result<T, JoinError>>, Refusal> {
        let deadline = Instant::now() + self.answer_timeout;
        let turn = timeout_at(deadline, turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Refusal::NoTurn(self.answer_timeout)) };
        let everything = self.everything.clone();
        let work = tokio::task::spawn_blocking(move || {
            // Held until the work is done, whoever still waits for it: it is the threads that are counted.
            let _turn = turn;
            work(&everything)
        });
        Ok(timeout_at(deadline, work).await.ok())
    }

    /// The families as JSON, for the page and for scripts.
    async fn families(&self, head: &Parts) -> Result<Answer, Refusal> {
        let accept_encoding = joined(&head.headers, &ACCEPT_ENCODING);
        let compression = self.compression;
        let names = head.uri.query().map(requested_names).unwrap_or_default();
        let write = move |snapshot: &_| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            let json = page::families_json(snapshot, now);
            Exposition::compressed("application/json", json, accept_encoding.as_deref(), compression)
        };
        let mut answer = self.scraped(self.handler.snapshot_as(names, write)).await?;
        add(&mut answer, page::HEADERS);
        Ok(answer)
    }

    /// Whether a scrape would be answered. If who asks may be anybody, the reason is in the log only: it names stores.
    async fn ready(&self, config: &Config) -> Result<Answer, Refusal> {
        match self.in_turn(&self.reads, |everything| everything.ready().map_err(|error| error.to_string())).await? {
            Some(Ok(Ok(()))) => Ok(text("OK")),
            Some(Ok(Err(problem))) => Err(Refusal::NotReady(config.tokens.is_none().then_some(problem))),
            Some(Err(panic)) => Ok(failed(&panic_text("the store", panic))),
            None => Err(Refusal::AnswerTime(self.answer_timeout)),
        }
    }

    async fn scraped(&self, scrape: impl Future<Output = Result<Answer, Busy>>) -> Result<Answer, Refusal> {
        let scraped = timeout(self.answer_timeout, scrape).await;
        scraped.map_err(|_| Refusal::AnswerTime(self.answer_timeout))?.map_err(|Busy| Refusal::Busy("scrapes"))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        if let Some(reason) = refusal.reason() {
            self.everything.own.refused(reason);
        }
        refusal.answer()
    }
}

impl Service for Web {
    type Stream = Stream;

    /// Long enough for a body that was refused to be sent to its end by a client that reads only then, as most do.
    const LINGER: (Duration, u64) = (Duration::from_secs(5), 1 << 30);

    fn threads(&self) -> usize {
        self.threads
    }

    async fn open(&self, socket: TcpStream) -> io::Result<Stream> {
        let tls = if self.config.speaks_tls() { self.config.tls() } else { None };
        Stream::open(socket, tls).await
    }

    async fn call(&self, request: Request<Incoming>) -> Answer {
        let method = request.method().clone();
        let route = self.routes.find(&method, request.uri().path(), |path| page::asset(path).is_some());
        let config = self.config.now();
        let answered = match &config {
            Some(config) => self.answer(config, route, request).await,
            None => Err(Refusal::Config),
        };
        let mut answer = answered.unwrap_or_else(|refusal| self.refuse(&refusal));
        for (name, value) in config.iter().flat_map(|config| &config.headers) {
            answer.headers_mut().insert(name, value.clone());
        }
        self.everything.own.answered(route.map_or("other", Route::handler), &method, answer.status());
        answer
    }

    async fn wants_to_stop(&self) {
        self.quit.notified().await;
    }

    fn connected(&self, clients: usize) {
        self.everything.own.connected(clients);
    }

    fn turned_away(&self) {
        self.everything.own.refused("connections");
    }
}

impl Server {
    /// Serves `web` on sockets that listen already, such as those of [`listen`](super::listen).
    ///
    /// [`local_addr`](Self::local_addr) is that of the first. The service may end the server by itself, if its options
    /// let clients ask for that; [`join`](Self::join) waits for either.
    ///
    /// # Errors
    /// [`ServeError::Resolve`] if there is no socket, [`ServeError::Start`].
    pub fn serve(listeners: Vec<TcpListener>, options: Options, web: Web) -> Result<Server, ServeError> {
        let none = || io::Error::other("no address is given");
        let ready = |listener: &TcpListener| listener.set_nonblocking(true).and_then(|()| listener.local_addr());
        let addrs: io::Result<Vec<_>> = listeners.iter().map(ready).collect();
        let addr = addrs.and_then(|addrs| addrs.first().copied().ok_or_else(none));
        Server::start(addr.map_err(|source| ServeError::Resolve { source })?, listeners, options, web)
    }
}

fn text(line: &str) -> Answer {
    respond(StatusCode::OK, &[(CONTENT_TYPE, TEXT)], format!("{line}\n").into_bytes())
}

fn elsewhere(location: &str) -> Answer {
    respond(StatusCode::FOUND, &[(LOCATION, location)], Vec::new())
}

/// An answer of the gateway, as HTTP has it.
fn gateway_answer(answer: gateway::Answer) -> Answer {
    let content_type = answer.content_type.map(|content_type| (CONTENT_TYPE, content_type));
    let mut response = respond(answer.status, content_type.as_slice(), answer.body);
    response.headers_mut().extend(answer.headers);
    response
}

/// A file of the page, or that the browser has it.
fn asset(path: &str, head: &Parts) -> Option<Answer> {
    let asset = page::asset(path)?;
    let known = joined(&head.headers, &IF_NONE_MATCH).unwrap_or_default();
    let headers = [(CONTENT_TYPE, asset.content_type), (ETAG, asset.etag)];
    let mut answer = if known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == asset.etag) {
        respond(StatusCode::NOT_MODIFIED, &headers, Vec::new())
    } else {
        respond(StatusCode::OK, &headers, asset.body.to_vec())
    };
    add(&mut answer, page::HEADERS);
    Some(answer)
}

fn add(answer: &mut Answer, headers: [(&'static str, &'static str); 4]) {
    for (name, value) in headers {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}
