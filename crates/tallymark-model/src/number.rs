//! How a number is written: byte for byte as the official Python client does.
//!
//! That is CPython's `repr` (`1.0`, `1e-05`, `-1000000.0`, `1e+16`), except that positive values from a million up have
//! Go's exponent form (`1e+06`, `1.234567e+06`), and that the three values without digits are `+Inf`, `-Inf` and `NaN`.
//! Counts are no exception: four observations are `4.0`. Every finite number is read back as the same number. Nothing
//! here allocates, but for [`format()`] its answer.
//!
//! Where it matters whether a number came with a point, it is a [`Number`].

use std::cmp::Ordering;

/// Whole numbers below 2⁵³ have all their digits in a float, and need no search for the shortest ones.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The number as text.
///
/// ```
/// use tallymark_model::number::format;
/// assert_eq!(format(1.0), "1.0");
/// assert_eq!(format(1_234_567.0), "1.234567e+06");
/// assert_eq!(format(-1_000_000.0), "-1000000.0");
/// assert_eq!(format(f64::INFINITY), "+Inf");
/// ```
pub fn format(number: f64) -> String {
    let mut out = Vec::with_capacity(24);
    push(&mut out, number);
    out.into_iter().map(char::from).collect()
}

/// Appends the number.
pub fn push(out: &mut Vec<u8>, number: f64) {
    if number.abs() < EXACT && number.trunc() == number && !(number == 0.0 && number.is_sign_negative()) {
        // CAST: whole and below 2⁵³.
        if number >= 0.0 {
            push_u64(out, number as u64);
        } else {
            out.push(b'-');
            push_integer(out, (-number) as u64);
            out.extend_from_slice(b".0");
        }
    } else if number.is_finite() {
        let digits = Digits::of(number);
        if !digits.negative && (7..=16).contains(&digits.point) {
            push_exponent(out, digits.significant(), digits.point - 1);
        } else {
            digits.push_repr(out);
        }
    } else if number.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        out.extend_from_slice(if number > 0.0 { b"+Inf" } else { b"-Inf" });
    }
}

/// Appends a count, as [`push`] writes the float nearest to it.
///
/// ```
/// let mut out = Vec::new();
/// tallymark_model::number::push_u64(&mut out, 4);
/// assert_eq!(out, b"4.0");
/// ```
pub fn push_u64(out: &mut Vec<u8>, count: u64) {
    if count < 1_000_000 {
        push_integer(out, count);
        out.extend_from_slice(b".0");
    } else if count < EXACT as u64 {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(count).as_bytes();
        push_exponent(out, without_trailing_zeros(digits), digits.len() as i32 - 1);
    } else {
        push(out, count as f64);
    }
}

/// Appends digits and nothing else.
pub(crate) fn push_integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends the number as CPython's `repr` has it, whatever its size: so the official client prints the time of a
/// sample.
pub(crate) fn push_repr(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        Digits::of(number).push_repr(out);
    } else if number.is_nan() {
        out.extend_from_slice(b"nan");
    } else {
        out.extend_from_slice(if number > 0.0 { b"inf" } else { b"-inf" });
    }
}

/// A number as an exposition or a collector gives it: what was written without a point is whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Integer(i128),
    /// Any other, or a whole one that was written with a point or an exponent.
    Float(f64),
}

impl Number {
    /// Reads what the official client reads: digits with a sign, a point and an exponent, `inf`, `infinity` and `nan` in
    /// any case. `None` for anything else, blanks and underscores included. Whole numbers of more than 128 bits become
    /// floats.
    ///
    /// ```
    /// use tallymark_model::number::Number;
    /// assert_eq!(Number::parse("18446744073709551615"), Some(Number::Integer(18_446_744_073_709_551_615)));
    /// assert_eq!(Number::parse("1e3"), Some(Number::Float(1000.0)));
    /// assert_eq!(Number::parse("-INF"), Some(Number::Float(f64::NEG_INFINITY)));
    /// assert_eq!(Number::parse("1_000"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Number> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            // Numbers of 64 bits are read several times faster.
            if digits.len() < 19 {
                return text.parse().ok().map(|number: i64| Number::Integer(number.into()));
            }
            if let Ok(number) = text.parse() {
                return Some(Number::Integer(number));
            }
        }
        text.parse().ok().map(Number::Float)
    }

    /// The float nearest to it.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Integer(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    /// Whether it has no fraction; infinities and NaN are not whole.
    pub fn is_whole(self) -> bool {
        match self {
            Number::Integer(_) => true,
            Number::Float(number) => number.is_finite() && number.fract() == 0.0,
        }
    }

    /// Compares the values exactly, whichever way they are written; `None` if one is NaN.
    ///
    /// ```
    /// use tallymark_model::number::Number::{Float, Integer};
    /// assert!(Integer(1).compare(Float(1.0)).unwrap().is_eq());
    /// assert!(Integer((1 << 53) + 1).compare(Float(2f64.powi(53))).unwrap().is_gt());
    /// ```
    pub fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Integer(one), Number::Integer(other)) => Some(one.cmp(&other)),
            (Number::Float(one), Number::Float(other)) => one.partial_cmp(&other),
            (Number::Integer(one), Number::Float(other)) => compare_mixed(one, other),
            (Number::Float(one), Number::Integer(other)) => compare_mixed(other, one).map(Ordering::reverse),
        }
    }

    /// Appends the number as Python's `str` has it.
    pub(crate) fn push_repr(self, out: &mut Vec<u8>) {
        match self {
            Number::Integer(number) => push_integer(out, number),
            Number::Float(number) => push_repr(out, number),
        }
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Number {
        Number::Float(number)
    }
}

fn compare_mixed(integer: i128, float: f64) -> Option<Ordering> {
    // CAST: what does not fit becomes the nearest that does, on whose far side every integer is.
    let whole = float as i128;
    match integer.cmp(&whole) {
        _ if float.is_nan() => None,
        Ordering::Equal if float >= 2f64.powi(127) => Some(Ordering::Less),
        Ordering::Equal if float < -2f64.powi(127) => Some(Ordering::Greater),
        Ordering::Equal => 0.0.partial_cmp(&float.fract()),
        unequal => Some(unequal),
    }
}

/// The shortest digits that are read back as one number, and where its decimal point stands.
struct Digits {
    negative: bool,
    digits: [u8; 17],
    len: usize,
    /// How many digits stand before the point; zero or less where zeros stand behind it.
    point: i32,
}

impl Digits {
    /// The digits of a finite number.
    fn of(number: f64) -> Digits {
        let mut buffer = zmij::Buffer::new();
        let mut it = Digits { negative: number.is_sign_negative(), digits: [b'0'; 17], len: 0, point: 0 };
        let (mut behind_point, mut exponent) = (false, 0);
        let text = buffer.format_finite(number).as_bytes();
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b'.' => behind_point = true,
                b'0'..=b'9' => {
                    let leading = it.len == 0 && *byte == b'0';
                    // A zero behind the 17th digit is a place, not a digit.
                    if !leading && it.len < it.digits.len() {
                        it.digits[it.len] = *byte;
                        it.len += 1;
                    }
                    if behind_point && leading {
                        it.point -= 1;
                    } else if !behind_point && !leading {
                        it.point += 1;
                    }
                }
                b'e' => {
                    exponent = integer(&text[at + 1..]);
                    break;
                }
                _ => {}
            }
        }
        it.point += exponent;
        it.len = without_trailing_zeros(&it.digits[..it.len]).len();
        if it.len == 0 {
            // Zero has one digit, so that every number has one.
            (it.len, it.point) = (1, 1);
        }
        it
    }

    fn significant(&self) -> &[u8] {
        &self.digits[..self.len]
    }

    fn push_repr(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        let digits = self.significant();
        match usize::try_from(self.point) {
            _ if !(-3..=16).contains(&self.point) => push_exponent(out, digits, self.point - 1),
            Ok(before) if before >= digits.len() => {
                out.extend_from_slice(digits);
                out.resize(out.len() + before - digits.len(), b'0');
                out.extend_from_slice(b".0");
            }
            Ok(before) if before > 0 => {
                out.extend_from_slice(&digits[..before]);
                out.push(b'.');
                out.extend_from_slice(&digits[before..]);
            }
            _ => {
                out.extend_from_slice(b"0.");
                out.resize(out.len() + self.point.unsigned_abs() as usize, b'0');
                out.extend_from_slice(digits);
            }
        }
    }
}

/// Appends `d.ddde+XX`: no point behind a single digit, the sign always, the exponent in two digits at least.
fn push_exponent(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.unsigned_abs() < 10 {
        out.push(b'0');
    }
    push_integer(out, exponent.unsigned_abs());
}

fn without_trailing_zeros(digits: &[u8]) -> &[u8] {
    let len = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    &digits[..len]
}

/// The value of an exponent's text: a sign, perhaps, and digits.
fn integer(text: &[u8]) -> i32 {
    let value = text.iter().filter(|byte| byte.is_ascii_digit()).fold(0, |value, b| value * 10 + i32::from(b - b'0'));
    if text.first() == Some(&b'-') { -value } else { value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The official rule, told by strings and slowly: CPython's `repr`, then the change to Go's form.
    mod naive {
        pub(super) fn repr(number: f64) -> String {
            // Not `{:e}`: of two shortest texts equally near the standard library takes the greater, CPython the even.
            let mut scientific = (0..17).map(|places| format!("{:.places$e}", number.abs()));
            let scientific = scientific.find(|text| text.parse() == Ok(number.abs())).unwrap();
            let (mantissa, exponent) = scientific.split_once('e').unwrap();
            let (digits, exponent): (String, i32) = (mantissa.replace('.', ""), exponent.parse().unwrap());
            let text = if (-4..16).contains(&exponent) {
                let padded = format!("{}{digits}{}", "0".repeat(5), "0".repeat(20));
                let (before, behind) = padded.split_at((5 + exponent + 1) as usize);
                let (before, behind) = (before.trim_start_matches('0'), behind.trim_end_matches('0'));
                let or_zero = |text: &str| if text.is_empty() { "0".to_owned() } else { text.to_owned() };
                format!("{}.{}", or_zero(before), or_zero(behind))
            } else {
                let sign = if exponent < 0 { '-' } else { '+' };
                format!("{mantissa}e{sign}{:02}", exponent.abs())
            };
            if number.is_sign_negative() { format!("-{text}") } else { text }
        }

        pub(super) fn format(number: f64) -> String {
            let repr = repr(number);
            match repr.find('.') {
                Some(dot) if number > 0.0 && dot > 6 => {
                    let mantissa = format!("{}.{}{}", &repr[..1], &repr[1..dot], &repr[dot + 1..]);
                    format!("{}e+{:02}", mantissa.trim_end_matches('0').trim_end_matches('.'), dot - 1)
                }
                _ => repr,
            }
        }
    }

    #[test]
    fn whole_numbers_and_floats_compare_as_what_they_are() {
        use Number::{Float, Integer};
        for (one, other, order) in [
            (Integer(1), Float(1.0), Some(Ordering::Equal)),
            (Integer(1), Float(1.5), Some(Ordering::Less)),
            (Integer(-1), Float(-1.5), Some(Ordering::Greater)),
            (Integer(0), Float(-0.0), Some(Ordering::Equal)),
            (Integer((1 << 53) + 1), Float(2f64.powi(53)), Some(Ordering::Greater)),
            (Integer(i128::MAX), Float(2f64.powi(127)), Some(Ordering::Less)),
            (Integer(i128::MIN), Float(-(2f64.powi(127))), Some(Ordering::Equal)),
            (Integer(i128::MIN), Float(f64::NEG_INFINITY), Some(Ordering::Greater)),
            (Integer(i128::MAX), Float(f64::INFINITY), Some(Ordering::Less)),
            (Integer(0), Float(f64::NAN), None),
        ] {
            assert_eq!(one.compare(other), order, "{one:?} {other:?}");
            assert_eq!(other.compare(one), order.map(Ordering::reverse), "{other:?} {one:?}");
        }
    }

    #[test]
    fn numbers_are_read_as_python_reads_them() {
        use Number::{Float, Integer};
        for (text, number) in [
            ("0", Some(Integer(0))),
            ("+007", Some(Integer(7))),
            ("-9223372036854775809", Some(Integer(i128::from(i64::MIN) - 1))),
            ("1.", Some(Float(1.0))),
            (".5", Some(Float(0.5))),
            ("-.5E1", Some(Float(-5.0))),
            ("1e400", Some(Float(f64::INFINITY))),
            ("+Infinity", Some(Float(f64::INFINITY))),
            (&"9".repeat(40), Some(Float(1e40))),
            ("", None),
            ("+", None),
            ("-", None),
            (".", None),
            ("1e", None),
            ("e1", None),
            (" 1", None),
            ("1 ", None),
            ("0x1", None),
            ("+-1", None),
            ("--1", None),
            ("infin", None),
            ("١", None),
        ] {
            assert_eq!(Number::parse(text), number, "{text}");
        }
        assert!(Number::parse("nAn").is_some_and(|number| number.as_f64().is_nan()));
    }

    fn repr(number: f64) -> String {
        let mut out = Vec::new();
        push_repr(&mut out, number);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_the_official_client_writes_them() {
        for (number, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.0, "-1.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-5, "1.5e-05"),
            (-1.5e-5, "-1.5e-05"),
            (123_456.0, "123456.0"),
            (123_456.789, "123456.789"),
            (999_999.0, "999999.0"),
            (1e6, "1e+06"),
            (-1e6, "-1000000.0"),
            (-1_234_567.5, "-1234567.5"),
            (1_234_567.0, "1.234567e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (1_000_000.5, "1.0000005e+06"),
            (9_007_199_254_740_991.0, "9.007199254740991e+15"),
            (9_007_199_254_740_992.0, "9.007199254740992e+15"),
            (-9_007_199_254_740_992.0, "-9007199254740992.0"),
            (1e16, "1e+16"),
            (-1e16, "-1e+16"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (2_621_980_824_347_717.0 / 4.0, "6.554952060869292e+14"),
            (2f64.powi(-44), "5.684341886080802e-14"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
            (-f64::NAN, "NaN"),
        ] {
            assert_eq!(format(number), text);
        }
    }

    #[test]
    fn a_time_keeps_its_digits_before_the_point() {
        for (number, text) in [
            (0.0, "0.0"),
            (123.456, "123.456"),
            (1_700_000_000.0, "1700000000.0"),
            (1_700_000_000.25, "1700000000.25"),
            (1e16, "1e+16"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(repr(number), text);
        }
    }

    proptest! {
        #[test]
        fn any_finite_number_is_read_back_as_itself(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());

            prop_assert_eq!(format(number).parse::<f64>().unwrap().to_bits(), bits);
            prop_assert_eq!(format(number), naive::format(number));
            prop_assert_eq!(repr(number), naive::repr(number));
        }

        #[test]
        fn numbers_of_everyday_size_agree_with_the_naive_twin(scaled: i64, power in 0u8..24) {
            let number = scaled as f64 / 10f64.powi(i32::from(power));

            prop_assert_eq!(format(number), naive::format(number));
            prop_assert_eq!(repr(number), naive::repr(number));
        }

        #[test]
        fn a_count_is_written_as_the_float_it_is(count: u64, shift in 0u32..64) {
            let count = count >> shift;
            let mut out = Vec::new();
            push_u64(&mut out, count);

            prop_assert_eq!(String::from_utf8(out).unwrap(), naive::format(count as f64));
        }
    }
}
