//! `tallymark serve`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::{Place, run, shown, tallymark};

/// How many clients the servers take.
const MAX_CLIENTS: usize = 128;

/// A running `tallymark serve`; killed when it is dropped.
struct Serve {
    process: Child,
    stderr: BufReader<ChildStderr>,
    address: String,
}

impl Serve {
    fn start(place: &Place) -> Serve {
        let mut process = tallymark([
            "serve",
            &place.url(),
            "--web.listen-address=127.0.0.1:0",
            &format!("--web.max-connections={MAX_CLIENTS}"),
        ])
        .spawn()
        .unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let (said, address) = line.trim_end().split_once(" at http://").expect("the URL");
        assert_eq!(format!("serving {}", place.url()), said);
        let address = address.strip_suffix("/metrics").expect("the path").to_owned();
        Serve { process, stderr, address }
    }

    fn get(&self, target: &str) -> String {
        let mut client = TcpStream::connect(&self.address).unwrap();
        write!(client, "GET {target} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// Sends the signal and waits for the end: exit code, stdout, and the rest of stderr.
    fn end(mut self, signal: Signal) -> (Option<i32>, String, String) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.process.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        (self.process.wait().unwrap().code(), stdout, stderr)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // Fails if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn it_serves_what_others_count_while_they_count() {
    let place = Place::new();
    let hits = place.hits();
    let serve = Serve::start(&place);
    for total in 1..=3 {
        hits.inc();

        let metrics = serve.get("/metrics");

        assert!(metrics.contains(&format!("hits_total{{path=\"/\"}} {total}.0\n")), "{metrics}");
    }
}

#[test]
fn a_scrape_may_ask_for_names() {
    let place = Place::new();
    place.hits().inc();

    let metrics = Serve::start(&place).get("/metrics?name[]=hits_total");

    assert_eq!("# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total{path=\"/\"} 1.0\n", metrics);
}

#[test]
fn it_may_be_there_before_anybody_counts() {
    let place = Place::new();
    let serve = Serve::start(&place);
    place.hits().inc();

    assert!(serve.get("/metrics").contains("hits_total{path=\"/\"} 1.0\n"));
}

#[test]
fn it_ends_with_0_when_it_is_told_to() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let place = Place::new();
        let serve = Serve::start(&place);
        // A client that stays connected does not keep it.
        let _idle = TcpStream::connect(&serve.address).unwrap();
        serve.get("/metrics");

        assert_eq!((Some(0), String::new(), String::new()), serve.end(signal), "{signal}");
    }
}

#[test]
fn what_the_server_has_to_say_is_said_on_stderr() {
    let place = Place::new();
    let serve = Serve::start(&place);
    let _clients: Vec<_> = (0..MAX_CLIENTS).map(|_| TcpStream::connect(&serve.address).unwrap()).collect();
    // Closed at once, which is an error or an end, as the kernels please.
    let _ = TcpStream::connect(&serve.address).unwrap().read(&mut [0]);

    let (_, _, stderr) = serve.end(Signal::SIGTERM);

    assert!(stderr.contains("WARN") && stderr.contains("turned away"), "{stderr}");
}

#[test]
fn a_store_that_cannot_be_read_is_not_served() {
    let place = Place::new();
    std::fs::write(place.path(), "SQLite format 3").unwrap();

    run(["serve", &place.url()]).refused(1, &[shown(&place.path()), "not a Tallymark file"]);
}

#[test]
fn an_address_that_is_taken_is_named_with_a_way_out() {
    let place = Place::new();
    let serve = Serve::start(&place);

    run(["serve", &place.url(), "--listen", &serve.address]).refused(1, &[&serve.address, "--web.listen-address"]);
}
