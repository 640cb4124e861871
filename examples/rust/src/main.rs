//! A ticket shop that counts right however many processes of it there are, and whatever they are written in.
//!
//! ```text
//! export TALLYMARK_STORE=file:/tmp/shop.tally
//! cargo run -p tallymark-example-shop -- --port 8100 &
//! cargo run -p tallymark-example-shop -- --port 8200 &
//! curl http://127.0.0.1:8100/buy/concert
//! curl http://127.0.0.1:8200/metrics          # the ticket that the other one sold is in it
//! ```
//!
//! Start the shop of `examples/python` on the same store as well: each shows the other's numbers.
//!
//! `TALLYMARK_STORE` is all that makes the numbers add up. Without it they live in this process alone. There is no
//! shutdown to take care of: what has been counted is in the file, also if the process is killed.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, thread};

use tallymark::{Counter, Family, Gauge, Histogram, Registry, Store};
use tallymark_transport::Exposition;
use tiny_http::{Header, Method, Request, Response, Server};

/// How many customers are served at once.
const TILLS: usize = 4;

/// What is for sale. What strangers type must not become a label value, or they decide how many series there are.
const EVENTS: [&str; 3] = ["concert", "opera", "theatre"];

type Answer = Response<std::io::Cursor<Vec<u8>>>;

/// The metrics, made once and shared by every thread. Updating one takes no lock and does no I/O.
struct Shop {
    registry: Registry,
    /// A family has one series for each set of label values; [`Family::with`] gives the handle of one.
    tickets: Family<Counter>,
    checkout_seconds: Histogram,
    in_progress: Gauge,
}

impl Shop {
    /// Defines the metrics. Every process of the store does so; the same name is the same metric.
    fn open(store: Store) -> Result<Shop, tallymark::Error> {
        let registry = Registry::with_store(store);

        // A counter's samples end in `_total`, whether its name does or not.
        let tickets = registry.counter("tickets", "Tickets sold.").label_names(["event"]).register()?;
        // A series exists from the first `with` on: made here, "not sold yet" reads 0, not "no data".
        for event in EVENTS {
            tickets.with(&[event])?;
        }

        // Without labels a family has one series, and its handle is all that is needed.
        let checkout_seconds = registry
            .histogram("ticket_checkout_seconds", "Time from asking for a ticket to having paid for it.")
            .bounds(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1])
            .register_one()?;

        // A gauge that only goes up and down is the sum over the processes that live.
        let in_progress = registry.gauge("tickets_in_progress", "Tickets being sold at this moment.").register_one()?;

        Ok(Shop { registry, tickets, checkout_seconds, in_progress })
    }

    fn answer(&self, request: &Request) -> Result<Answer, Box<dyn Error>> {
        if *request.method() != Method::Get {
            return Ok(Response::from_string("only GET is answered\n").with_status_code(405));
        }
        let path = request.url().split('?').next().unwrap_or_default();
        match path.strip_prefix("/buy/") {
            Some(event) if EVENTS.contains(&event) => self.buy(event),
            None if path == "/metrics" => self.metrics(request),
            _ => {
                Ok(Response::from_string(format!("try /metrics, or /buy/ and one of {EVENTS:?}\n"))
                    .with_status_code(404))
            }
        }
    }

    fn buy(&self, event: &str) -> Result<Answer, Box<dyn Error>> {
        // Counts until it is dropped at the end of this function, however that is reached.
        let _sale = self.in_progress.track_inprogress();
        {
            // Observes the seconds until it is dropped.
            let _timer = self.checkout_seconds.start_timer();
            take_payment();
        }
        self.tickets.with(&[event])?.inc();
        Ok(Response::from_string(format!("one ticket for the {event}\n")))
    }

    /// Answers for every process of the store, in the format and with the compression that the scraper asks for.
    fn metrics(&self, request: &Request) -> Result<Answer, Box<dyn Error>> {
        let header = |name| request.headers().iter().find(|header| header.field.equiv(name));
        let exposition = Exposition::new(
            &self.registry.snapshot(),
            header("Accept").map(|header| header.value.as_str()),
            header("Accept-Encoding").map(|header| header.value.as_str()),
            true,
        )?;
        let mut response = Response::from_data(exposition.body);
        for (name, value) in
            [("Content-Type", Some(exposition.content_type)), ("Content-Encoding", exposition.content_encoding)]
        {
            if let Some(value) = value {
                response.add_header(Header::from_bytes(name, value).map_err(|()| "not a header")?);
            }
        }
        Ok(response)
    }

    /// Takes one request after the other until the server is gone.
    fn work(&self, server: &Server) {
        while let Ok(request) = server.recv() {
            let answer = self.answer(&request);
            let answer =
                answer.unwrap_or_else(|error| Response::from_string(format!("{error}\n")).with_status_code(500));
            // A customer who has left gets no answer.
            let _ = request.respond(answer);
        }
    }
}

/// Stands for the part of a sale that takes its time.
fn take_payment() {
    thread::sleep(Duration::from_millis(2));
}

/// The port to listen on; 0 is a free one.
fn port(arguments: &[String]) -> Result<u16, Box<dyn Error>> {
    match arguments {
        [] => Ok(0),
        [flag, port] if flag == "--port" => Ok(port.parse().map_err(|error| format!("--port {port}: {error}"))?),
        _ => Err("usage: tallymark-example-shop [--port PORT]".into()),
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let port = port(&env::args().skip(1).collect::<Vec<_>>())?;
    let shop = Shop::open(Store::from_env()?)?;
    let server = Server::http(("127.0.0.1", port)).map_err(|error| format!("cannot listen on port {port}: {error}"))?;
    println!("http://{}", server.server_addr());
    thread::scope(|scope| {
        for _ in 0..TILLS {
            scope.spawn(|| shop.work(&server));
        }
    });
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
