//! What is asked for wrongly, and what is said to help.

use crate::process::{Place, run};

#[test]
fn what_is_not_understood_ends_with_2() {
    let place = Place::new();
    let url = &*place.url();
    for (arguments, words) in [
        (&["sow", url][..], &["'sow'", "tip"][..]),
        (&["show"], &["<SOURCE>"]),
        (&["show", url, "--format", "xml"], &["xml", "text, openmetrics"]),
        (&["show", url, "--listen", "127.0.0.1:0"], &["--listen"]),
        (&["serve", url, "--listen", "9099"], &["9099", "127.0.0.1:9099"]),
        (&["show", "carrier-pigeon:coop"], &["carrier-pigeon:coop", "file:/path/metrics.tally"]),
        (&["show", "file:"], &["no path"]),
        (&["show", "memory:"], &["memory:", "file:/path/metrics.tally"]),
        (&["serve", "carrier-pigeon:coop"], &["carrier-pigeon:coop", "file:/path/metrics.tally"]),
        (&["serve", url, "--persistence.file", "groups"], &["--persistence.file", "STORE"]),
        (&["serve", "--web.max-body", "1MB"], &["1MB", "16MiB"]),
        (&["serve", "--web.external-url", "metrics.example"], &["https://metrics.example/push/"]),
        (&["serve", &format!("{url}?colour=blue")], &["colour=blue", "mode=0660"]),
    ] {
        run(arguments).refused(2, words);
    }
    assert!(place.files().is_empty());
}

#[test]
fn help_is_data_and_has_examples() {
    for (arguments, words) in [
        (&["--help"][..], &["serve", "show", "Exit codes:"][..]),
        (&["check", "--help"], &["tallymark check file:/", "--max-series"]),
        (&["delete", "--help"], &["tallymark delete file:/", "--yes"]),
        (&["doctor", "--help"], &["tallymark doctor file:/", "Ends with 0 if all is well"]),
        (&["gc", "--help"], &["tallymark gc file:/"]),
        (&["import", "--help"], &["multiprocess", "pushgateway", "distributed"]),
        (&["import", "distributed", "--help"], &["--prefix"]),
        (&["import", "multiprocess", "--help"], &["--force"]),
        (&["import", "pushgateway", "--help"], &["--force"]),
        (&["top", "--help"], &["tallymark top file:/", "--interval"]),
        (&["show", "--help"], &["tallymark show file:/", "openmetrics", "- for stdin"]),
        (&["serve", "--help"], &["tallymark serve file:/", "[default: 127.0.0.1:9099]", "SIGTERM"]),
    ] {
        let help = run(arguments);

        assert_eq!((Some(0), ""), (help.code, &*help.stderr));
        for word in words {
            assert!(help.stdout.contains(word), "no {word:?} in {help:?}");
        }
        assert!(help.stdout.lines().all(|line| line.len() <= 100), "{}", help.stdout);
        assert!(!help.stdout.contains('\x1b'), "coloured: {help:?}");
    }
}

#[test]
fn without_arguments_help_is_talk() {
    let help = run::<&str>([]);

    assert_eq!((Some(2), ""), (help.code, &*help.stdout));
    assert!(help.stderr.contains("Usage: tallymark <COMMAND>"), "{help:?}");
}

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(concat!("tallymark ", env!("CARGO_PKG_VERSION"), "\n"), run(["--version"]).stdout);
}
