//! `/api/v1`: what has been pushed and how the server runs, as JSON in the Pushgateway's shape, and the wipe.
//!
//! Numbers are strings, written as Go writes them, since JSON has neither infinities nor NaN. Times are those of RFC 3339.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, HeaderName, HeaderValue,
};
use hyper::{Method, StatusCode};
use serde_json::{Map, Value as Json, json};
use tallymark_model::Kind;

use super::group::Group;
use super::metric::{Family, Labels, Series, Value, all_labels, stamp_labels};
use super::path::Key;
use super::{Answer, Error, Gateway, Request};

/// What lets pages of other hosts ask, as the Pushgateway has it.
const CORS: [(HeaderName, &str); 5] = [
    (ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
    (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE, OPTIONS"),
    (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    (CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
];

/// The answer to a request below `/api/v1`.
pub(super) fn answer(gateway: &Gateway, request: &Request<'_>) -> Answer {
    match (request.path, request.method) {
        ("/api/v1/status" | "/api/v1/metrics", &Method::OPTIONS) => with_cors(Answer::empty(StatusCode::OK)),
        ("/api/v1/status", &Method::GET) => success(&status(gateway).to_string()),
        ("/api/v1/metrics", &Method::GET) => match metrics(gateway) {
            Ok(groups) => success(&groups),
            Err(error) => with_cors(Answer::text(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())),
        },
        ("/api/v1/status" | "/api/v1/metrics", _) => Answer::wrong_method("GET, OPTIONS"),
        ("/api/v1/admin/wipe", _) if !gateway.options.admin => Answer::not_found(),
        ("/api/v1/admin/wipe", &Method::PUT) => gateway.wipe(),
        ("/api/v1/admin/wipe", _) => Answer::wrong_method("PUT"),
        _ => Answer::not_found(),
    }
}

fn success(data: &str) -> Answer {
    let body = format!(r#"{{"status":"success","data":{data}}}"#).into_bytes();
    with_cors(Answer { content_type: Some("application/json"), body, ..Answer::empty(StatusCode::OK) })
}

fn with_cors(mut answer: Answer) -> Answer {
    answer.headers.extend(CORS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    answer
}

fn status(gateway: &Gateway) -> Json {
    let object = |pairs: &[(String, String)]| pairs.iter().cloned().map(|(name, value)| (name, value.into())).collect();
    let (build, flags): (Map<_, _>, Map<_, _>) = (object(&gateway.options.build), object(&gateway.options.flags));
    json!({ "build_information": build, "flags": flags, "start_time": moment(gateway.started) })
}

/// One group after the other: as values all of them would take many times the room of their text.
fn metrics(gateway: &Gateway) -> Result<String, Error> {
    let groups: Vec<String> = gateway.groups()?.iter().map(|group| group_json(group).to_string()).collect();
    Ok(format!("[{}]", groups.join(",")))
}

fn group_json(group: &Group) -> Json {
    let mut object = Map::new();
    for (name, family) in &group.families {
        object.insert(name.clone(), family_json(family, &group.key));
    }
    let own = stamp_labels(&group.key);
    for (name, help, seconds) in group.stamps() {
        let metric = json!({ "labels": labels_json(&group.key, &own), "value": go_number(seconds) });
        let time = moment(group.pushed.max(group.failed));
        object.insert(name.into(), json!({ "time_stamp": time, "type": "GAUGE", "help": help, "metrics": [metric] }));
    }
    object.insert("labels".into(), labels_json(&group.key, &Labels::new()));
    object.insert("last_push_successful".into(), (group.pushed >= group.failed).into());
    if let Some(expires) = group.expires {
        // Ours: the Pushgateway's groups stay until somebody deletes them.
        object.insert("expires_at".into(), expires.into());
    }
    Json::Object(object)
}

fn family_json(family: &Family, key: &Key) -> Json {
    let metrics: Json = family.series.iter().map(|(labels, series)| series_json(key, labels, series)).collect();
    let mut object = json!({ "time_stamp": moment(family.pushed), "type": type_word(family.kind), "metrics": metrics });
    if !family.help.is_empty() {
        object["help"] = family.help.clone().into();
    }
    object
}

fn series_json(key: &Key, labels: &Labels, series: &Series) -> Json {
    let labels = labels_json(key, labels);
    let numbers = |numbers: &[(f64, f64)]| -> Map<String, Json> {
        numbers.iter().map(|(name, value)| (go_number(*name), go_number(*value).into())).collect()
    };
    match &series.value {
        Value::Single { total, .. } => json!({ "labels": labels, "value": go_number(total.value()) }),
        Value::Summary { count, sum, quantiles } => json!({
            "labels": labels, "quantiles": numbers(quantiles), "count": go_number(*count), "sum": go_number(sum.value()),
        }),
        Value::Histogram(it) => {
            let buckets: Vec<(f64, f64)> = it.buckets.iter().map(|bucket| (bucket.bound, bucket.count)).collect();
            json!({
                "labels": labels, "buckets": numbers(&buckets), "count": go_number(it.count),
                "sum": go_number(it.sum.value()),
            })
        }
    }
}

fn labels_json(key: &Key, own: &Labels) -> Json {
    all_labels(key, own).into_iter().map(|(name, value)| (name, value.into())).collect::<Map<_, _>>().into()
}

/// The protobuf word for a type, which has none for infos and state sets.
fn type_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "COUNTER",
        Kind::Gauge | Kind::Info | Kind::StateSet => "GAUGE",
        Kind::Histogram => "HISTOGRAM",
        Kind::GaugeHistogram => "GAUGE_HISTOGRAM",
        Kind::Summary => "SUMMARY",
        Kind::Unknown => "UNTYPED",
    }
}

/// A number as Go prints it: the fewest digits that tell it from others, with an exponent where that is below -4 or above 5.
fn go_number(number: f64) -> String {
    if !number.is_finite() {
        let word = if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        };
        return word.to_owned();
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent @ (..-4 | 6..)) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{number}"),
    }
}

/// Seconds since the Unix epoch as a moment of RFC 3339, in UTC.
fn moment(seconds: f64) -> String {
    // CAST: beyond these bounds there is nothing to tell; the fraction goes into nanoseconds.
    let nanoseconds = (seconds.clamp(0.0, 253_402_300_799.0) * 1e9) as u64;
    let (seconds, nanoseconds) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

/// Year, month and day of the day that is so many days after 1970-01-01. Counted in years that begin in March, so that the
/// odd day is their last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (number, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (123_456.0, "123456"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (1_795_274_551.104_095_7, "1.7952745511040957e+09"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e100, "1e+100"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(go_number(number), text);
        }
    }

    #[test]
    fn moments_are_written_as_rfc_3339_has_them() {
        for (seconds, text) in [
            (0.0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400.0, "2000-02-29T00:00:00.000000000Z"),
            (1_735_689_599.5, "2024-12-31T23:59:59.500000000Z"),
            (1_795_274_551.0, "2026-11-21T15:22:31.000000000Z"),
            (4_107_542_400.0, "2100-03-01T00:00:00.000000000Z"),
            (f64::NAN, "1970-01-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(moment(seconds), text);
        }
    }
}
