//! A small HTTP client over plain sockets, which sees every byte that a server sends.
//!
//! It waits for answers, never for time; the only clock is a limit after which a test has failed.

use std::collections::HashMap;
use std::hash::RandomState;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tallymark_model::{Body, Family, FamilySnapshot, Kind, SeriesSnapshot, Snapshot, Value};
use tallymark_transport::SourceError;

/// Longer than anything here takes; what waits that long has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// One connection.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Client {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Client(BufReader::new(stream))
    }

    /// Sends a request without waiting for the answer.
    pub(crate) fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.write(format!("{method} {target} HTTP/1.1\r\nHost: here\r\n{lines}\r\n").as_bytes());
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Reads an answer with a body of the length that its head says; `None` if the server has closed the connection.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let mut answer = self.head()?;
        let length = answer.header("content-length").parse().unwrap();
        answer.body.resize(length, 0);
        self.0.read_exact(&mut answer.body).unwrap();
        Some(answer)
    }

    /// Reads an answer up to its body.
    pub(crate) fn head(&mut self) -> Option<Answer> {
        let status = self.line()?.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HashMap::new();
        while let Some(line) = self.line().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            let twice = headers.insert(name.to_ascii_lowercase(), value.to_owned());
            assert_eq!(None, twice, "{name} is there twice");
        }
        Some(Answer { status, headers, body: Vec::new() })
    }

    /// Waits until the server closes the connection; what it sends before is returned.
    pub(crate) fn closed(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("not closed: {error}"),
            _ => rest,
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => None,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            read => {
                read.unwrap();
                Some(line.trim_end().to_owned())
            }
        }
    }
}

/// One request on a connection of its own.
pub(crate) fn get(addr: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Answer {
    ask(addr, "GET", target, headers)
}

pub(crate) fn ask(addr: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut client = Client::connect(addr);
    client.send(method, target, headers);
    client.answer().expect("an answer")
}

/// Tries until it works; what does not work within the limit has failed.
pub(crate) fn eventually(mut works: impl FnMut() -> bool) {
    let start = Instant::now();
    while !works() {
        assert!(start.elapsed() < LIMIT, "it never worked");
        std::thread::yield_now();
    }
}

/// A source of counters with these names, each with a help of its own; honours the names that are asked for.
pub(crate) fn counters(names: &[&str]) -> impl Fn(&[String]) -> Result<Snapshot, SourceError> + Send + Sync + use<> {
    let all = Snapshot { families: names.iter().map(|name| counter(name)).collect() };
    move |names| {
        Ok(if names.is_empty() {
            all.clone()
        } else {
            all.clone().restrict::<String, RandomState>(&names.iter().cloned().collect())
        })
    }
}

fn counter(name: &str) -> FamilySnapshot {
    let family = Family::builder(Kind::Counter, name, format!("Counts {name}.")).build().unwrap();
    let labels = Arc::new(family.labels::<&str>(&[]).unwrap());
    let value = Value::Counter { total: 3.0, exemplar: None };
    let series = SeriesSnapshot { labels, process: None, value, created: None };
    FamilySnapshot { family: Arc::new(family), body: Body::Series(vec![series]) }
}

/// A door that a source waits at until the test opens it.
#[derive(Default)]
pub(crate) struct Door {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Door {
    /// Comes to the door and waits until it is open.
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        let (state, late) = self.changed.wait_timeout_while(state, LIMIT, |(_, open)| !*open).unwrap();
        drop(state);
        assert!(!late.timed_out(), "nobody opened");
    }

    /// Waits until so many have come.
    pub(crate) fn wait_for(&self, count: usize) {
        let state = self.state.lock().unwrap();
        let (state, late) = self.changed.wait_timeout_while(state, LIMIT, |(came, _)| *came < count).unwrap();
        drop(state);
        assert!(!late.timed_out(), "nobody came");
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}
