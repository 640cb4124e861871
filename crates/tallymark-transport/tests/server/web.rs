//! What `tallymark serve` is made of: pushes beside scrapes, and more than one socket.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use crate::client::{Answer, Client, Door, LIMIT, ask, counters, eventually, get};
use tallymark::{Groups, Store};
use tallymark_model::Snapshot;
use tallymark_transport::gateway::Options as Push;
use tallymark_transport::serve::{Web, WebOptions, listen};
use tallymark_transport::{Options, Server, Source, SourceError};

fn listeners<const N: usize>() -> ([SocketAddr; N], Vec<TcpListener>) {
    let listening: [_; N] = std::array::from_fn(|_| listen("127.0.0.1:0", false).unwrap());
    (listening.each_ref().map(|(_, addr)| *addr), listening.into_iter().map(|(socket, _)| socket).collect())
}

fn serve(options: WebOptions, source: impl Source) -> Server {
    let groups = Groups::open(&Store::Memory).unwrap();
    let web = Web::new(options, Push::default(), &Options::default(), vec![Arc::new(source)], groups).unwrap();
    Server::serve(listeners::<1>().1, Options::default(), web).unwrap()
}

/// A source that waits at a door.
fn waiting(door: &Arc<Door>) -> impl Source {
    let door = door.clone();
    move |_: &[String]| -> Result<Snapshot, SourceError> {
        door.pass();
        Ok(Snapshot::default())
    }
}

fn push(addr: SocketAddr, body: &str) -> Answer {
    let mut client = Client::connect(addr);
    client.send("POST", "/metrics/job/test", &[("Content-Length", &body.len().to_string())]);
    client.write(body.as_bytes());
    client.answer().unwrap()
}

#[test]
fn what_is_pushed_is_scraped_beside_what_the_source_has() {
    let server = serve(WebOptions::default(), counters(&["requests_total"]));

    assert_eq!(200, push(server.local_addr(), "pushed 1\n").status);

    let metrics = get(server.local_addr(), "/metrics", &[]);
    assert!(metrics.text().contains("\nrequests_total 3.0\n"), "{}", metrics.text());
    assert!(metrics.text().contains("\npushed{instance=\"\",job=\"test\"} 1.0\n"), "{}", metrics.text());
}

#[test]
fn scrapes_that_wait_keep_no_push_waiting() {
    let door = Arc::new(Door::default());
    let server = serve(WebOptions::default(), waiting(&door));
    let limit = Options::default().max_scrapes;
    let mut scrapes: Vec<_> = (0..limit).map(|_| Client::connect(server.local_addr())).collect();
    for client in &mut scrapes {
        client.send("GET", "/metrics", &[]);
    }
    door.wait_for(limit);

    assert_eq!(503, get(server.local_addr(), "/metrics", &[]).status);
    for _ in 0..20 {
        assert_eq!(200, push(server.local_addr(), "pushed 1\n").status);
    }
    assert_eq!(200, get(server.local_addr(), "/-/ready", &[]).status);

    door.open();
    for client in &mut scrapes {
        assert_eq!(200, client.answer().unwrap().status);
    }
}

#[test]
fn a_scrape_that_takes_too_long_is_answered_all_the_same() {
    let door = Arc::new(Door::default());
    let options = WebOptions { answer_timeout: Duration::from_millis(50), ..WebOptions::default() };
    let server = serve(options, waiting(&door));

    let answer = get(server.local_addr(), "/metrics", &[]);

    assert_eq!((503, "503 Service Unavailable: no answer within 0.05 s\n"), (answer.status, answer.text()));
    door.open();
}

#[test]
fn a_source_that_fails_fails_the_scrape_and_says_so_when_it_is_asked() {
    struct Broken;
    impl Source for Broken {
        fn snapshot(&self, _: &[String]) -> Result<Snapshot, SourceError> {
            Err("the disk is on fire".into())
        }
        fn ready(&self) -> Result<(), SourceError> {
            Err("the disk is on fire".into())
        }
    }
    let server = serve(WebOptions::default(), Broken);
    let statuses = ["/metrics", "/-/ready", "/-/healthy"].map(|path| {
        let answer = get(server.local_addr(), path, &[]);
        (answer.status, answer.text().contains("on fire"))
    });

    assert_eq!([(500, true), (503, true), (200, false)], statuses);
}

#[test]
fn where_tokens_are_needed_nobody_else_learns_why_it_is_not_ready() {
    struct Broken;
    impl Source for Broken {
        fn snapshot(&self, _: &[String]) -> Result<Snapshot, SourceError> {
            Ok(Snapshot::default())
        }
        fn ready(&self) -> Result<(), SourceError> {
            Err("10.0.0.7 is on fire".into())
        }
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[{token: a-token-that-may-scrape, scopes: [scrape]}]").unwrap();
    let server = serve(WebOptions { tokens_file: Some(file.path().to_owned()), ..WebOptions::default() }, Broken);

    let answer = get(server.local_addr(), "/-/ready", &[]);

    assert_eq!((503, "503 Service Unavailable: not ready; the log says why\n"), (answer.status, answer.text()));
}

#[test]
fn every_socket_is_served_until_a_client_ends_the_server() {
    let (addrs, sockets) = listeners::<3>();
    let options = WebOptions { lifecycle: true, ..WebOptions::default() };
    let groups = Groups::open(&Store::Memory).unwrap();
    let web = Web::new(options, Push::default(), &Options::default(), Vec::new(), groups).unwrap();
    let server = Server::serve(sockets, Options::default(), web).unwrap();
    assert_eq!(addrs[0], server.local_addr());
    for addr in addrs {
        assert_eq!(200, get(addr, "/metrics", &[]).status);
    }

    assert_eq!(200, ask(addrs[2], "POST", "/-/quit", &[("Content-Length", "0")]).status);

    assert!(server.join_timeout(LIMIT));
    eventually(|| addrs.iter().all(|addr| std::net::TcpStream::connect(addr).is_err()));
}

#[test]
fn without_a_socket_there_is_no_server() {
    let groups = Groups::open(&Store::Memory).unwrap();
    let web = Web::new(WebOptions::default(), Push::default(), &Options::default(), Vec::new(), groups).unwrap();

    assert!(
        Server::serve(Vec::new(), Options::default(), web).unwrap_err().to_string().contains("no address is given")
    );
}
