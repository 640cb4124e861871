//! Stores that keep requests waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use hyper::{HeaderMap, Method};
use tallymark::{Groups, Store};
use tallymark_transport::gateway::{Gateway, Options, Request};

const LONG: Duration = Duration::from_secs(60);

fn ask(gateway: &Gateway, method: Method) -> (u16, String) {
    let (path, headers) = ("/metrics/job/a", HeaderMap::new());
    let answer = gateway.handle(&Request { method: &method, path, query: None, headers: &headers, body: b"x 1\n" });
    (answer.status.as_u16(), String::from_utf8(answer.body).unwrap())
}

#[test]
fn a_request_that_takes_long_keeps_others_waiting_no_longer_than_they_may() {
    let (entered, has_entered) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    let (hold, is_released) = (Arc::new(AtomicBool::new(false)), std::sync::Mutex::new(is_released));
    let is_held = hold.clone();
    // One reading of the clock takes as long as a store that hangs.
    let clock = move || {
        if is_held.swap(false, Ordering::Relaxed) {
            entered.send(()).unwrap();
            is_released.lock().unwrap().recv().unwrap();
        }
        1e9
    };
    let options = Options { timeout: Duration::from_millis(50), clock: Arc::new(clock), ..Options::default() };
    let gateway = Arc::new(Gateway::open(Groups::open(&Store::Memory).unwrap(), options));
    hold.store(true, Ordering::Relaxed);
    let slow = std::thread::spawn({
        let gateway = gateway.clone();
        move || ask(&gateway, Method::DELETE)
    });
    has_entered.recv_timeout(LONG).unwrap();

    let (answer, answers) = mpsc::channel();
    std::thread::spawn({
        let gateway = gateway.clone();
        move || {
            let scrape = gateway.snapshot().unwrap_err().to_string();
            let ping = gateway.ping().unwrap_err().to_string();
            drop(answer.send((scrape, ping, ask(&gateway, Method::PUT))));
        }
    });
    let (scrape, ping, (status, push)) = answers.recv_timeout(LONG).unwrap();
    let reason = "the store of the pushed groups keeps other requests waiting; ask again later";
    assert_eq!([&*scrape, &*ping, push.trim_end()], [reason; 3]);
    assert_eq!(status, 503);

    release.send(()).unwrap();
    assert_eq!(slow.join().unwrap().0, 202);
}
