//! Pushed groups, as those who push and those who scrape know them: requests, answers, and what is shown.

mod adding;
mod any_order;
mod api;
mod bodies;
mod limits;
mod refusals;
mod replacing;
mod scrapes;
mod several;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::{HeaderMap, Method};
use tallymark::{Groups, Store};
use tallymark_model::{Escaping, encode};
use tallymark_transport::gateway::{Answer, Gateway, Options, Request};

/// When the clocks of tests begin.
const START: f64 = 1_700_000_000.0;

/// A gateway with a clock that tests move.
struct Pushes {
    gateway: Gateway,
    clock: Arc<AtomicU64>,
}

impl Pushes {
    /// Over a store of its own.
    fn new(options: Options) -> Pushes {
        Pushes::over(&Store::Memory, options)
    }

    /// Over the groups of a store.
    fn over(store: &Store, options: Options) -> Pushes {
        let clock = Arc::new(AtomicU64::new(START.to_bits()));
        let hand = clock.clone();
        let options = Options { clock: Arc::new(move || f64::from_bits(hand.load(Ordering::Relaxed))), ..options };
        Pushes { gateway: Gateway::open(Groups::open(store).unwrap(), options), clock }
    }

    /// One that adds up what it is not told to replace.
    fn adding() -> Pushes {
        Pushes::new(Options { aggregate: true, ..Options::default() })
    }

    fn wait(&self, seconds: f64) {
        let now = f64::from_bits(self.clock.load(Ordering::Relaxed)) + seconds;
        self.clock.store(now.to_bits(), Ordering::Relaxed);
    }

    fn ask(&self, method: Method, target: &str, headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        self.gateway.handle(&Request { method: &method, path, query, headers: &map, body })
    }

    fn put(&self, target: &str, body: &str) -> u16 {
        self.ask(Method::PUT, target, &[], body.as_bytes()).status.as_u16()
    }

    fn post(&self, target: &str, body: &str) -> u16 {
        self.ask(Method::POST, target, &[], body.as_bytes()).status.as_u16()
    }

    fn delete(&self, target: &str) -> u16 {
        self.ask(Method::DELETE, target, &[], b"").status.as_u16()
    }

    /// What is wrong with a push.
    fn refusal(&self, target: &str, body: &str) -> String {
        let answer = self.ask(Method::PUT, target, &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.content_type, Some("text/plain; charset=utf-8"));
        String::from_utf8(answer.body).unwrap().trim_end().to_owned()
    }

    /// The whole exposition.
    fn text(&self) -> String {
        let mut out = Vec::new();
        encode::text(&self.gateway.snapshot().unwrap(), Escaping::AllowUtf8, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The samples but for the stamps, without labels `instance=""`.
    fn lines(&self) -> Vec<String> {
        let text = self.text();
        let samples = text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("push_"));
        samples.map(|line| line.replace(",instance=\"\"", "").replace("instance=\"\",", "")).collect()
    }

    /// The stamps: name, labels and value, the beginning of the clocks taken off.
    fn stamps(&self) -> Vec<String> {
        let text = self.text();
        let stamps = text.lines().filter_map(|line| {
            let (series, value) = line.strip_prefix("push_")?.split_once(' ')?;
            let value: f64 = value.parse().unwrap();
            let value = if value == 0.0 { "never".to_owned() } else { (value - START).to_string() };
            Some(format!("{} {value}", series.replace("_seconds{instance=\"\",", "{")))
        });
        stamps.collect()
    }
}
