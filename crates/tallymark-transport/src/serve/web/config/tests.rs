//! Configuration files that are written, mended and broken while they are followed.

use super::file::TlsFile;
use super::*;
use std::fs;
use tempfile::TempDir;

/// A directory with files that a server follows.
struct Place(TempDir);

impl Place {
    fn new(config: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.write("web.yml", config);
        place
    }

    /// Replaces a file by another, as editors and Kubernetes do.
    fn write(&self, name: &str, text: &str) {
        let new = self.0.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.0.path().join(name)).unwrap();
    }

    fn places(&self) -> Places {
        Places { config: Some(self.0.path().join("web.yml")), ..Places::default() }
    }

    fn error(&self) -> String {
        Watched::new(self.places()).err().unwrap().to_string()
    }
}

/// The password is "secret", at the lowest cost.
const USERS: &str = "basic_auth_users: {anna: $2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW}\n";

#[test]
fn a_file_with_nothing_in_it_asks_for_nothing() {
    for text in ["", "# nothing\n", "{}\n", "tls_server_config:\nbasic_auth_users:\n"] {
        let config = Watched::new(Place::new(text).places()).unwrap().now().unwrap();

        assert!(config.tls.is_none() && config.users.is_none() && config.headers.is_empty() && config.bucket.is_none());
    }
}

#[test]
fn what_is_wrong_is_named_with_its_file_and_key() {
    for (text, words) in [
        ("basic_auth_user: {}\n", &["basic_auth_user", "line 1"][..]),
        ("tls_server_config: {cert_flie: x}\n", &["cert_flie"]),
        ("basic_auth_users: {anna: secret}\n", &["anna", "bcrypt", "htpasswd"]),
        ("http_server_config: {headers: {X-Frame-Options: maybe}}\n", &["X-Frame-Options", "maybe", "sameorigin"]),
        ("http_server_config: {headers: {Set-Cookie: a}}\n", &["Set-Cookie", "Content-Security-Policy"]),
        ("rate_limit: {interval: often, burst: 1}\n", &["rate_limit", "often", "100ms"]),
        ("rate_limit: {interval: 1s, burst: 0}\n", &["burst", "at least 1"]),
        ("tls_server_config: {cert_file: nowhere.pem, key_file: nowhere.key}\n", &["nowhere.pem", "cannot be read"]),
        ("- a list\n", &["web.yml"]),
        ("a: [", &["web.yml"]),
    ] {
        let place = Place::new(text);
        let error = place.error();

        assert!(error.starts_with(&*place.0.path().to_string_lossy()), "{error}");
        for word in words {
            assert!(error.contains(word), "{text:?}: no {word:?} in {error}");
        }
    }
}

#[test]
fn an_error_does_not_show_the_file() {
    let place = Place::new("basic_auth_users:\n  anna: my-secret-word: and more\n");

    assert!(!place.error().contains("secret"), "{}", place.error());
}

#[test]
fn a_change_is_followed_and_a_slip_opens_nothing() {
    let place = Place::new(USERS);
    let watched = Watched::new(place.places()).unwrap();
    let first = watched.now().unwrap();
    assert!(first.users.is_some());
    assert!(Arc::ptr_eq(&first, &watched.now().unwrap()), "what did not change is not read again");

    place.write("web.yml", "basic_auth_users: {anna: plain}\n");
    assert!(watched.now().is_none());
    assert!(watched.now().is_none(), "and stays so");

    fs::remove_file(place.0.path().join("web.yml")).unwrap();
    assert!(watched.now().is_none(), "no file is not an empty one");

    place.write("web.yml", &format!("{USERS}http_server_config: {{headers: {{X-Frame-Options: deny}}}}\n"));
    let mended = watched.now().unwrap();
    assert!(mended.users.is_some());
    assert_eq!([("x-frame-options".parse().unwrap(), "deny".parse().unwrap())], *mended.headers);
}

/// What a file is while somebody writes it in place: any beginning of it, of whole lines.
#[test]
fn a_file_that_is_read_by_halves_opens_nothing() {
    let place = Place::new(USERS);
    let watched = Watched::new(place.places()).unwrap();
    for half in ["", "basic_auth_users:\n", "rate_limit: {interval: 1s, burst: 1}\n"] {
        fs::write(place.0.path().join("web.yml"), half).unwrap();

        assert!(watched.now().is_none(), "{half:?}");
        assert!(watched.now().is_none(), "{half:?}, asked again");
    }
    fs::write(place.0.path().join("web.yml"), USERS).unwrap();
    assert!(watched.now().unwrap().users.is_some());
}

#[test]
fn users_that_came_later_stay() {
    let place = Place::new("");
    let watched = Watched::new(place.places()).unwrap();
    place.write("web.yml", USERS);
    assert!(watched.now().unwrap().users.is_some());

    place.write("web.yml", "");

    assert!(watched.now().is_none());
}

#[test]
fn a_token_stays_with_its_job() {
    let place = Place::new("");
    let bound = "- token: the-first-of-two-tokens\n  scopes: [push]\n  job: backup\n";
    place.write("tokens.yml", bound);
    let watched = Watched::new(Places { tokens: Some(place.0.path().join("tokens.yml")), ..place.places() }).unwrap();
    for (text, taken) in [
        (bound.replace("  job: backup\n", ""), false),
        (bound.replace("backup", "restore"), true),
        (bound.replace("first", "second"), true),
        (String::new(), false),
    ] {
        place.write("tokens.yml", &text);

        assert_eq!(taken, watched.now().is_some(), "{text}");
        place.write("tokens.yml", bound);
        assert!(watched.now().is_some());
    }
}

#[test]
fn less_than_before_is_not_asked_of_certificates() {
    let tls = |demand: &str, names: &[&str]| TlsFile {
        client_auth_type: Some(demand.to_owned()),
        client_allowed_sans: names.iter().map(|&name| name.to_owned()).collect(),
        ..TlsFile::default()
    };
    let all = tls("RequireAndVerifyClientCert", &["a.example", "b.example"]);
    for (now, less) in [
        (TlsFile::default(), true),
        (tls("RequireAnyClientCert", &[]), true),
        (tls("VerifyClientCertIfGiven", &["a.example"]), true),
        (tls("RequireAndVerifyClientCert", &[]), true),
        (tls("RequireAndVerifyClientCert", &["a.example"]), false),
    ] {
        assert_eq!(less, Asked::of(&now).unwrap().is_less_than(Asked::of(&all).unwrap()), "{now:?}");
        assert!(!Asked::of(&all).unwrap().is_less_than(Asked::of(&now).unwrap()), "more is fine: {now:?}");
    }
}

#[test]
fn a_file_of_tokens_is_followed_too() {
    let place = Place::new("");
    place.write("tokens.yml", "[{token: the-first-of-two-tokens, scopes: [scrape]}]\n");
    let watched = Watched::new(Places { tokens: Some(place.0.path().join("tokens.yml")), ..place.places() }).unwrap();
    let knows = |token| watched.now().and_then(|config| config.tokens.as_ref()?.find(token).cloned()).is_some();
    assert!(knows("the-first-of-two-tokens") && !knows("the-second-of-two-tokens"));

    place.write("tokens.yml", "[{token: the-second-of-two-tokens, scopes: [scrape]}]\n");

    assert!(!knows("the-first-of-two-tokens") && knows("the-second-of-two-tokens"));
}

#[test]
fn the_file_has_the_last_word_on_the_rate() {
    let flag = Some(Rate { interval: Duration::from_secs(1), burst: 1 });
    let taken = |text: &str| {
        let place = Place::new(text);
        let config = Watched::new(Places { rate: flag, ..place.places() }).unwrap().now().unwrap();
        config.bucket.as_ref().map(|bucket| (0..10).filter(|_| bucket.take(Instant::now()).is_ok()).count())
    };

    assert_eq!(Some(1), taken(""));
    assert_eq!(Some(3), taken("rate_limit: {interval: 1h, burst: 3}\n"));
    assert_eq!(None, taken("rate_limit: {interval: 0s, burst: 0}\n"));
}

#[test]
fn durations_are_those_of_go_with_one_unit() {
    for (text, milliseconds) in [("1s", 1000), ("1.5m", 90_000), ("250ms", 250), ("0", 0), ("0s", 0), ("2h", 7_200_000)]
    {
        assert_eq!(Some(Duration::from_millis(milliseconds)), parse_duration(text), "{text}");
    }
    for text in ["", "1", "s", "-1s", "1 day", "1e400s"] {
        assert_eq!(None, parse_duration(text), "{text}");
    }
}
