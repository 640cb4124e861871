//! The ledger on real servers: what every ledger must do, then what only a server can do to it.

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tallymark_cells::file::Total;
use tallymark_model::{Exemplar, Family, GaugeMode, Kind};

use super::super::contract::{
    Writer, apply, change, contract, family, find, plus, read, soon, total_of, value, values_of,
};
use super::super::{Answer, Batch, Change, Delta, Greeting, Hello, Ledger, Reason, Removal, StoredValue, Trouble};
use super::scripts::{Call, Operation, Road};
use super::server::{Cluster, Server, certificates, until};
use super::wire::To;
use super::{Redis, RedisGroups, Target};
use crate::record;
use crate::series::Note;
use crate::store::groups::contract::keeps_groups;
use crate::store::groups::{Keeper, Revision};

/// A ledger on the server of a URL. It waits long: this machine may be busy.
fn ledger(url: &str) -> Redis {
    with_ca(url, None)
}

fn with_ca(url: &str, ca: Option<&Path>) -> Redis {
    let target = Target::parse(url, ca.map(Path::to_owned)).unwrap();
    Redis::new(target, "tallymark".to_owned(), None, Duration::from_secs(10))
}

/// One that waits for a quarter of a second.
fn impatient(url: &str) -> Redis {
    Redis::new(Target::parse(url, None).unwrap(), "tallymark".to_owned(), None, Duration::from_millis(250))
}

fn with_functions() -> (Server, Redis) {
    let server = Server::start(&[]);
    let ledger = ledger(&server.url());
    (server, ledger)
}

fn with_scripts() -> (Server, Redis) {
    let (server, mut ledger) = with_functions();
    ledger.scripts.road = Road::Scripts;
    (server, ledger)
}

fn on_a_cluster() -> (Cluster, Redis) {
    let cluster = Cluster::start();
    let ledger = ledger(&cluster.url());
    (cluster, ledger)
}

mod functions {
    super::contract!(super::with_functions);
}

mod scripts {
    super::contract!(super::with_scripts);
}

mod cluster {
    super::contract!(super::on_a_cluster);
}

#[test]
fn pushed_groups_are_kept_on_a_server() {
    let server = Server::start(&[]);
    let open = || -> Box<dyn Keeper> {
        Box::new(RedisGroups::new(Target::parse(&server.url(), None).unwrap(), "x", Duration::from_secs(10)))
    };
    keeps_groups(open);
}

#[test]
fn groups_that_are_not_read_whole_are_not_taken_for_all() {
    let server = Server::start(&[]);
    let mut groups = RedisGroups::new(Target::parse(&server.url(), None).unwrap(), "x", Duration::from_secs(10));
    groups.write(Revision::default(), &[(b"a".to_vec(), Some(b"1".to_vec()))], soon()).unwrap().unwrap();
    // As if one had been left out of the reading: there is a field more than it brings groups.
    server.ask::<i64>("HSET x:groups missing 1");
    let refused = groups.changes(Revision::default(), soon()).unwrap_err();
    assert_eq!(refused.reason, Reason::NotReady, "{}", refused.message);

    server.ask::<i64>("HDEL x:groups missing");
    assert_eq!(groups.changes(Revision::default(), soon()).unwrap().groups.len(), 1);
}

#[test]
fn a_server_that_took_over_with_other_changes_tells_all_groups() {
    let server = Server::start(&[]);
    let mut groups = RedisGroups::new(Target::parse(&server.url(), None).unwrap(), "x", Duration::from_secs(10));
    let write = |groups: &mut RedisGroups, since, name: &str| {
        groups.write(since, &[(name.into(), Some(b"1".to_vec()))], soon()).unwrap()
    };
    let first = write(&mut groups, Revision::default(), "a").unwrap();
    server.ask::<String>("RENAME x:groups later");
    server.ask::<i64>("COPY later x:groups");
    let lost = write(&mut groups, first, "lost").unwrap();
    server.ask::<String>("RENAME later x:groups");
    let other = write(&mut groups, first, "other").unwrap();

    assert_eq!((lost.epoch, lost.number), (other.epoch, other.number));
    assert_eq!(write(&mut groups, lost, "late"), None);
    let seen = groups.changes(lost, soon()).unwrap();
    assert!(seen.complete);
    assert_eq!(seen.revision, other);
    assert_eq!(seen.groups.len(), 2);
}

#[test]
fn a_write_whose_answer_was_lost_is_known_when_it_is_repeated() {
    let server = Server::start(&[]);
    let mut groups = RedisGroups::new(Target::parse(&server.url(), None).unwrap(), "x", Duration::from_secs(10));
    let arguments =
        ["", "0", "0", "0000000000000000000000000000000a", "0000000000000000000000000000000b", "a", "=1", "b", ""];
    let call = || Call::run(Operation::GroupsPut, "x:groups".to_owned(), arguments);
    let said = |answer| redis::from_redis_value::<Vec<String>>(answer).unwrap();
    let first = said(groups.ask(call(), soon()).unwrap());
    assert_eq!(first, ["0000000000000000000000000000000a", "2"]);

    let now = groups.changes(Revision::default(), soon()).unwrap().revision;
    groups.write(now, &[(b"c".to_vec(), Some(Vec::new()))], soon()).unwrap().unwrap();
    assert_eq!(said(groups.ask(call(), soon()).unwrap()), first, "also when somebody else has written since");
    assert_eq!(groups.changes(now, soon()).unwrap().groups.len(), 1);
}

#[test]
fn pushed_groups_are_kept_on_a_cluster() {
    let cluster = Cluster::start();
    let open = || -> Box<dyn Keeper> {
        Box::new(RedisGroups::new(Target::parse(&cluster.url(), None).unwrap(), "x", Duration::from_secs(10)))
    };
    keeps_groups(open);
}

fn hits() -> Arc<Family> {
    family(Kind::Counter, "hits", &[])
}

fn gauge() -> Arc<Family> {
    Arc::new(Family::builder(Kind::Gauge, "depth", "").mode(GaugeMode::Sum).build().unwrap())
}

fn hello() -> Hello<'static> {
    let lease = Duration::from_secs(3600);
    Hello { writer: 1, instance: "a", lease, processes: 1, users: &[], removals: 0 }
}

/// What a writer hears that greets.
fn greeting(ledger: &mut Redis) -> Result<Greeting, Trouble> {
    ledger.greet(&hello(), soon())
}

fn trouble(ledger: &mut Redis) -> Trouble {
    greeting(ledger).expect_err("it cannot be greeted")
}

fn try_apply(ledger: &mut Redis, batch: &Batch) -> Result<Answer, Trouble> {
    ledger.apply(std::slice::from_ref(batch), soon()).remove(0)
}

/// How often a server was asked for a command.
fn calls(server: &Server, command: &str) -> u64 {
    let info: String = server.ask("INFO commandstats");
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[test]
fn a_batch_is_one_call_of_a_function_where_there_are_functions() {
    for (open, asked, not) in [
        (with_functions as fn() -> (Server, Redis), "fcall", "evalsha"),
        (with_scripts as fn() -> (Server, Redis), "evalsha", "fcall"),
    ] {
        let (server, mut ledger) = open();
        let mut writer = Writer::greeted(&mut ledger, 1, "a");
        server.ask::<()>("CONFIG RESETSTAT");
        for _ in 0..10 {
            writer.send(&mut ledger, &hits(), plus(1, 0.0));
        }

        assert_eq!((calls(&server, asked), calls(&server, not)), (10, 0));
        assert_eq!(calls(&server, "hset"), 10, "each is written by one command");
    }
}

#[test]
fn a_server_that_has_forgotten_functions_or_scripts_is_given_them_again() {
    for (open, forget) in [
        (with_functions as fn() -> (Server, Redis), "FUNCTION FLUSH"),
        (with_scripts as fn() -> (Server, Redis), "SCRIPT FLUSH"),
    ] {
        let (server, mut ledger) = open();
        let mut writer = Writer::greeted(&mut ledger, 1, "a");
        for _ in 0..3 {
            server.ask::<()>(forget);
            writer.send(&mut ledger, &hits(), plus(1, 0.0));
        }

        assert_eq!(total_of(&mut ledger, &hits()), Some(3.0));
    }
}

#[test]
fn a_user_who_may_not_have_functions_has_scripts() {
    for (may_not, road) in [
        ("-fcall -function", Road::Scripts),
        ("-fcall", Road::Scripts),
        ("-function", Road::Scripts),
        ("-script", Road::Functions),
    ] {
        let (server, _) = with_functions();
        server.ask::<()>(&format!("ACL SETUSER bob on >secret ~tallymark* +@all {may_not}"));
        let mut ledger = ledger(&server.url().replace("//", "//bob:secret@"));
        let mut writer = Writer::greeted(&mut ledger, 1, "a");
        writer.send(&mut ledger, &hits(), plus(1, 0.0));

        assert_eq!(ledger.scripts.road, road, "{may_not}");
        assert_eq!(total_of(&mut ledger, &hits()), Some(1.0));
    }
}

/// The documentation, whose examples are what is tested here.
fn documentation() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/stores/redis.md")).unwrap()
}

#[test]
fn the_permissions_that_the_documentation_lists_are_enough() {
    let (server, _) = with_functions();
    let text = documentation();
    let users: Vec<&str> = text.lines().filter(|line| line.starts_with("ACL SETUSER ")).collect();
    users.iter().for_each(|line| server.ask::<()>(line));
    let url = |user: &str| server.url().replace("//", &format!("//{user}:secret@"));
    let mut writing = ledger(&url("app"));
    let mut writer = Writer::greeted(&mut writing, 1, "a");
    writer.send(&mut writing, &hits(), plus(1, 0.0));
    writer.send(&mut writing, &gauge(), change(&[], Delta::Gauge(vec![value(1, 2.0, 3)])));
    let removal = Removal { writer: 1, id: 1, family: hits(), wanted: Vec::new() };
    writing.remove(&removal, soon()).unwrap();
    writer.send(&mut writing, &hits(), plus(2, 0.0));
    assert_eq!(total_of(&mut writing, &hits()), Some(2.0));

    let mut reading = ledger(&url("scraper"));
    assert_eq!(total_of(&mut reading, &hits()), Some(2.0));
    let refused = trouble(&mut reading);
    assert_eq!((users.len(), refused.reason), (2, Reason::Denied), "{refused}");
}

#[test]
fn a_wrong_password_is_refused_and_not_repeated() {
    let server = Server::start(&["--requirepass", "right"]);
    server.ask_as::<()>("right", "ACL SETUSER bob on >secret ~* +@all");
    for user in ["", ":wrongpassword@", "bob:wrongpassword@", "nobody:wrongpassword@"] {
        let found = trouble(&mut ledger(&server.url().replace("//", &format!("//{user}"))));
        assert_eq!(found.reason, Reason::Denied, "{found}");
        assert!(!format!("{found} {found:?}").contains("wrongpassword"), "{found}");
    }
    for user in [":right@", "bob:secret@", "default:right@"] {
        let mut ledger = ledger(&server.url().replace("//", &format!("//{user}")));
        Writer::greeted(&mut ledger, 1, "a");
    }
}

#[test]
fn where_nobody_listens_that_is_said() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let found = trouble(&mut ledger(&format!("redis://:secret@127.0.0.1:{port}")));
    assert_eq!(found.reason, Reason::Unreachable);
    let expected = format!("redis://127.0.0.1:{port}: nobody listens there; start the server, or check host and port");
    assert_eq!(found.message, expected);

    let found = trouble(&mut ledger(&format!("redis+cluster://127.0.0.1:{port},127.0.0.1:{port}")));
    assert_eq!(found.reason, Reason::Unreachable, "{found}");
    let found = trouble(&mut ledger("unix:/nowhere/redis.sock"));
    assert_eq!(found.reason, Reason::Unreachable, "{found}");
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for url in ["redis://", "rediss://", "redis+cluster://", "redis://:secret@"] {
        let found = trouble(&mut impatient(&format!("{url}127.0.0.1:{port}")));
        assert_eq!(found.reason, Reason::Timeout, "{url}: {found}");
    }
    let mut patient = ledger(&format!("redis://127.0.0.1:{port}"));
    let found = patient.greet(&hello(), Instant::now() + Duration::from_millis(100)).unwrap_err();
    assert_eq!(found.reason, Reason::Timeout, "the limit is earlier than the timeout");
    let found = patient.greet(&hello(), Instant::now()).unwrap_err();
    assert_eq!(found.reason, Reason::Timeout, "no time at all");
}

#[test]
fn a_stopped_server_has_each_batch_once_when_it_goes_on() {
    let server = Server::start(&[]);
    let mut ledger = impatient(&server.url());
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    let batch = writer.next(&ledger, &hits(), plus(7, 0.5));
    server.signal("-STOP");
    for _ in 0..3 {
        assert_eq!(try_apply(&mut ledger, &batch).unwrap_err().reason, Reason::Timeout);
    }
    server.signal("-CONT");
    let mut answer = None;
    until(|| {
        answer = try_apply(&mut ledger, &batch).ok();
        answer.is_some()
    });

    // One of the three may have waited in the stopped server's socket.
    assert!(matches!(answer, Some(Answer::Applied | Answer::Old(1))));
    until(|| ledger.read(soon()).is_ok());
    assert_eq!(total_of(&mut ledger, &hits()), Some(7.5));
}

#[test]
fn a_connection_that_was_cut_is_made_again() {
    let (server, mut ledger) = with_functions();
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    for _ in 0..3 {
        server.ask::<()>("CLIENT KILL TYPE normal SKIPME yes");
        writer.send(&mut ledger, &hits(), plus(1, 0.0));
    }

    assert_eq!(total_of(&mut ledger, &hits()), Some(3.0));
    let names: String = server.ask("CLIENT LIST");
    assert!(names.contains("name=tallymark"), "{names}");
}

#[test]
fn a_server_that_came_back_empty_has_another_epoch() {
    let (mut server, mut ledger) = with_functions();
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    let old = writer.send(&mut ledger, &hits(), plus(5, 0.0));
    server.kill();
    assert_eq!(try_apply(&mut ledger, &old).unwrap_err().reason, Reason::Unreachable);
    server.run();

    assert_eq!(apply(&mut ledger, &old), Answer::OtherEpoch);
    assert!(read(&mut ledger).series.is_empty());
    let greeting = greeting(&mut ledger).unwrap();
    assert!(!greeting.known);
    assert_ne!(greeting.epochs, writer.epochs);
    assert_eq!(apply(&mut ledger, &old), Answer::OtherEpoch);
    let anew = Batch { epoch: greeting.epochs[0], ..old };
    assert_eq!(apply(&mut ledger, &anew), Answer::Applied);
}

#[test]
fn a_server_that_came_back_with_its_data_goes_on_where_it_was() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut ledger = ledger(&server.url());
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    let old = writer.send(&mut ledger, &hits(), plus(5, 0.0));
    server.kill();
    server.run();

    assert_eq!(apply(&mut ledger, &old), Answer::Old(1));
    writer.send(&mut ledger, &hits(), plus(1, 0.0));
    assert_eq!(total_of(&mut ledger, &hits()), Some(6.0));
}

#[test]
fn a_shard_that_was_lost_gets_an_epoch_and_the_others_keep_theirs() {
    let (server, _) = with_functions();
    let target = Target::parse(&server.url(), None).unwrap();
    let mut ledger = Redis::new(target, "tallymark".to_owned(), Some(4), Duration::from_secs(10));
    let before = greeting(&mut ledger).unwrap().epochs;
    server.ask::<()>("DEL tallymark:2");
    let after = greeting(&mut ledger).unwrap().epochs;

    let same: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
    assert_eq!(same, [true, true, false, true]);
    let mut other = super::tests::ledger(&server.url());
    assert_eq!(greeting(&mut other).unwrap().epochs, after, "a store has as many shards as it was made with");
}

#[test]
fn a_server_without_room_takes_nothing() {
    for open in [with_functions, with_scripts] {
        let (server, mut ledger) = open();
        let mut writer = Writer::greeted(&mut ledger, 1, "a");
        writer.send(&mut ledger, &hits(), plus(1, 0.0));
        let before: HashMap<String, String> = server.ask("HGETALL tallymark:0");
        server.ask::<()>("CONFIG SET maxmemory 1");
        let batch = writer.next(&ledger, &hits(), plus(2, 0.0));
        let found = try_apply(&mut ledger, &batch).unwrap_err();
        assert_eq!(found.reason, Reason::Full, "{found}");
        assert_eq!(trouble(&mut ledger).reason, Reason::Full);
        assert_eq!(server.ask::<HashMap<String, String>>("HGETALL tallymark:0"), before);
        assert_eq!(total_of(&mut ledger, &hits()), Some(1.0), "it can still be read");
        server.ask::<()>("CONFIG SET maxmemory 0");

        assert_eq!(apply(&mut ledger, &batch), Answer::Applied);
        assert_eq!(total_of(&mut ledger, &hits()), Some(3.0));
    }
}

#[test]
fn a_replica_takes_no_changes_but_can_be_read() {
    let (primary, mut ledger) = with_functions();
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    writer.send(&mut ledger, &hits(), plus(1, 0.0));
    let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    until(|| replica.ask::<String>("INFO replication").contains("master_link_status:up"));
    until(|| replica.ask::<u64>("EXISTS tallymark:0") == 1);
    let next = writer.next(&ledger, &hits(), plus(1, 0.0));
    let after_a_gap = Batch { sequence: 9, ..next.clone() };
    let of_another = Batch { epoch: !next.epoch, ..next.clone() };
    for road in [Road::Functions, Road::Scripts] {
        let mut other = super::tests::ledger(&replica.url());
        other.scripts.road = road;
        for batch in [&next, &after_a_gap, &of_another] {
            let found = try_apply(&mut other, batch).unwrap_err();
            assert_eq!(found.reason, Reason::ReadOnly, "{road:?}: {found}");
        }
        assert_eq!(trouble(&mut other).reason, Reason::ReadOnly);
        assert_eq!(total_of(&mut other, &hits()), Some(1.0));
    }
}

#[test]
fn what_is_not_ours_is_refused_and_left_untouched() {
    for (make, part) in [
        ("SET tallymark text", "WRONGTYPE"),
        ("SET tallymark:0 text", "WRONGTYPE"),
        ("HSET tallymark user bob", "key tallymark: not a store of Tallymark"),
        ("HSET tallymark:0 user bob", "key tallymark:0: not a shard of Tallymark"),
        ("HSET tallymark format 2 shards 1", "written by format 2, this build reads 1"),
        ("HSET tallymark format 1 shards many", "its field shards is \"many\""),
    ] {
        for open in [with_functions, with_scripts] {
            let (server, mut ledger) = open();
            server.ask::<()>(make);
            let key = make.split(' ').nth(1).unwrap();
            let before: Vec<u8> = server.ask(&format!("DUMP {key}"));
            let found = trouble(&mut ledger);
            assert_eq!(found.reason, Reason::Foreign, "{make}: {found}");
            assert!(found.message.contains(part), "{make}: {found}");
            assert!(found.message.contains("prefix="), "{make}: {found}");
            if !make.contains("shards many") {
                assert_eq!(server.ask::<Vec<u8>>(&format!("DUMP {key}")), before, "{make}");
            }
        }
    }
}

#[test]
fn what_does_not_speak_redis_is_not_taken_for_it() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = server.accept().unwrap();
        stream.read_exact(&mut [0; 10]).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let found = trouble(&mut ledger(&format!("redis://127.0.0.1:{port}")));
    answering.join().unwrap();
    assert_eq!(found.reason, Reason::Foreign, "{found}");
}

#[test]
fn tls_is_spoken_with_servers_whose_certificate_is_trusted() {
    let files = certificates();
    let file = |name: &str| files.path().join(name).display().to_string();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::start(&[
        "--tls-port",
        &port.to_string(),
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        &file("server.crt"),
        "--tls-key-file",
        &file("server.key"),
        "--tls-ca-cert-file",
        &file("ca.crt"),
    ]);
    let ca = files.path().join("ca.crt");
    for host in ["127.0.0.1", "localhost"] {
        let mut ledger = with_ca(&format!("rediss://{host}:{port}"), Some(&ca));
        let mut writer = Writer::greeted(&mut ledger, 1, "a");
        let next = u64::from(total_of(&mut ledger, &hits()).is_some());
        writer.sequences[0] = next;
        writer.send(&mut ledger, &hits(), plus(1, 0.0));
    }
    let untrusted = trouble(&mut ledger(&format!("rediss://127.0.0.1:{port}")));
    assert_eq!(untrusted.reason, Reason::Unreachable);
    assert!(untrusted.message.contains("its certificate is not accepted"), "{untrusted}");
    let plain = trouble(&mut ledger(&format!("redis://127.0.0.1:{port}")));
    assert_eq!(plain.reason, Reason::Unreachable, "{plain}");
    // A server without TLS takes the greeting for a command that is not complete.
    let not_tls = trouble(&mut impatient(&server.url().replace("redis:", "rediss:")));
    assert_eq!(not_tls.reason, Reason::Timeout, "{not_tls}");
    let no_file = trouble(&mut with_ca(&format!("rediss://localhost:{port}"), Some(Path::new("/nowhere/ca.crt"))));
    assert!(no_file.message.contains("/nowhere/ca.crt: No such file"), "{no_file}");
}

#[test]
fn a_socket_and_a_database_may_be_named() {
    let mut server = Server::start(&[]);
    server.kill();
    let socket = server.file("redis.sock");
    server.options.extend(["--unixsocket".to_owned(), socket.display().to_string()]);
    server.run();
    server.ask::<()>("ACL SETUSER bob on >secret ~* +@all");
    for (url, database) in [
        (format!("unix:{}", socket.display()), 0),
        (format!("unix://bob:secret@{}", socket.display()), 0),
        (format!("{}/3", server.url()), 3),
    ] {
        server.ask::<()>("FLUSHALL");
        let mut ledger = ledger(&url);
        let mut writer = Writer::greeted(&mut ledger, 1, "a");
        writer.send(&mut ledger, &hits(), plus(1, 0.0));
        let keyspace: String = server.ask("INFO keyspace");
        assert!(keyspace.contains(&format!("db{database}:keys=2")), "{url}: {keyspace}");
    }
    let found = trouble(&mut ledger(&format!("{}/99", server.url())));
    assert_eq!(found.reason, Reason::Other, "{found}");
}

#[test]
fn stores_with_other_prefixes_do_not_mix() {
    let server = Server::start(&[]);
    let open = |prefix: &str| {
        let target = Target::parse(&server.url(), None).unwrap();
        Redis::new(target, prefix.to_owned(), None, Duration::from_secs(10))
    };
    for (prefix, whole) in [("a", 1), ("a:b", 2), ("größe {x} *", 3)] {
        let mut ledger = open(prefix);
        let mut writer = Writer::greeted(&mut ledger, 1, "a");
        writer.send(&mut ledger, &hits(), plus(whole, 0.0));
        assert_eq!(total_of(&mut ledger, &hits()), Some(whole as f64), "{prefix}");
    }
}

/// What was logged, in all tests of this process.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LOGGED.lock().unwrap_or_else(PoisonError::into_inner).push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
fn a_server_that_throws_keys_away_is_warned_of_once() {
    log::set_logger(&Logger).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    for (policy, memory, warnings) in [("allkeys-lru", "1gb", 1), ("allkeys-lru", "0", 0), ("volatile-lru", "1gb", 0)] {
        let server = Server::start(&["--maxmemory", memory, "--maxmemory-policy", policy]);
        let mut ledger = ledger(&server.url());
        for _ in 0..3 {
            greeting(&mut ledger).unwrap();
        }
        let logged = LOGGED.lock().unwrap();
        let ours = logged.iter().filter(|line| line.contains(&server.port.to_string()) && line.contains("noeviction"));
        assert_eq!(ours.count(), warnings, "{policy} {memory}: {logged:?}");
    }
}

#[test]
fn nothing_is_listed_and_a_large_shard_is_read_in_small_steps() {
    let (server, mut ledger) = with_functions();
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    let counter = family(Kind::Counter, "hits", &["path"]);
    let gauge = family(Kind::Gauge, "depth", &["path"]);
    let paths: Vec<String> = (0..20_000).map(|number| format!("/{number}")).collect();
    for some in paths.chunks(256) {
        let changes = some.iter().map(|path| change(&[path], Delta::Number { whole: 1, rest: 0.0 })).collect();
        let batch = writer.next(&ledger, &counter, change(&["/"], Delta::Nothing));
        assert_eq!(apply(&mut ledger, &Batch { changes, ..batch }), Answer::Applied);
    }
    writer.send(&mut ledger, &gauge, change(&["/1"], Delta::Gauge(vec![value(1, 1.0, 1)])));
    server.ask::<()>("CONFIG RESETSTAT");
    assert_eq!(read(&mut ledger).series.len(), 20_001);
    // Every field, a thousand of them at a time at the most.
    assert!(calls(&server, "hscan") >= 20, "{}", calls(&server, "hscan"));
    for wanted in [vec![(0, "/1".to_owned())], Vec::new()] {
        for (id, family) in [(1, &counter), (2, &gauge)] {
            let id = id + 2 * wanted.len() as u64;
            let removal = Removal { writer: 1, id, family: Arc::clone(family), wanted: wanted.clone() };
            ledger.remove(&removal, soon()).unwrap();
        }
    }

    assert!(read(&mut ledger).series.is_empty());
    for command in ["keys", "scan", "hgetall", "hkeys", "hvals"] {
        assert_eq!(calls(&server, command), 0, "{command}");
    }
    assert!(calls(&server, "hdel") >= 20_000 / 512, "fields go some at a time");
}

#[test]
fn fields_that_somebody_has_spoilt_are_passed_over_and_begin_anew() {
    let (server, mut ledger) = with_functions();
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    let histogram = family(Kind::Histogram, "seconds", &[]);
    let tally = || change(&[], Delta::Tally { counts: vec![(1, 2)], sum: 0.5 });
    writer.send(&mut ledger, &hits(), plus(5, 0.0));
    writer.send(&mut ledger, &histogram, tally());
    writer.send(&mut ledger, &gauge(), change(&[], Delta::Gauge(vec![value(1, 1.0, 1)])));
    let fields: HashMap<String, String> = server.ask("HGETALL tallymark:0");
    let spoil = |kind: &str, values: &[&str], ledger: &mut Redis| {
        for field in fields.keys().filter(|field| field.starts_with(kind)) {
            for value in values {
                server.ask::<()>(&format!("HSET tallymark:0 {field} {value}"));
                read(ledger);
            }
        }
    };
    for odd in ["n|x|y", "s|", "s|zz|[]", "s|0000000000000000|[]", "g||", "w|", "f|0", "x", "n|70000|a|[]"] {
        server.ask::<()>(&format!("HSET tallymark:0 {odd} odd"));
    }
    server.ask::<()>("HSET tallymark w|0 {} w|1 [] w| text r|1 text");
    spoil("g|", &["text", "[1]", "[1,[]]", "[1,[1,2,3,4]]", "[[1,\"1.0\",-1,\"live\"]]", "{}", "1"], &mut ledger);
    assert!(values_of(&mut ledger, &gauge()).is_empty());
    spoil("s|", &["text", "1", "1.5_2_3_4", "nan"], &mut ledger);
    assert!(read(&mut ledger).series.is_empty());
    writer.send(&mut ledger, &hits(), plus(2, 0.0));
    writer.send(&mut ledger, &histogram, tally());
    writer.send(&mut ledger, &gauge(), change(&[], Delta::Gauge(vec![value(1, 3.0, 1)])));

    let stored = read(&mut ledger);
    assert_eq!(stored.series.len(), 3);
    assert_eq!(total_of(&mut ledger, &hits()), Some(2.0));
    assert_eq!(values_of(&mut ledger, &gauge())[0].value, 3.0);
    let another = "{\"bounds\":[],\"help\":\"\",\"labels\":[],\"mode\":\"auto\",\"name\":\"other\",\"states\":[],\
                   \"type\":\"counter\",\"unit\":\"\"}";
    spoil("f|", &["text", "{}", "{\"name\":\"hits\"}", another], &mut ledger);
    assert!(read(&mut ledger).series.is_empty());
}

/// Sets the clock of what a store says about its writers back by some hours.
fn age(server: &Server, hours: u64) {
    let earlier = |number: &str| (number.parse::<u64>().unwrap() - hours * 3600 * 1_000_000).to_string();
    for (writer, row) in server.ask::<HashMap<String, String>>("HGETALL tallymark") {
        let Some((_, rest)) = row.split_once("\"seen\":") else { continue };
        let (seen, rest) = rest.split_once(",\"until\":").unwrap();
        let (until, rest) = rest.split_once(',').unwrap();
        let until = if until == "0" { "0".to_owned() } else { earlier(until) };
        let folded = if row.contains("folded") { "\"folded\":true," } else { "" };
        let row = format!("{{{folded}\"seen\":{},\"until\":{until},{rest}", earlier(seen));
        redis::cmd("HSET").arg(&["tallymark", &writer, &row]).exec(&mut server.connection()).unwrap();
    }
    for (field, text) in server.ask::<HashMap<String, String>>("HGETALL tallymark:0") {
        if let (true, Some((sequence, used))) = (field.starts_with("w|"), text.split_once(' ')) {
            let text = format!("{sequence} {}", earlier(used));
            redis::cmd("HSET").arg(&["tallymark:0", &field, &text]).exec(&mut server.connection()).unwrap();
        }
    }
}

/// How many fields of a kind a hash has.
fn count(server: &Server, key: &str, kind: &str) -> usize {
    server.ask::<Vec<String>>(&format!("HKEYS {key}")).iter().filter(|field| field.starts_with(kind)).count()
}

#[test]
fn a_writer_is_forgotten_a_day_after_it_was_last_heard_of() {
    let (server, mut ledger) = with_functions();
    let [mut crashed, mut ended, mut living] = [1, 2, 3].map(|id| Writer::greeted(&mut ledger, id, "a"));
    for writer in [&mut crashed, &mut ended, &mut living] {
        writer.send(&mut ledger, &hits(), plus(1, 0.0));
        let number = writer.id as f64;
        writer.send(&mut ledger, &gauge(), change(&[], Delta::Gauge(vec![value(1, number, 1)])));
    }
    ended.greet(&mut ledger, Duration::ZERO);
    read(&mut ledger);
    assert_eq!(count(&server, "tallymark:0", "g|ended|"), 1);
    assert_eq!((count(&server, "tallymark:0", "g|"), count(&server, "tallymark", "w|")), (3, 3));

    age(&server, 23);
    living.greet(&mut ledger, Duration::from_secs(3600));
    let values = values_of(&mut ledger, &gauge());
    assert_eq!((values.len(), values.iter().filter(|value| value.live).count()), (3, 1));
    assert_eq!((count(&server, "tallymark:0", "g|"), count(&server, "tallymark:0", "w|")), (3, 3), "not yet");

    age(&server, 3);
    living.greet(&mut ledger, Duration::from_secs(3600));
    // At the first reading its gauges are folded and its row goes, at the second the number of its last batch.
    read(&mut ledger);
    read(&mut ledger);
    let values = values_of(&mut ledger, &gauge());
    let mut sums: Vec<(f64, bool)> = values.iter().map(|value| (value.value, value.kept)).collect();
    sums.sort_by_key(|(_, kept)| *kept);
    assert_eq!(sums, [(3.0, false), (3.0, true)], "1 and 2 are kept as their sum");
    assert_eq!((count(&server, "tallymark:0", "w|"), count(&server, "tallymark", "w|")), (1, 1));
    assert_eq!(total_of(&mut ledger, &hits()), Some(3.0));

    living.send(&mut ledger, &hits(), plus(1, 0.0));
    server.ask::<()>(&format!("HDEL tallymark w|{:032x}", living.id));
    read(&mut ledger);
    assert_eq!(count(&server, "tallymark:0", "w|"), 1, "the row was lost, and the number is not a day old");
}

#[test]
fn writers_that_have_ended_leave_no_empty_gauges_and_cost_nothing() {
    let (server, mut ledger) = with_functions();
    let mut send = |id, values| {
        let mut writer = Writer::greeted(&mut ledger, id, "a");
        writer.send(&mut ledger, &gauge(), change(&[], Delta::Gauge(vec![value(1, 1.0, 1)])));
        writer.send(&mut ledger, &gauge(), change(&[], Delta::Gauge(values)));
        writer.greet(&mut ledger, Duration::ZERO);
    };
    (1..300).for_each(|id| send(id, Vec::new()));
    assert_eq!(count(&server, "tallymark:0", "g|"), 0);
    send(300, vec![value(1, 2.0, 2)]);
    // As earlier versions have left them, of writers that are known and of ones that are not.
    let series = server.ask::<Vec<String>>("HKEYS tallymark:0").into_iter().find(|field| field.starts_with("s|"));
    let name = series.unwrap()[2..].to_owned();
    let mut leave = redis::cmd("HSET").arg("tallymark:0").take();
    (200..500).for_each(|id| _ = leave.arg(format!("g|{id:032x}|{name}")).arg(if id == 300 { "[2]" } else { "" }));
    leave.exec(&mut server.connection()).unwrap();
    // As many as are folded at a time.
    (0..3).for_each(|_| _ = read(&mut ledger));
    assert_eq!(count(&server, "tallymark:0", "g|"), 0);

    server.ask::<()>("CONFIG RESETSTAT");
    read(&mut ledger);
    assert_eq!(calls(&server, "fcall"), 0);
}

#[test]
fn what_is_left_in_a_shard_that_it_does_not_belong_to_is_not_shown() {
    let (server, mut ledger) = with_functions();
    let counter = family(Kind::Counter, "hits", &["n"]);
    let depth = family(Kind::Gauge, "depth", &["n"]);
    let one_each = |ledger: &mut Redis, id, whole| {
        let mut writer = Writer::greeted(ledger, id, "a");
        for n in 0..20 {
            let labels = [&*n.to_string()];
            writer.send(ledger, &counter, change(&labels, Delta::Number { whole, rest: 0.0 }));
            writer.send(ledger, &depth, change(&labels, Delta::Gauge(vec![value(1, 1.0, 1)])));
        }
    };
    one_each(&mut ledger, 1, 5);
    assert_eq!(read(&mut ledger).series.len(), 40);
    server.ask::<()>("DEL tallymark");
    let target = Target::parse(&server.url(), None).unwrap();
    let mut larger = Redis::new(target, "tallymark".to_owned(), Some(4), Duration::from_secs(10));
    one_each(&mut larger, 2, 2);

    let shards: Vec<[usize; 2]> = (0..20)
        .map(|n: u8| [&counter, &depth].map(|family| larger.shard_of(family, &[n.to_string().into()])))
        .collect();
    for ledger in [&mut larger, &mut ledger] {
        let stored = read(ledger);
        assert_eq!(stored.series.len(), 40);
        for (n, [of_counter, of_gauge]) in shards.iter().enumerate() {
            let labels = [&*n.to_string()];
            let found = |family| &find(&stored, family, &labels).unwrap().value;
            let StoredValue::Total(Total::Number { whole, .. }) = found(&counter) else { panic!("a number") };
            let StoredValue::Gauge(values) = found(&depth) else { panic!("a gauge") };
            let expected = [of_counter, of_gauge].map(|shard| *shard == 0);
            assert_eq!([*whole == 7, values.len() == 2], expected, "{whole} {values:?}");
        }
    }
}

#[test]
fn series_are_read_in_the_order_of_their_creation_however_they_come_and_go() {
    let (_server, mut ledger) = with_functions();
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    let counter = family(Kind::Counter, "hits", &["n"]);
    let mut expected = Vec::new();
    for n in (0..200).map(|n| n * 7 % 200) {
        let created = f64::from(1000 - n / 2);
        let name = format!("{n:03}");
        writer.send(
            &mut ledger,
            &counter,
            Change { created, ..change(&[&name], Delta::Number { whole: 1, rest: 0.0 }) },
        );
        expected.push((created as u32, name));
        if n % 10 == 0 {
            expected.sort();
            let wanted = vec![(0, expected.remove(expected.len() / 2).1)];
            let removal = Removal { writer: 1, id: n as u64, family: Arc::clone(&counter), wanted };
            ledger.remove(&removal, soon()).unwrap();
        }
        if n % 3 == 0 {
            expected.sort();
            let stored = read(&mut ledger).series.into_iter();
            let stored: Vec<_> = stored.map(|one| (one.created as u32, one.labels.values()[0].to_string())).collect();
            assert_eq!(stored, expected);
        }
    }
}

#[test]
fn changes_are_made_if_all_is_as_it_was_read() {
    let (server, mut ledger) = with_functions();
    server.ask::<()>("HSET hash a 1 b 2");
    let mut swap = |arguments: &[&str]| {
        let call = Call::run(Operation::Swap, "hash".to_owned(), arguments.iter().copied());
        let answer = ledger.call(&[call], soon()).remove(0).unwrap();
        let mut fields: Vec<(String, String)> = server.ask::<HashMap<_, _>>("HGETALL hash").into_iter().collect();
        fields.sort();
        (
            answer == redis::Value::Int(1),
            fields.iter().map(|(field, value)| format!("{field}{value}")).collect::<String>(),
        )
    };
    assert_eq!(swap(&["a", "1", "9", "b", "3", "9"]), (false, "a1b2".to_owned()));
    assert_eq!(swap(&["a", "1", "9", "c", "3", ""]), (false, "a1b2".to_owned()));
    assert_eq!(swap(&["a", "1", "1", "c", "", ""]), (true, "a1b2".to_owned()));
    assert_eq!(swap(&["a", "1", "9", "b", "2", "", "c", "", "3"]), (true, "a9c3".to_owned()));
}

#[test]
fn a_thousand_removals_are_remembered_and_no_more() {
    let (server, mut ledger) = with_functions();
    let writer = Writer::greeted(&mut ledger, 1, "a");
    for id in 0..1010 {
        let wanted = vec![(0, "x".to_owned())];
        let family = family(Kind::Counter, "hits", &["path"]);
        ledger.remove(&Removal { writer: 2, id, family, wanted }, soon()).unwrap();
    }

    assert_eq!((count(&server, "tallymark", "r|"), count(&server, "tallymark", "d|")), (1000, 1000));
    let greeting = writer.greet(&mut ledger, Duration::from_secs(3600));
    assert_eq!((greeting.removals.len(), greeting.last_removal), (1000, 1010));
    assert_eq!(greeting.removals[0].id, 10);
}

#[test]
fn the_shards_of_a_store_spread_over_the_servers_of_a_cluster() {
    let (cluster, mut ledger) = on_a_cluster();
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    assert_eq!(writer.epochs.len(), 16);
    let counter = family(Kind::Counter, "hits", &["n"]);
    for number in 0..100 {
        writer.send(&mut ledger, &counter, change(&[&number.to_string()], Delta::Number { whole: 1, rest: 0.0 }));
    }
    for server in &cluster.servers {
        let keys: u64 = server.ask("DBSIZE");
        assert!((3..=8).contains(&keys), "{keys} of 17 keys");
    }
    assert_eq!(read(&mut ledger).series.len(), 100);
}

/// A batch for every shard.
fn one_for_each_shard(writer: &mut Writer, ledger: &Redis, counter: &Arc<Family>) -> Vec<Batch> {
    let shards = writer.epochs.len();
    let mut batches: HashMap<usize, Batch> = HashMap::new();
    for number in 0.. {
        let labels = [number.to_string()];
        let change = change(&[&labels[0]], Delta::Number { whole: 1, rest: 0.0 });
        let shard = ledger.shard_of(counter, &change.labels);
        batches.entry(shard).or_insert_with(|| writer.next(ledger, counter, change));
        if batches.len() == shards {
            break;
        }
    }
    let mut batches: Vec<Batch> = batches.into_values().collect();
    batches.sort_by_key(|batch| batch.shard);
    batches
}

/// Sends batches until each was applied, and says what went wrong meanwhile.
fn send_all(ledger: &mut Redis, mut batches: Vec<Batch>) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    until(|| {
        let answers = ledger.apply(&batches, soon());
        let mut answers = answers.into_iter();
        batches.retain(|batch| match answers.next().unwrap() {
            Ok(Answer::Applied) => false,
            Ok(Answer::Old(last)) => {
                assert_eq!(last, batch.sequence);
                false
            }
            Ok(answer) => panic!("{answer:?}"),
            Err(trouble) => {
                troubles.push(trouble);
                true
            }
        });
        batches.is_empty()
    });
    troubles
}

#[test]
fn slots_that_move_while_batches_come_lose_nothing() {
    for road in [Road::Functions, Road::Scripts] {
        let (cluster, mut ledger) = on_a_cluster();
        ledger.scripts.road = road;
        let mut writer = Writer::greeted(&mut ledger, 1, "a");
        let counter = family(Kind::Counter, "hits", &["n"]);
        let mut rounds = 0;
        let mut send = |writer: &mut Writer, ledger: &mut Redis| {
            let batches = one_for_each_shard(writer, ledger, &counter);
            assert_eq!(send_all(ledger, batches), [], "{road:?}");
            rounds += 1;
        };
        send(&mut writer, &mut ledger);
        let (source, target) = (&cluster.servers[0], &cluster.servers[1]);
        let (from, to) = (cluster.id(0), cluster.id(1));
        for key in (0..16).map(|shard| format!("tallymark:{shard}")).chain(["tallymark".to_owned()]) {
            let slot: u64 = source.ask(&format!("CLUSTER KEYSLOT {key}"));
            if source.ask::<u64>(&format!("CLUSTER COUNTKEYSINSLOT {slot}")) == 0 {
                continue;
            }
            target.ask::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {from}"));
            source.ask::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {to}"));
            send(&mut writer, &mut ledger);
            source.ask::<()>(&format!("MIGRATE 127.0.0.1 {} {key} 0 10000", target.port));
            // The server says ASK now, and the other one may not have what is to run.
            target.ask::<()>(if road == Road::Functions { "FUNCTION FLUSH" } else { "SCRIPT FLUSH" });
            send(&mut writer, &mut ledger);
            target.ask::<()>(&format!("CLUSTER SETSLOT {slot} NODE {to}"));
            source.ask::<()>(&format!("CLUSTER SETSLOT {slot} NODE {to}"));
            send(&mut writer, &mut ledger);
            greeting(&mut ledger).unwrap();
        }

        assert!(rounds > 3, "something moved");
        assert_eq!(source.ask::<u64>("DBSIZE"), 0);
        let stored = read(&mut ledger);
        let totals: Vec<f64> = stored
            .series
            .iter()
            .map(|one| match &one.value {
                StoredValue::Total(Total::Number { whole, .. }) => *whole as f64,
                _ => panic!("no number"),
            })
            .collect();
        assert_eq!(totals, vec![f64::from(rounds); 16]);
    }
}

#[test]
fn whoever_may_not_follow_a_key_that_is_being_moved_hears_so() {
    let (cluster, mut ledger) = on_a_cluster();
    greeting(&mut ledger).unwrap();
    let key = "tallymark";
    let slot: u64 = cluster.servers[0].ask(&format!("CLUSTER KEYSLOT {key}"));
    let has_it = |server: &usize| cluster.servers[*server].ask::<u64>(&format!("CLUSTER COUNTKEYSINSLOT {slot}")) == 1;
    let from = (0..3).find(has_it).unwrap();
    let to = (from + 1) % 3;
    let (source, target) = (&cluster.servers[from], &cluster.servers[to]);
    target.ask::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", cluster.id(from)));
    source.ask::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", cluster.id(to)));
    source.ask::<()>(&format!("MIGRATE 127.0.0.1 {} {key} 0 10000", target.port));
    target.ask::<()>("ACL SETUSER default -asking");
    let refused = trouble(&mut ledger);
    assert!(refused.reason == Reason::Denied && refused.message.contains("asking"), "{refused}");

    target.ask::<()>("ACL SETUSER default +asking");
    greeting(&mut ledger).unwrap();
}

#[test]
fn a_cluster_goes_on_with_the_servers_it_has_and_with_the_replica_of_the_one_it_lost() {
    let mut cluster = Cluster::start();
    cluster.add_replica_of(0);
    let mut ledger = ledger(&cluster.url());
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    let counter = family(Kind::Counter, "hits", &["n"]);
    let batches = one_for_each_shard(&mut writer, &ledger, &counter);
    send_all(&mut ledger, batches);
    until(|| cluster.is_replicated(0));
    cluster.servers[0].kill();

    let batches = one_for_each_shard(&mut writer, &ledger, &counter);
    let answers = ledger.apply(&batches, soon());
    let (well, ill): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(!well.is_empty() && !ill.is_empty(), "{} are well, {} are ill", well.len(), ill.len());
    send_all(&mut ledger, batches);
    until(|| greeting(&mut ledger).is_ok());
    assert_eq!(ledger.read(soon()).unwrap().series.len(), 16);
}

#[test]
fn a_server_of_a_cluster_that_hangs_does_not_keep_the_others_from_answering() {
    let cluster = Cluster::start();
    let target = Target::parse(&cluster.url(), None).unwrap();
    let mut ledger = Redis::new(target, "tallymark".to_owned(), None, Duration::from_secs(2));
    until(|| greeting(&mut ledger).is_ok());
    let mut writer = Writer::greeted(&mut ledger, 1, "a");
    let counter = family(Kind::Counter, "hits", &["n"]);
    // The one that is asked first.
    let hanging = cluster.servers.iter().min_by_key(|server| server.port).unwrap();
    let is_there = |batch: &Batch| {
        let slot: u64 = hanging.ask(&format!("CLUSTER KEYSLOT tallymark:{}", batch.shard));
        hanging.ask::<u64>(&format!("CLUSTER COUNTKEYSINSLOT {slot}")) == 1
    };
    let batches = one_for_each_shard(&mut writer, &ledger, &counter);
    let there: Vec<bool> = batches.iter().map(is_there).collect();
    hanging.signal("-STOP");
    let answered = |answers: Vec<Result<Answer, Trouble>>| answers.iter().map(Result::is_ok).collect::<Vec<bool>>();
    let expected: Vec<bool> = there.iter().map(|there| !there).collect();
    assert_eq!(answered(ledger.apply(&batches, soon())), expected, "while connected");
    assert_eq!(answered(ledger.apply(&batches, soon())), expected, "while connecting");
    hanging.signal("-CONT");

    let waiting = batches.into_iter().zip(there).filter(|(_, there)| *there).map(|(batch, _)| batch).collect();
    send_all(&mut ledger, waiting);
}

#[test]
fn the_documentation_shows_what_is_there() {
    let (server, mut ledger) = with_functions();
    let mut writer = Writer::greeted(&mut ledger, 0x1f2e_3d4c_5b6a_7988_0716_2534_4352_6170, "web-1");
    let requests =
        Family::builder(Kind::Counter, "http_requests", "Requests answered.").label_names(["method", "path"]);
    let latency = Family::builder(Kind::Histogram, "latency_seconds", "Time to answer.").bounds([0.1, 1.0]);
    let jobs = Family::builder(Kind::Gauge, "jobs", "Jobs that wait.").mode(GaugeMode::Sum);
    let [requests, latency, jobs] = [requests, latency, jobs].map(|family| Arc::new(family.build().unwrap()));
    let created = |created, change| Change { created, ..change };
    let get = created(1_763_726_400.5, change(&["GET", "/"], Delta::Number { whole: 42, rest: 0.5 }));
    writer.send(&mut ledger, &requests, get);
    let trace = Exemplar {
        labels: vec![("trace_id".to_owned(), "abc".to_owned())],
        value: 0.25,
        timestamp: Some(1_763_726_401.25.into()),
    };
    let notes = vec![Note { part: 1, stamp: 1_763_726_401_250_000_000, bytes: record::encode_exemplar(&trace) }];
    let observed = created(1_763_726_400.5, change(&[], Delta::Tally { counts: vec![(0, 7), (1, 2)], sum: 1.125 }));
    writer.send(&mut ledger, &latency, Change { notes, ..observed });
    let waiting = vec![value(4711, 3.0, 1_763_726_402_000_000_000)];
    writer.send(&mut ledger, &jobs, created(1_763_726_400.5, change(&[], Delta::Gauge(waiting))));

    let text = documentation();
    // Every number of microseconds of this test's own time, and the epoch, are others each time.
    let timeless = |text: &str| {
        let digits = |part: &str| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_digit());
        let parts: Vec<&str> = text.split_inclusive([' ', ',', ':']).collect();
        let part = |part: &&str| match part.trim_end_matches([' ', ',', ':']) {
            time if digits(time) => part.replace(time, "TIME"),
            _ => (*part).to_owned(),
        };
        parts.iter().map(part).collect::<String>()
    };
    let shown: Vec<String> = text.lines().map(timeless).collect();
    for key in ["tallymark", "tallymark:0"] {
        for (field, value) in server.ask::<HashMap<String, String>>(&format!("HGETALL {key}")) {
            if field != "epoch" {
                assert!(shown.contains(&timeless(&format!("{field} = {value}"))), "{field} = {value}");
            }
        }
    }
}

#[test]
fn an_unknown_answer_is_trouble_and_not_a_panic() {
    let (_server, mut ledger) = with_functions();
    for said in ["", "old", "old x", "gap", "applied twice"] {
        assert!(ledger.answer(said).is_err(), "{said}");
    }
    let answer = ledger.wire.ask(To::Key("x".to_owned()), redis::cmd("NOSUCHCOMMAND"), soon());
    assert_eq!(ledger.meant::<String>(Some(answer)).unwrap_err().reason, Reason::Foreign);
    assert!(find(&read(&mut ledger), &hits(), &[]).is_none());
}
