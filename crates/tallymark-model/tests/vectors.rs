//! Numbers, names and Accept headers with the answers of the official Python client and of Go's: `data/vectors.json`.

use tallymark_model::{Escaping, encode::Format, name, number};

fn vectors(key: &str) -> Vec<serde_json::Value> {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("data/vectors.json")).unwrap();
    vectors[key].as_array().unwrap().clone()
}

#[test]
fn numbers_are_the_official_clients_in_every_vector() {
    let floats = vectors("floats");
    assert!(floats.len() >= 100);
    for vector in floats {
        let bits = u64::from_str_radix(vector["bits"].as_str().unwrap(), 16).unwrap();

        assert_eq!(number::format(f64::from_bits(bits)), vector["python_client"].as_str().unwrap(), "{vector}");
    }
}

#[test]
fn names_are_escaped_as_in_every_vector() {
    let names = vectors("escaping");
    assert!(names.len() >= 12);
    for vector in names {
        let name = vector["name"].as_str().unwrap();
        let expected = |scheme: Escaping| vector[scheme.as_str()].as_str().unwrap();

        assert_eq!(name::is_legacy_metric(name), vector["legacy_valid_metric"].as_bool().unwrap(), "{vector}");
        assert_eq!(name::is_legacy_label(name), vector["legacy_valid_label"].as_bool().unwrap(), "{vector}");
        for scheme in [Escaping::Underscores, Escaping::Dots, Escaping::Values] {
            assert_eq!(name::escape_metric(name, scheme), expected(scheme), "{vector}");
        }
    }
}

#[test]
fn accept_headers_get_the_official_clients_answer_where_it_is_right() {
    let headers = vectors("accept");
    assert!(headers.len() >= 12);
    for vector in headers {
        let accept = vector["accept"].as_str().unwrap();
        let expected = match accept {
            // It ignores q.
            "application/openmetrics-text;version=1.0.0;q=0.1,text/plain;version=0.0.4;q=0.9" => {
                "text/plain; version=0.0.4; charset=utf-8"
            }
            // It claims any later version.
            "application/openmetrics-text;version=9.9.9" => {
                "application/openmetrics-text; version=2.0.0; charset=utf-8; escaping=underscores"
            }
            // It raises an exception.
            "application/openmetrics-text; version=\"1.0.0\"" => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
            _ => vector["python_client"].as_str().unwrap(),
        };

        assert_eq!(Format::negotiate(Some(accept)).content_type(), expected, "{accept}");
    }
}
