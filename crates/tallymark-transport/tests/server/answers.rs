//! What a scraper gets: answers, on real sockets.

use std::collections::HashSet;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::client::{Answer, Client, ask, counters, get};
use tallymark_model::Snapshot;
use tallymark_transport::{Options, ServeError, Server};

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0";

fn serve() -> Server {
    Server::bind("127.0.0.1:0", Options::default(), Arc::new(counters(&["requests_total", "errors_total"]))).unwrap()
}

fn families(answer: &Answer) -> Vec<&str> {
    answer.text().lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect()
}

#[test]
fn any_path_serves_text() {
    let server = serve();
    for path in ["/", "/metrics", "/a/b?c=d", "http://here/metrics"] {
        let answer = get(server.local_addr(), path, &[]);

        assert_eq!(200, answer.status, "{path}");
        assert_eq!("text/plain; version=0.0.4; charset=utf-8", answer.header("content-type"));
        assert_eq!("", answer.header("content-encoding"));
        assert!(answer.text().contains("# HELP requests_total Counts requests_total."), "{}", answer.text());
    }
}

#[test]
fn openmetrics_is_for_who_asks() {
    let server = serve();

    let answer = get(server.local_addr(), "/metrics", &[("Accept", OPENMETRICS)]);

    assert!(answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(answer.text().ends_with("# EOF\n"), "{}", answer.text());
}

#[test]
fn a_coding_that_is_accepted_is_used_and_undone_gives_the_same() {
    let server = serve();
    let plain = get(server.local_addr(), "/metrics", &[]);
    for (accepted, used) in [
        ("gzip", "gzip"),
        ("deflate, GZIP;q=0.5", "gzip"),
        ("zstd", "zstd"),
        ("gzip;q=0", ""),
        ("identity", ""),
        ("br", ""),
        ("", ""),
    ] {
        let answer = get(server.local_addr(), "/metrics", &[("Accept-Encoding", accepted)]);
        let mut body = Vec::new();
        match used {
            "gzip" => drop(flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut body).unwrap()),
            "zstd" => body = zstd::decode_all(&*answer.body).unwrap(),
            _ => body.clone_from(&answer.body),
        }

        assert_eq!(used, answer.header("content-encoding"), "{accepted}");
        assert_eq!(plain.body, body, "{accepted}");
        assert_eq!(plain.header("content-type"), answer.header("content-type"), "{accepted}");
    }
}

#[test]
fn compression_can_be_turned_off() {
    let options = Options { compression: false, ..Options::default() };
    let server = Server::bind("127.0.0.1:0", options, Arc::new(counters(&["requests_total"]))).unwrap();

    let answer = get(server.local_addr(), "/metrics", &[("Accept-Encoding", "gzip, zstd")]);

    assert_eq!("", answer.header("content-encoding"));
    assert!(answer.text().contains("requests_total"));
}

#[test]
fn head_is_get_without_the_body() {
    let server = serve();
    for headers in [&[][..], &[("Accept-Encoding", "gzip"), ("Accept", OPENMETRICS)]] {
        let mut whole = get(server.local_addr(), "/metrics", headers);
        let mut client = Client::connect(server.local_addr());
        client.send("HEAD", "/metrics", headers);
        let mut head = client.head().unwrap();
        // The next answer on the same connection begins where the head ended.
        client.send("GET", "/metrics", headers);

        assert_eq!(whole.body, client.answer().unwrap().body);
        assert_eq!(whole.body.len().to_string(), head.header("content-length"));
        whole.headers.remove("date");
        head.headers.remove("date");
        assert_eq!((whole.status, whole.headers), (head.status, head.headers));
    }
}

#[test]
fn names_restrict_the_answer() {
    let server = serve();

    let all = get(server.local_addr(), "/metrics?name[]=", &[]);
    let one = get(server.local_addr(), "/metrics?name%5B%5D=errors_total&x=y", &[]);
    let none = get(server.local_addr(), "/metrics?name[]=else", &[]);

    assert_eq!(vec!["requests_total", "errors_total"], families(&all));
    assert_eq!(vec!["errors_total"], families(&one));
    assert_eq!((200, Vec::<&str>::new()), (none.status, families(&none)));
}

#[test]
fn options_lists_the_methods() {
    let answer = ask(serve().local_addr(), "OPTIONS", "/metrics", &[]);

    assert_eq!((200, "OPTIONS,GET,HEAD", ""), (answer.status, answer.header("allow"), answer.text()));
}

#[test]
fn other_methods_are_refused_with_the_list() {
    let server = serve();
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
        let answer = ask(server.local_addr(), method, "/metrics", &[]);

        assert_eq!((405, "OPTIONS,GET,HEAD"), (answer.status, answer.header("allow")));
        assert_eq!(format!("405 Method Not Allowed: {method}; use GET, HEAD or OPTIONS\n"), answer.text());
    }
}

#[test]
fn a_favicon_costs_no_scrape() {
    let source = |_: &[String]| -> Result<Snapshot, _> { panic!("scraped") };
    let server = Server::bind("127.0.0.1:0", Options::default(), Arc::new(source)).unwrap();

    let answer = get(server.local_addr(), "/favicon.ico?v=1", &[]);

    assert_eq!((200, ""), (answer.status, answer.text()));
}

#[test]
fn a_connection_serves_many_requests() {
    let server = serve();
    let mut client = Client::connect(server.local_addr());
    for _ in 0..50 {
        client.send("GET", "/metrics", &[]);
        assert_eq!(200, client.answer().unwrap().status);
    }

    // Also when they are sent without waiting for the answers.
    client.write(&b"GET / HTTP/1.1\r\nHost: here\r\n\r\n".repeat(3));
    for _ in 0..3 {
        assert_eq!(200, client.answer().unwrap().status);
    }
}

#[test]
fn a_client_of_http_1_0_is_answered_and_closed() {
    let mut client = Client::connect(serve_forever());
    client.write(b"GET /metrics HTTP/1.0\r\n\r\n");

    assert_eq!(200, client.answer().unwrap().status);
    assert!(client.closed().is_empty());
}

#[test]
fn a_source_that_fails_is_a_500_with_its_words() {
    let source = |_: &[String]| Err("redis://here: connection refused".into());
    let server = Server::bind("127.0.0.1:0", Options::default(), Arc::new(source)).unwrap();

    let answer = get(server.local_addr(), "/metrics", &[("Accept-Encoding", "gzip")]);

    assert_eq!((500, "redis://here: connection refused\n"), (answer.status, answer.text()));
    assert_eq!(("text/plain; charset=utf-8", ""), (answer.header("content-type"), answer.header("content-encoding")));
}

#[test]
fn a_source_that_panics_is_a_500_and_the_server_lives() {
    let good = counters(&["requests_total"]);
    let source = move |names: &[String]| {
        assert!(names.is_empty(), "names are too much for me");
        good(names)
    };
    let server = Server::bind("127.0.0.1:0", Options::default(), Arc::new(source)).unwrap();
    let mut client = Client::connect(server.local_addr());

    client.send("GET", "/metrics?name[]=a", &[]);
    let answer = client.answer().unwrap();
    assert_eq!(
        (500, "the source of the metrics panicked: names are too much for me\n"),
        (answer.status, answer.text())
    );

    client.send("GET", "/metrics", &[]);
    assert_eq!(200, client.answer().unwrap().status);
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_it() {
    let server = serve();

    let error = Server::bind(server.local_addr(), Options::default(), Arc::new(counters(&[]))).unwrap_err();

    assert!(matches!(error, ServeError::Listen { addr, .. } if addr == server.local_addr()));
    assert!(error.to_string().contains("reuse_port"), "{error}");
}

#[test]
fn two_servers_share_a_port_that_both_asked_to_share() {
    let shared = || Options { reuse_port: true, ..Options::default() };
    let first = Server::bind("127.0.0.1:0", shared(), Arc::new(counters(&["first_total"]))).unwrap();
    let second = Server::bind(first.local_addr(), shared(), Arc::new(counters(&["second_total"]))).unwrap();
    assert_eq!(first.local_addr(), second.local_addr());

    // The kernel picks by a hash of the client's port; that 200 clients all reach the same server does not happen.
    let mut seen = HashSet::new();
    for _ in 0..200 {
        seen.insert(families(&get(first.local_addr(), "/", &[])).join(","));
        if seen.len() == 2 {
            break;
        }
    }

    assert_eq!(HashSet::from(["first_total".to_owned(), "second_total".to_owned()]), seen);
}

#[test]
fn ipv6_is_served_where_the_host_has_it() {
    // A container may well have no IPv6: then there is nothing to see.
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let server = Server::bind("[::1]:0", Options::default(), Arc::new(counters(&["requests_total"]))).unwrap();

    assert_eq!(200, get(server.local_addr(), "/metrics", &[]).status);
}

/// A server that ends with the test's process.
fn serve_forever() -> SocketAddr {
    let server = serve();
    let addr = server.local_addr();
    std::mem::forget(server);
    addr
}
