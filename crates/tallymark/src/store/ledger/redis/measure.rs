use std::sync::Arc;
use std::time::Instant;

use super::super::contract::{Writer, apply, change, family, soon};
use super::super::{Batch, Change, Delta, Ledger};
use super::scripts::Road;
use super::server::Server;
use tallymark_model::{Family, Kind};

#[test]
#[ignore]
fn measure() {
    let many: u64 = std::env::var("MANY").map(|t| t.parse().unwrap()).unwrap_or(10_000);
    let server = Server::start(&[]);
    let mut ledger = super::tests::ledger(&server.url());
    if std::env::var("SCRIPTS").is_ok() {
        ledger.scripts.road = Road::Scripts;
    }
    let counter = family(Kind::Counter, "http_requests", &["method", "path"]);
    let histogram: Arc<Family> =
        Arc::new(Family::builder(Kind::Histogram, "latency_seconds", "").label_names(["path"]).build().unwrap());
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    let path = |n: u64| format!("/api/v1/things/{n}");
    server.ask::<()>("CONFIG SET slowlog-log-slower-than 1000");
    let mut sequence = 0;
    let mut send = |ledger: &mut super::Redis, changes: Vec<Change>| {
        sequence += 1;
        let batch = Batch {
            writer: writer.id,
            shard: 0,
            epoch: writer.epochs[0],
            sequence,
            rebase: false,
            families: vec![counter.clone(), histogram.clone()],
            changes,
        };
        let start = Instant::now();
        assert_eq!(apply(ledger, &batch), super::super::Answer::Applied);
        (start.elapsed(), super::layout::batch(&batch).iter().map(|a| a.len()).sum::<usize>())
    };
    let start = Instant::now();
    let mut n = 0;
    while n < many {
        let changes: Vec<Change> = (n..(n + 256).min(many))
            .map(|i| change(&["GET", &path(i)], Delta::Number { whole: i, rest: 0.0 }))
            .collect();
        n += 256;
        send(&mut ledger, changes);
    }
    println!("load {many}: {:?}", start.elapsed());
    let stat = |what: &str| {
        let info: String = server.ask("INFO commandstats");
        for line in info.lines().filter(|l| {
            ["fcall", "evalsha", "hscan", "hset", "hmget"].iter().any(|c| l.starts_with(&format!("cmdstat_{c}:")))
        }) {
            println!("  {what}: {line}");
        }
        server.ask::<()>("CONFIG RESETSTAT");
    };
    stat("load");
    for round in 0..100u64 {
        let changes: Vec<Change> = (0..256)
            .map(|i| change(&["GET", &path((i + round * 256) % many)], Delta::Number { whole: 3, rest: 0.25 }))
            .collect();
        let (t, b) = send(&mut ledger, changes);
        if round % 50 == 0 {
            println!("256 counters: {t:?} {b} bytes");
        }
    }
    stat("256 counters");
    for round in 0..100u64 {
        let changes: Vec<Change> = (0..85)
            .map(|i| Change {
                family: 1,
                ..change(&[&path(i)], Delta::Tally { counts: vec![(1, 3), (2, 4), (5, 1), (7, 1)], sum: 0.123 })
            })
            .collect();
        let (t, b) = send(&mut ledger, changes);
        if round % 50 == 0 {
            println!("85 histograms: {t:?} {b} bytes");
        }
    }
    stat("85 histograms of 4 counts each");
    for round in 0..100u64 {
        let changes: Vec<Change> =
            (0..512).map(|i| change(&["GET", &path((i + round * 512) % many)], Delta::Nothing)).collect();
        let (t, b) = send(&mut ledger, changes);
        if round % 50 == 0 {
            println!("512 mentions: {t:?} {b} bytes");
        }
    }
    stat("512 mentions");
    for _ in 0..3 {
        let start = Instant::now();
        let stored = ledger.read(soon()).unwrap();
        println!("read {}: {:?}", stored.series.len(), start.elapsed());
    }
    stat("read");
    for _ in 0..100 {
        writer.greet(&mut ledger, std::time::Duration::from_secs(30));
    }
    stat("greet");
    let slow: Vec<(i64, i64, i64, Vec<String>)> = Vec::new();
    let _ = slow;
    let log: redis::Value = server.ask("SLOWLOG GET 10");
    let redis::Value::Array(entries) = log else { panic!() };
    for entry in entries {
        let redis::Value::Array(e) = entry else { panic!() };
        let redis::Value::Array(c) = &e[3] else { panic!() };
        println!("slow {:?} {:?}", e[2], c.first());
    }
    let memory: String = server.ask("INFO memory");
    println!("{}", memory.lines().find(|l| l.starts_with("used_memory_human")).unwrap());
    let _ = &mut writer;
}
