//! Decimal numbers as text: compared and measured without rounding.

/// A number as it is written: `0.digits` times ten to the power of `point`. `digits` has no zero at either end, and
/// none at all where the number is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    digits: String,
    point: i64,
}

/// Exponents beyond this are all the same to every type there is.
const MAX_EXPONENT: i64 = 1_000_000;

impl Decimal {
    /// Reads digits with an optional sign, point and exponent; nothing for any other text, blanks included.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            None => (unsigned, 0),
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let written = format!("{whole}{fraction}");
        if written.is_empty() || !written.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let significant = written.trim_start_matches('0');
        let leading = written.len() - significant.len();
        let digits = significant.trim_end_matches('0').to_owned();
        let length = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let point = if digits.is_empty() { 0 } else { length(whole.len()) - length(leading) + exponent };
        Some(Self { negative, digits, point })
    }

    /// How many digits are significant: zeros at either end are not.
    pub(crate) fn significant(&self) -> usize {
        self.digits.len()
    }

    /// How many digits stand before the point, and how many behind it.
    pub(crate) fn places(&self) -> (usize, usize) {
        let length = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        let count = |n: i64| usize::try_from(n).unwrap_or(0);
        (count(self.point), count(length - self.point))
    }

    /// The number without exponent. Only for one whose [`Self::places`] are known to be few.
    pub(crate) fn plain(&self) -> String {
        let (before, behind) = self.places();
        let sign = if self.negative { "-" } else { "" };
        let length = self.digits.len();
        if before >= length {
            let whole = format!("{}{}", self.digits, "0".repeat(before - length));
            return format!("{sign}{}", if whole.is_empty() { "0" } else { &whole });
        }
        let whole = if before == 0 { "0" } else { &self.digits[..before] };
        let fraction = &self.digits[before..];
        format!("{sign}{whole}.{}{fraction}", "0".repeat(behind - fraction.len()))
    }

    /// Whether the double (or, as `single`, the float of 32 bits) nearest to it has the same digits, so that reading
    /// it back returns the number as written.
    pub(crate) fn survives_as_float(&self, single: bool) -> bool {
        let most = if single { 9 } else { 17 };
        if self.digits.is_empty() {
            return true;
        }
        if self.digits.len() > most {
            return false;
        }
        let text = format!("{}0.{}e{}", if self.negative { "-" } else { "" }, self.digits, self.point);
        let places = self.digits.len() - 1;
        let back = if single {
            text.parse::<f32>().map(|f| format!("{f:.places$e}"))
        } else {
            text.parse::<f64>().map(|f| format!("{f:.places$e}"))
        };
        back.is_ok_and(|back| Self::parse(&back).as_ref() == Some(self))
    }
}

fn read_exponent(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(sign * digits.parse().unwrap_or(MAX_EXPONENT).min(MAX_EXPONENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_measured_as_it_is_written() {
        for (text, significant, places, plain) in [
            ("0", 0, (0, 0), "0"),
            ("-0.0", 0, (0, 0), "-0"),
            ("42", 2, (2, 0), "42"),
            ("007", 1, (1, 0), "7"),
            ("+1.50", 2, (1, 1), "1.5"),
            (".5", 1, (0, 1), "0.5"),
            ("5.", 1, (1, 0), "5"),
            ("1E5", 1, (6, 0), "100000"),
            ("1.5e3", 2, (4, 0), "1500"),
            ("-1.25e-3", 3, (0, 5), "-0.00125"),
            ("12345e-2", 5, (3, 2), "123.45"),
            ("12345678901234567890123", 23, (23, 0), "12345678901234567890123"),
        ] {
            let number = Decimal::parse(text).expect(text);
            assert_eq!((number.significant(), number.places()), (significant, places), "{text}");
            assert_eq!(number.plain(), plain, "{text}");
        }
        let far = "1e99999999999999999999";
        assert_eq!(Decimal::parse(far).expect(far).places().0, 1_000_001);
        for bad in
            ["", "-", ".", "e5", "1e", "1e+", "1.2.3", " 1", "1 ", "0x10", "NaN", "Infinity", "1_000", "--1", "١"]
        {
            assert_eq!(Decimal::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_float_keeps_what_reads_back_the_same() {
        for (text, double, single) in [
            ("0", true, true),
            ("0.1", true, true),
            ("0.10000000000000001", true, false),
            ("0.30000000000000004", true, false),
            ("9007199254740993", false, false),
            ("16777217", true, false),
            ("123456789", true, false),
            ("12345678901234567890123", false, false),
            ("0.1234567890123456789", false, false),
            ("1e400", false, false),
            ("1e-400", false, false),
            ("1e39", true, false),
            ("-2.5e3", true, true),
        ] {
            let number = Decimal::parse(text).expect(text);
            assert_eq!(number.survives_as_float(false), double, "{text} as a double");
            assert_eq!(number.survives_as_float(true), single, "{text} as a float of 32 bits");
        }
    }
}
