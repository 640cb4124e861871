//! What the example is there to show: its processes add up, and one that is killed takes nothing away.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;

/// A running process of the shop; killed when it is dropped.
struct Shop {
    process: Child,
    address: String,
}

impl Shop {
    fn start(store: Option<&str>) -> Shop {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallymark-example-shop"));
        match store {
            Some(store) => command.env("TALLYMARK_STORE", store),
            None => command.env_remove("TALLYMARK_STORE"),
        };
        let mut process = command.args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").expect("the address").to_owned();
        Shop { process, address }
    }

    /// The body of the answer, which must have this status.
    fn get(&self, path: &str, status: u16) -> String {
        let mut client = TcpStream::connect(&self.address).unwrap();
        write!(client, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();

        assert_eq!(Some(status.to_string().as_str()), head.split(' ').nth(1), "{path}: {answer}");

        body.to_owned()
    }

    fn sell(&self, event: &str, tickets: usize) {
        for _ in 0..tickets {
            self.get(&format!("/buy/{event}"), 200);
        }
    }

    /// The lines of `/metrics` that begin so.
    fn samples(&self, prefix: &str) -> Vec<String> {
        self.get("/metrics", 200).lines().filter(|line| line.starts_with(prefix)).map(str::to_owned).collect()
    }

    /// Ends it as `kill -9` does.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Fails if the test has killed it already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const SOLD: [&str; 3] = [
    r#"tickets_total{event="concert"} 150.0"#,
    r#"tickets_total{event="opera"} 50.0"#,
    r#"tickets_total{event="theatre"} 0.0"#,
];

fn assert_sold(shop: &Shop) {
    assert_eq!(SOLD, *shop.samples("tickets_total"));
    assert_eq!(["ticket_checkout_seconds_count 200.0"], *shop.samples("ticket_checkout_seconds_count"));
    assert_eq!(["tickets_in_progress 0.0"], *shop.samples("tickets_in_progress"));
}

#[test]
fn two_processes_show_one_total_that_outlives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("shop.tally").display());
    let mut first = Shop::start(Some(&store));
    let second = Shop::start(Some(&store));
    thread::scope(|scope| {
        for shop in [&first, &second] {
            scope.spawn(|| shop.sell("concert", 50));
            scope.spawn(|| shop.sell("opera", 25));
        }
        scope.spawn(|| first.sell("concert", 50));
    });
    assert_sold(&first);
    assert_sold(&second);

    first.kill();

    assert_sold(&second);
    // Whoever starts now goes on where the other was.
    let third = Shop::start(Some(&store));
    assert_sold(&third);
    third.sell("theatre", 1);

    assert_eq!([SOLD[0], SOLD[1], r#"tickets_total{event="theatre"} 1.0"#], *second.samples("tickets_total"));
}

#[test]
fn without_a_store_a_process_knows_only_what_it_sold_itself() {
    let [first, second] = [Shop::start(None), Shop::start(None)];
    first.sell("opera", 1);

    assert_eq!([r#"tickets_total{event="opera"} 1.0"#], *first.samples("tickets_total{event=\"opera\"}"));
    assert_eq!([r#"tickets_total{event="opera"} 0.0"#], *second.samples("tickets_total{event=\"opera\"}"));
}

#[test]
fn what_is_not_for_sale_makes_no_series() {
    let shop = Shop::start(None);

    shop.get("/buy/moon", 404);
    shop.get("/buy/", 404);

    assert_eq!(3, shop.samples("tickets_total").len());
}
