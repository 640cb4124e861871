//! What a server endures: clients that are silent, slow, many or verbose, sources that wait, and its own end.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::client::{Client, Door, LIMIT, counters, eventually, get};
use tallymark_model::Snapshot;
use tallymark_transport::SourceError;
use tallymark_transport::{Options, Server};

fn serve(options: Options) -> Server {
    Server::bind("127.0.0.1:0", options, Arc::new(counters(&["requests_total"]))).unwrap()
}

/// A server whose scrapes with names wait at the door; those without do not.
fn serve_behind(door: &Arc<Door>, options: Options) -> Server {
    let door = door.clone();
    let source = move |names: &[String]| -> Result<Snapshot, SourceError> {
        if !names.is_empty() {
            door.pass();
        }
        Ok(Snapshot::default())
    };
    Server::bind("127.0.0.1:0", options, Arc::new(source)).unwrap()
}

/// Whether nobody listens there.
fn is_refused(addr: SocketAddr) -> bool {
    matches!(TcpStream::connect_timeout(&addr, LIMIT), Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}

/// Whether the server has room for one more client.
fn has_room(server: &Server) -> bool {
    let mut next = Client::connect(server.local_addr());
    next.send("GET", "/favicon.ico", &[]);
    next.answer().is_some_and(|answer| answer.status == 200)
}

#[test]
fn a_client_that_says_nothing_delays_nobody() {
    let server = serve(Options { header_timeout: LIMIT, ..Options::default() });
    let mut silent: Vec<_> = (0..20).map(|_| Client::connect(server.local_addr())).collect();

    assert_eq!(200, get(server.local_addr(), "/metrics", &[]).status);

    // None of them had to be closed for that.
    for client in &mut silent {
        client.send("GET", "/metrics", &[]);
        assert_eq!(200, client.answer().unwrap().status);
    }
}

#[test]
fn a_client_that_says_nothing_is_closed() {
    let server = serve(Options { header_timeout: Duration::from_millis(50), ..Options::default() });

    assert!(Client::connect(server.local_addr()).closed().is_empty());
}

#[test]
fn a_slow_source_delays_no_other_scrape() {
    let door = Arc::new(Door::default());
    let server = serve_behind(&door, Options::default());
    let mut slow = Client::connect(server.local_addr());
    slow.send("GET", "/?name[]=slow", &[]);
    door.wait_for(1);

    assert_eq!(200, get(server.local_addr(), "/", &[]).status);

    door.open();
    assert_eq!(200, slow.answer().unwrap().status);
}

#[test]
fn one_scrape_too_many_is_a_503() {
    let door = Arc::new(Door::default());
    let server = serve_behind(&door, Options { max_scrapes: 2, ..Options::default() });
    let mut running: Vec<_> = (0..2).map(|_| Client::connect(server.local_addr())).collect();
    for client in &mut running {
        client.send("GET", "/?name[]=slow", &[]);
    }
    door.wait_for(2);

    let answer = get(server.local_addr(), "/", &[]);
    assert_eq!(503, answer.status);
    assert_eq!("2 scrapes are running already, which is the limit; ask again later\n", answer.text());
    assert_eq!(200, get(server.local_addr(), "/favicon.ico", &[]).status, "what needs no scrape is answered");

    door.open();
    for client in &mut running {
        assert_eq!(200, client.answer().unwrap().status);
    }
    assert_eq!(200, get(server.local_addr(), "/", &[]).status);
}

#[test]
fn a_scrape_counts_until_its_source_is_done_not_until_its_client_leaves() {
    let door = Arc::new(Door::default());
    let server = serve_behind(&door, Options { max_scrapes: 1, ..Options::default() });
    let mut gone = Client::connect(server.local_addr());
    gone.send("GET", "/?name[]=slow", &[]);
    door.wait_for(1);
    drop(gone);

    assert_eq!(503, get(server.local_addr(), "/", &[]).status);

    door.open();
    eventually(|| get(server.local_addr(), "/", &[]).status == 200);
}

#[test]
fn one_client_too_many_is_closed_at_once() {
    // Without a timeout, so that only the limit can be why the third is closed.
    let server = serve(Options { max_connections: 2, header_timeout: Duration::MAX, ..Options::default() });
    let mut first = Client::connect(server.local_addr());
    let mut second = Client::connect(server.local_addr());
    // Answered, so both are counted.
    for client in [&mut first, &mut second] {
        client.send("GET", "/metrics", &[]);
        assert_eq!(200, client.answer().unwrap().status);
    }

    assert!(Client::connect(server.local_addr()).closed().is_empty());

    // Those who were there first notice nothing, and who leaves makes room.
    first.send("GET", "/metrics", &[]);
    assert_eq!(200, first.answer().unwrap().status);
    drop(second);
    eventually(|| has_room(&server));
}

#[test]
fn a_head_that_is_too_large_is_a_431() {
    for limit in [1024, 16 * 1024, 100 * 1024] {
        let server = serve(Options { max_header_bytes: limit, ..Options::default() });
        let fits = "x".repeat(limit - 100);
        assert_eq!(200, get(server.local_addr(), "/metrics", &[("X-Large", &fits)]).status, "{limit}");

        let mut client = Client::connect(server.local_addr());
        client.send("GET", "/metrics", &[("X-Large", &"x".repeat(limit))]);

        assert_eq!(431, client.answer().unwrap().status, "{limit}");
        assert!(client.closed().is_empty());
    }
}

#[test]
fn what_is_not_http_is_a_400_and_the_end() {
    let server = serve(Options::default());
    let mut client = Client::connect(server.local_addr());
    client.write(b"\x16\x03\x01 hello, is there TLS?\r\n\r\n");

    assert_eq!(400, client.answer().unwrap().status);
    assert!(client.closed().is_empty());
}

#[test]
fn a_body_is_not_read() {
    let server = serve(Options::default());
    let mut client = Client::connect(server.local_addr());
    client.send("POST", "/metrics", &[("Content-Length", "1000000000000")]);
    client.write(&[b'x'; 50_000]);

    assert_eq!(405, client.answer().unwrap().status);
    assert!(client.closed().is_empty());
}

#[test]
fn a_client_that_does_not_read_is_closed() {
    let source = |_: &[String]| -> Result<Snapshot, SourceError> { Err("x".repeat(64 << 20).into()) };
    let options = Options { write_timeout: Duration::from_millis(100), max_connections: 1, ..Options::default() };
    let server = Server::bind("127.0.0.1:0", options, Arc::new(source)).unwrap();
    let mut client = Client::connect(server.local_addr());
    client.send("GET", "/metrics", &[]);
    assert_eq!(500, client.head().unwrap().status);

    // The kernel's buffers do not hold 64 MiB, so there is room only when the server has given up.
    eventually(|| has_room(&server));

    assert!(client.closed().len() < 64 << 20);
}

#[test]
fn a_shutdown_lets_running_requests_end_and_takes_no_more() {
    let door = Arc::new(Door::default());
    let server = serve_behind(&door, Options { shutdown_timeout: LIMIT, ..Options::default() });
    let idle = Client::connect(server.local_addr());
    let mut running = Client::connect(server.local_addr());
    running.send("GET", "/?name[]=slow", &[]);
    door.wait_for(1);

    assert!(server.listener_fd().is_some());
    server.shutdown();
    assert!(idle.closed().is_empty());
    eventually(|| is_refused(server.local_addr()));
    assert_eq!(None, server.listener_fd());
    assert!(!server.join_timeout(Duration::ZERO), "a request is running");

    door.open();
    assert_eq!(200, running.answer().unwrap().status);
    server.join();
    assert!(running.closed().is_empty());
}

#[test]
fn a_shutdown_does_not_wait_for_a_source_that_hangs() {
    let door = Arc::new(Door::default());
    let server = serve_behind(&door, Options { shutdown_timeout: Duration::from_millis(100), ..Options::default() });
    let mut running = Client::connect(server.local_addr());
    running.send("GET", "/?name[]=slow", &[]);
    door.wait_for(1);

    server.shutdown();
    assert!(server.join_timeout(LIMIT / 2));

    assert!(running.closed().is_empty());
    door.open();
}

#[test]
fn a_server_that_is_dropped_frees_its_port() {
    let server = serve(Options::default());
    let addr = server.local_addr();
    let waiting = Client::connect(addr);
    drop(server);

    assert!(waiting.closed().is_empty());
    eventually(|| is_refused(addr));
    // Not at the first attempt, should a client of another test have been given the port in between.
    eventually(|| Server::bind(addr, Options::default(), Arc::new(counters(&[]))).is_ok());
}

#[test]
fn a_client_that_leaves_at_any_byte_harms_nobody() {
    let server = serve(Options::default());
    let request = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n";
    for length in 0..=request.len() {
        for how in [None, Some(Shutdown::Write), Some(Shutdown::Both)] {
            let mut client = TcpStream::connect(server.local_addr()).unwrap();
            client.write_all(&request[..length]).unwrap();
            if let Some(how) = how {
                client.shutdown(how).unwrap();
            }
        }
    }

    assert_eq!(200, get(server.local_addr(), "/metrics", &[]).status);
}

#[cfg(target_os = "linux")]
#[test]
fn the_thread_is_named() {
    let _server = serve(Options::default());
    let names: Vec<_> = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .collect();

    assert!(names.iter().any(|name| name.trim() == "tallymark-http"), "{names:?}");
}
