//! A point in time, as AWS's answers have it and as people and machines read it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Serialize, Serializer};

/// A point in time. RFC 3339 in JSON; `2026-01-31 10:00:00` in UTC for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(SystemTime);

impl Moment {
    /// By this machine's clock.
    pub fn now() -> Self {
        Self(SystemTime::now())
    }

    /// Reads RFC 3339, or what Python makes of a time: a blank in place of the T, and the offset of any time zone.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let time = DateTime::from_str(&text.replacen(' ', "T", 1), Format::DateTimeWithOffset).ok()?;
        SystemTime::try_from(time).ok().map(Self)
    }

    /// From milliseconds since 1970.
    pub(crate) fn of_millis(millis: u64) -> Self {
        Self(UNIX_EPOCH + Duration::from_millis(millis))
    }

    /// Milliseconds since 1970.
    pub(crate) fn millis(self) -> u64 {
        u64::try_from(self.0.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    }

    /// Seconds since an earlier moment; 0 if that lies ahead.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.duration_since(earlier.0).unwrap_or_default().as_secs_f64()
    }

    fn date_time(self) -> DateTime {
        DateTime::from(self.0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = DateTime::from_secs(self.date_time().secs()).fmt(Format::DateTime).map_err(|_| fmt::Error)?;
        f.write_str(whole.trim_end_matches('Z').replacen('T', " ", 1).as_str())
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.date_time().fmt(Format::DateTime).map_err(serde::ser::Error::custom)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_from_what_python_and_the_functions_write() {
        for (text, shown, json) in [
            ("2026-11-26 11:29:56.667000+00:00", "2026-11-26 11:29:56", "\"2026-11-26T11:29:56.667Z\""),
            ("2026-11-26 12:29:56+01:00", "2026-11-26 11:29:56", "\"2026-11-26T11:29:56Z\""),
            ("2026-11-26T11:29:56.085Z", "2026-11-26 11:29:56", "\"2026-11-26T11:29:56.085Z\""),
        ] {
            let moment = Moment::parse(text).expect(text);
            assert_eq!(moment.to_string(), shown);
            assert_eq!(serde_json::to_string(&moment).expect("JSON"), json);
        }
        assert_eq!(Moment::parse("None"), None);
        let [early, late] =
            ["2026-11-26T11:29:56Z", "2026-11-26T11:29:57.5Z"].map(|text| Moment::parse(text).expect(text));
        assert_eq!((late.seconds_since(early), early.seconds_since(late)), (1.5, 0.0));
    }
}
