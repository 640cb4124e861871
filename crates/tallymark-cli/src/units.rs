//! Numbers as people read them: bytes, seconds and moments by their units, others with four digits that matter.
//!
//! For tables and screens only; what programs read is written by the model.

use std::borrow::Cow;

/// What a family's numbers are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Seconds,
    /// Seconds since the Unix epoch.
    Moment,
    /// A part of one.
    Ratio,
    Other,
}

impl Unit {
    /// The unit of a family, by the unit that it says or by the end of its name.
    pub(crate) fn of(name: &str, unit: &str) -> Unit {
        let name = name.strip_suffix("_total").unwrap_or(name);
        let ends_in = |word: &str| unit == word || name.strip_suffix(word).is_some_and(|rest| rest.ends_with('_'));
        if ends_in("timestamp_seconds")
            || name.ends_with("_timestamp_seconds")
            || name.ends_with("_time_seconds") && name.starts_with("push_")
        {
            return Unit::Moment;
        }
        match () {
            () if ends_in("seconds") => Unit::Seconds,
            () if ends_in("bytes") => Unit::Bytes,
            () if ends_in("ratio") => Unit::Ratio,
            () => Unit::Other,
        }
    }

    /// The number with its unit, `now` being the present moment.
    pub(crate) fn show(self, number: f64, now: f64) -> String {
        if !number.is_finite() {
            return plain(number);
        }
        match self {
            Unit::Bytes => bytes(number),
            Unit::Seconds => seconds(number),
            Unit::Moment if number == 0.0 => "never".to_owned(),
            Unit::Moment if number > now + 1.0 => format!("in {}", seconds((number - now).floor())),
            Unit::Moment => format!("{} ago", seconds((now - number).max(0.0).floor())),
            Unit::Ratio => format!("{} %", plain(number * 100.0)),
            Unit::Other => plain(number),
        }
    }
}

/// Whole numbers with all their digits, in threes; others with four that matter.
pub(crate) fn plain(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        return tallymark::model::number::format(number);
    }
    if number.fract() == 0.0 && size < 1e15 {
        return in_threes(&format!("{number:.0}"));
    }
    if !(1e-4..1e15).contains(&size) {
        return format!("{number:.3e}");
    }
    // CAST: between -4 and 14.
    let places = (3 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{number:.places$}");
    let text = if places > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    in_threes(text)
}

fn in_threes(digits: &str) -> String {
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut text = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

/// Bytes in powers of 1,024.
pub(crate) fn bytes(number: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut left = number;
    for (at, unit) in units.iter().enumerate() {
        if left.abs() < 1024.0 || at == units.len() - 1 {
            return if at == 0 { format!("{} {unit}", plain(left)) } else { format!("{left:.1} {unit}") };
        }
        left /= 1024.0;
    }
    plain(number)
}

/// Seconds, from nanoseconds to days.
pub(crate) fn seconds(number: f64) -> String {
    let size = number.abs();
    let parts = |large: f64, unit: &str, small: f64, lesser: &str| {
        let whole = (size / large).floor();
        let rest = ((size - whole * large) / small).floor();
        let sign = if number < 0.0 { "-" } else { "" };
        format!("{sign}{whole}{unit} {rest}{lesser}")
    };
    match size {
        0.0 => "0 s".to_owned(),
        _ if size < 1e-6 => format!("{} ns", plain(number * 1e9)),
        _ if size < 1e-3 => format!("{} µs", plain(number * 1e6)),
        _ if size < 1.0 => format!("{} ms", plain(number * 1e3)),
        _ if size < 120.0 => format!("{} s", plain(number)),
        _ if size < 7200.0 => parts(60.0, "m", 1.0, "s"),
        _ if size < 172_800.0 => parts(3600.0, "h", 60.0, "m"),
        _ => parts(86400.0, "d", 3600.0, "h"),
    }
}

/// Text that moves no cursor: control characters are written as escapes.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = text
        .chars()
        .map(|letter| if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() });
    Cow::Owned(escaped.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_s_unit_is_what_it_says_or_what_its_name_ends_in() {
        for (name, unit, expected) in [
            ("request_seconds", "", Unit::Seconds),
            ("cpu_seconds_total", "", Unit::Seconds),
            ("last_success_timestamp_seconds", "", Unit::Moment),
            ("push_time_seconds", "", Unit::Moment),
            ("response_time_seconds", "", Unit::Seconds),
            ("sent_bytes_total", "", Unit::Bytes),
            ("sent", "bytes", Unit::Bytes),
            ("busy_ratio", "", Unit::Ratio),
            ("kilobytes", "", Unit::Other),
            ("seconds", "", Unit::Other),
        ] {
            assert_eq!(Unit::of(name, unit), expected, "{name}");
        }
    }

    #[test]
    fn numbers_are_short_and_whole_ones_are_exact() {
        for (unit, number, text) in [
            (Unit::Other, 0.0, "0"),
            (Unit::Other, 1_234_567.0, "1,234,567"),
            (Unit::Other, -1234.0, "-1,234"),
            (Unit::Other, 0.1, "0.1"),
            (Unit::Other, 1234.5678, "1,235"),
            (Unit::Other, 12.3456, "12.35"),
            (Unit::Other, 1e-9, "1.000e-9"),
            (Unit::Other, f64::NAN, "NaN"),
            (Unit::Bytes, f64::INFINITY, "+Inf"),
            (Unit::Bytes, 512.0, "512 B"),
            (Unit::Bytes, 1_572_864.0, "1.5 MiB"),
            (Unit::Seconds, 0.0042, "4.2 ms"),
            (Unit::Seconds, 2.5e-8, "25 ns"),
            (Unit::Seconds, 90.0, "90 s"),
            (Unit::Seconds, 150.0, "2m 30s"),
            (Unit::Seconds, -7260.0, "-2h 1m"),
            (Unit::Seconds, 200_000.0, "2d 7h"),
            (Unit::Moment, 940.0, "60 s ago"),
            (Unit::Moment, 1100.0, "in 100 s"),
            (Unit::Moment, 0.0, "never"),
            (Unit::Ratio, 0.256, "25.6 %"),
        ] {
            assert_eq!(unit.show(number, 1000.0), text, "{unit:?} {number}");
        }
    }

    #[test]
    fn no_text_moves_the_cursor() {
        assert_eq!("a\\u{1b}[2J\\nb", printable("a\u{1b}[2J\nb"));
        assert_eq!("/é", printable("/é"));
    }
}
