//! Several gateways over one store: each sees what the others took, and no two of them write over each other.

use std::collections::HashSet;

use tallymark::Store;
use tallymark_transport::gateway::Options;

use super::Pushes;

/// A store in a file, in a directory of the test's own that goes with it.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("tallymark-gateway-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn store(&self) -> Store {
        Store::open(&format!("file:{}", self.0.join("metrics.tally").display())).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn adding() -> Options {
    Options { aggregate: true, ..Options::default() }
}

#[test]
fn what_one_took_the_other_shows_and_checks() {
    let directory = Directory::new("shows");
    let (one, other) =
        (Pushes::over(&directory.store(), Options::default()), Pushes::over(&directory.store(), Options::default()));
    assert_eq!(one.put("/metrics/job/a", "# TYPE x counter\nx 1\n"), 200);
    assert_eq!(other.lines(), ["x{job=\"a\"} 1.0"]);
    assert_eq!(other.put("/metrics/job/b", "x 1\n"), 400);
    assert_eq!(other.delete("/metrics/job/a"), 202);

    assert_eq!(one.lines(), Vec::<String>::new());
    assert_eq!(one.put("/metrics/job/b", "x 1\n"), 200);
    assert_eq!(other.lines(), ["x{job=\"b\"} 1.0"]);
}

#[test]
fn a_group_that_one_took_is_deleted_by_another_that_has_not_looked() {
    let directory = Directory::new("deletes");
    let (one, other) =
        (Pushes::over(&directory.store(), Options::default()), Pushes::over(&directory.store(), Options::default()));
    assert_eq!(other.put("/metrics/job/b", "x 1\n"), 200);
    assert_eq!(one.put("/metrics/job/a", "x 1\n"), 200);
    assert_eq!(other.delete("/metrics/job/a"), 202);

    assert_eq!(one.lines(), ["x{job=\"b\"} 1.0"]);
}

#[test]
fn a_name_may_change_its_type_while_another_gateway_does_not_look() {
    let directory = Directory::new("types");
    let (one, other) =
        (Pushes::over(&directory.store(), Options::default()), Pushes::over(&directory.store(), Options::default()));
    assert_eq!(one.put("/metrics/job/a", "# TYPE x counter\nx 1\n"), 200);
    assert_eq!(other.lines(), ["x{job=\"a\"} 1.0"]);
    assert_eq!(one.put("/metrics/job/a", "y 1\n"), 200);
    assert_eq!(one.put("/metrics/job/b", "# TYPE x gauge\nx 1\n"), 200);
    assert_eq!(one.put("/metrics/job/a", "y 2\n"), 200);

    assert_eq!(other.put("/metrics/job/c", "# TYPE x counter\nx 1\n"), 400);
    assert_eq!(other.put("/metrics/job/c", "# TYPE x gauge\nx 1\n"), 200);
}

#[test]
fn a_restart_loses_nothing() {
    let directory = Directory::new("restart");
    let body = "# HELP x_total Help.\n# TYPE x_total counter\nx_total 1\n# TYPE x_created gauge\nx_created 5\n";
    let histogram =
        "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_count 3\nh_sum 0.1\n# TYPE s summary\ns_sum 1\ns_count 2\n";
    let text = {
        let pushes = Pushes::over(&directory.store(), adding());
        assert_eq!(pushes.put("/metrics/job/a?id=7&ttl=100", &format!("{body}{histogram}")), 200);
        pushes.text()
    };
    let pushes = Pushes::over(&directory.store(), adding());
    assert_eq!(pushes.text(), text);

    assert_eq!(pushes.put("/metrics/job/a?id=7&ttl=100", &body.replace("total 1", "total 9")), 200);
    assert_eq!(pushes.text(), text, "the push has come before");
    assert_eq!(pushes.put("/metrics/job/a?ttl=100", &body.replace("total 1", "total 3")), 200);
    assert!(pushes.lines().contains(&"x_total{job=\"a\"} 3.0".to_owned()), "its writer is known: {}", pushes.text());
    pushes.wait(100.0);
    assert_eq!(pushes.text(), "", "its time is over");
}

#[test]
fn pushes_to_one_group_by_many_gateways_at_once_all_count() {
    let directory = Directory::new("race");
    let (gateways, each) = (4, 25);
    std::thread::scope(|scope| {
        for gateway in 0..gateways {
            let store = directory.store();
            scope.spawn(move || {
                let pushes = Pushes::over(&store, adding());
                for push in 0..each {
                    let body = format!(
                        "# TYPE x_total counter\nx_total 1\n# TYPE last{gateway} gauge\nlast{gateway} {push}\n"
                    );
                    assert_eq!(pushes.post("/metrics/job/a", &body), 200);
                }
            });
        }
    });
    let lines: HashSet<String> = Pushes::over(&directory.store(), adding()).lines().into_iter().collect();

    assert!(lines.contains(&format!("x_total{{job=\"a\"}} {}.0", gateways * each)), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.ends_with(&format!(" {}.0", each - 1))).count(), gateways);
}

#[test]
fn a_group_may_shrink_where_there_is_more_than_may_be() {
    let directory = Directory::new("shrinks");
    let (much, little) = (Options::default(), Options { max_series: 3, ..Options::default() });
    assert_eq!(Pushes::over(&directory.store(), much).put("/metrics/job/a", "x 1\ny 1\nz 1\n"), 200);

    let pushes = Pushes::over(&directory.store(), little);
    assert_eq!(pushes.put("/metrics/job/a", "x 2\ny 2\nz 2\n"), 200);
    assert_eq!(pushes.put("/metrics/job/a", "x 3\ny 3\n"), 200);
    assert_eq!(pushes.put("/metrics/job/a", "x 4\ny 4\nz 4\n"), 413);
}

#[test]
fn a_document_that_is_no_group_is_told_and_can_be_wiped() {
    use std::time::{Duration, Instant};
    use tallymark::{Groups, Revision};

    let directory = Directory::new("document");
    let limit = Instant::now() + Duration::from_secs(30);
    let mut groups = Groups::open(&directory.store()).unwrap();
    let later = (b"job\xffa\xff".to_vec(), Some(vec![0x08, 0x63]));
    groups.write(Revision::default(), &[later], limit).unwrap().unwrap();

    let pushes = Pushes::over(&directory.store(), Options { admin: true, ..Options::default() });
    let error = pushes.gateway.snapshot().unwrap_err().to_string();
    assert!(error.starts_with("the pushed group job a cannot be read: it is of version 99"), "{error}");
    assert!(pushes.gateway.ping().is_err());
    assert_eq!(pushes.put("/metrics/job/b", "x 1\n"), 503);

    assert_eq!(pushes.delete("/metrics/job/a"), 202);
    assert_eq!(pushes.put("/metrics/job/b", "x 1\n"), 200);
    pushes.gateway.ping().unwrap();
}
