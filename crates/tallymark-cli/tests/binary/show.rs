//! `tallymark show`.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

use tallymark::Registry;

use crate::process::{Place, Run, run, shown, tallymark};

#[test]
fn it_prints_what_other_processes_have_counted() {
    let place = Place::new();
    place.hits().inc_by(3.0).unwrap();

    let shown = run(["show", &place.url()]);

    assert_eq!((Some(0), ""), (shown.code, &*shown.stderr));
    assert!(
        shown.stdout.starts_with("# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total{path=\"/\"} 3.0\n"),
        "{shown:?}"
    );
}

#[test]
fn it_counts_nothing_itself() {
    let place = Place::new();
    let hits = place.hits();
    let before = fs::metadata(place.path()).unwrap().len();
    for _ in 0..3 {
        hits.inc();
        run(["show", &place.url()]);
    }

    let shown = run(["show", &place.url()]);

    assert!(shown.stdout.contains("hits_total{path=\"/\"} 3.0\n"), "{shown:?}");
    assert_eq!(before, fs::metadata(place.path()).unwrap().len());
    assert_eq!([place.path()], *place.files());
}

#[test]
fn openmetrics_has_its_own_metadata_and_its_end() {
    let place = Place::new();
    place.hits().inc();

    let shown = run(["show", &place.url(), "--format", "openmetrics"]);

    assert_eq!((Some(0), ""), (shown.code, &*shown.stderr));
    assert!(
        shown.stdout.starts_with("# HELP hits Hits.\n# TYPE hits counter\nhits_total{path=\"/\"} 1.0\n"),
        "{shown:?}"
    );
    assert!(shown.stdout.ends_with("# EOF\n"), "{shown:?}");
}

#[test]
fn names_are_printed_as_they_are() {
    let place = Place::new();
    let registry = Registry::open(&place.url()).unwrap();
    registry.gauge("température", "").register().unwrap();

    for format in ["text", "openmetrics"] {
        let shown = run(["show", &place.url(), "--format", format]);

        assert!(shown.stdout.contains("{\"température\"} 0.0\n"), "{shown:?}");
    }
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let place = Place::new();

    run(["show", &place.url()]).refused(1, &[shown(&place.path()), "No such file"]);
    assert!(place.files().is_empty());
}

#[test]
fn an_empty_file_stays_one() {
    let place = Place::new();
    File::create(place.path()).unwrap();

    run(["show", &place.url()]).refused(1, &[shown(&place.path()), "it is empty"]);
    assert_eq!(0, fs::metadata(place.path()).unwrap().len());
}

#[test]
fn a_file_of_somebody_else_is_left_untouched() {
    let place = Place::new();
    fs::write(place.path(), "SQLite format 3").unwrap();

    run(["show", &place.url()]).refused(1, &[shown(&place.path()), "not a Tallymark file", "SQLite format 3"]);
    assert_eq!("SQLite format 3", fs::read_to_string(place.path()).unwrap());
}

#[test]
fn a_file_that_may_not_be_read_is_an_error() {
    let place = Place::new();
    place.hits();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(place.path()).is_ok() {
        // Permissions do not bind the superuser.
        return;
    }

    run(["show", &place.url()]).refused(1, &[shown(&place.path())]);
}

#[test]
fn a_directory_is_no_store() {
    let place = Place::new();
    fs::create_dir(place.path()).unwrap();

    run(["show", &place.url()]).refused(1, &[shown(&place.path())]);
}

/// More than a pipe holds, so that no run can end before its reader has left.
fn large(place: &Place) {
    let family = Registry::open(&place.url()).unwrap().counter("large", "").label_names(["n"]).register().unwrap();
    for n in 0..2_000 {
        family.with(&[format!("{n:0>100}")]).unwrap();
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    large(&place);
    let mut child = tallymark(["show", &place.url()]).spawn().unwrap();
    drop(child.stdout.take());

    let ended = Run::from(child.wait_with_output().unwrap());

    assert_eq!((Some(0), ""), (ended.code, &*ended.stderr));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error() {
    let place = Place::new();
    place.hits();
    let full = File::options().write(true).open("/dev/full").unwrap();

    let ended = Run::from(tallymark(["show", &place.url()]).stdout(full).output().unwrap());

    ended.refused(1, &["cannot write to stdout"]);
}
