//! Numbers and times as the page shows them.

/// Names up to this length are shown whole in a list.
const LONGEST_NAME: usize = 24;

/// A duration: the fewer digits the longer it is.
pub(super) fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// A number with its noun.
pub(super) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The beginning of a name: EventBridge names executions by two UUIDs.
pub(super) fn short(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some(_) => format!("{}…", name.chars().take(8).collect::<String>()),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_numbers_are_short() {
        for (of, text) in [
            (0.04, "0.0 s"),
            (9.94, "9.9 s"),
            (9.96, "10 s"),
            (59.4, "59 s"),
            (59.6, "1 min 0 s"),
            (3_599.6, "1 h 0 min"),
            (90_000.0, "25 h 0 min"),
        ] {
            assert_eq!(seconds(of), text);
        }
        assert_eq!([short("nightly"), short("f439ab63-1dbf-44c5-a405-98a8a343ef1c")], ["nightly", "f439ab63…"]);
        assert_eq!([count(1, "row"), count(0, "row"), count(12, "row")], ["1 row", "0 rows", "12 rows"]);
    }
}
