//! What waiting for a statement costs, and how late its end is noticed: our policy beside fixed loops.
//!
//! Nothing runs here: our policy is simulated by the code that the functions use (`shared::polling`). Cold starts and
//! network are left out for all ways alike.

use std::time::Duration;

use serde_json::{Value, json};
use shared::polling::Simulation;

/// Prices of us-east-1 in US dollars, list prices as known on 2026-11-22. [aws.amazon.com, pricing of
/// Step Functions (Standard) and Lambda (x86)]
const DOLLARS_PER_TRANSITION: f64 = 0.025 / 1000.0;
const DOLLARS_PER_REQUEST: f64 = 0.20 / 1_000_000.0;
const DOLLARS_PER_GB_SECOND: f64 = 0.000_016_666_7;
/// The functions have 128 MB.
const GIGABYTES: f64 = 0.125;
/// What an invocation takes beside its long poll, generously: `make demo` shows some 20 ms.
const SECONDS_PER_INVOCATION: f64 = 0.05;
/// Wait (2 events), Task (5), Choice (2).
const EVENTS_PER_LOOP: u64 = 9;
/// Task (5), Choice (2).
const EVENTS_OF_A_LOOK: u64 = 7;
/// Wait, Task, Choice.
const TRANSITIONS_PER_LOOP: u64 = 3;
/// Task, Choice.
const TRANSITIONS_OF_A_LOOK: u64 = 2;
/// No deadline is near.
const NO_DEADLINE: Duration = Duration::from_secs(48 * 3600);
/// How many ends are tried for the lag, evenly spread.
const ENDS: u32 = 2000;

/// The durations that are compared.
pub const DURATIONS: [(u64, &str); 13] = [
    (1, "1 s"),
    (5, "5 s"),
    (10, "10 s"),
    (30, "30 s"),
    (60, "1 min"),
    (120, "2 min"),
    (300, "5 min"),
    (600, "10 min"),
    (1800, "30 min"),
    (3600, "1 h"),
    (4 * 3600, "4 h"),
    (12 * 3600, "12 h"),
    (24 * 3600, "24 h"),
];

/// A way of waiting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// Wait so many seconds, then ask; by SDK integrations, so without a Lambda.
    Fixed(f64),
    /// Long poll by a Lambda, then wait as the policy says.
    Ours,
}

/// What one statement costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// State transitions.
    pub transitions: u64,
    /// Events in the execution's history.
    pub events: u64,
    /// US dollars, Lambda included.
    pub dollars: f64,
    /// How late the end is noticed.
    pub lag: f64,
}

/// How late an end is noticed that lies anywhere up to a duration, with equal chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lag {
    /// On average.
    pub mean: f64,
    /// At the worst.
    pub worst: f64,
}

impl Way {
    /// Plays a statement of this duration.
    pub fn cost(self, seconds: f64) -> Cost {
        match self {
            Self::Fixed(interval) => {
                // The notes' machine looks once right after the submit.
                let loops = (seconds / interval).ceil();
                let transitions = TRANSITIONS_OF_A_LOOK + 1 + TRANSITIONS_PER_LOOP * loops as u64;
                Cost {
                    transitions,
                    events: EVENTS_OF_A_LOOK + 5 + EVENTS_PER_LOOP * loops as u64,
                    dollars: transitions as f64 * DOLLARS_PER_TRANSITION,
                    lag: loops * interval - seconds,
                }
            }
            Self::Ours => ours(Simulation::of(Duration::from_secs_f64(seconds), NO_DEADLINE)),
        }
    }

    /// The lag over ends anywhere up to this duration.
    pub fn lag(self, up_to: f64) -> Lag {
        let lags = (1..=ENDS).map(|n| self.cost(up_to * f64::from(n) / f64::from(ENDS)).lag);
        let (sum, worst) = lags.fold((0.0, 0.0_f64), |(sum, worst), lag| (sum + lag, worst.max(lag)));
        Lag { mean: sum / f64::from(ENDS), worst }
    }
}

fn ours(simulation: Simulation) -> Cost {
    let invocations = (simulation.loops + 1) as f64;
    let gigabyte_seconds = (simulation.polled.as_secs_f64() + invocations * SECONDS_PER_INVOCATION) * GIGABYTES;
    let transitions = TRANSITIONS_OF_A_LOOK + TRANSITIONS_PER_LOOP * simulation.loops;
    Cost {
        transitions,
        events: simulation.events(),
        dollars: transitions as f64 * DOLLARS_PER_TRANSITION
            + invocations * DOLLARS_PER_REQUEST
            + gigabyte_seconds * DOLLARS_PER_GB_SECOND,
        lag: simulation.lag.as_secs_f64(),
    }
}

/// The fixed interval whose mean lag up to this duration is ours. Where ours is smaller than any that a
/// Wait state can reach, the shortest Wait: 1 s.
pub fn same_lag(up_to: f64) -> Way {
    let wanted = Way::Ours.lag(up_to).mean;
    let (mut low, mut high) = (1.0, 120.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if Way::Fixed(middle).lag(up_to).mean < wanted { low = middle } else { high = middle }
    }
    Way::Fixed(low)
}

/// The ways that are compared up to a duration, with their names.
pub fn ways(up_to: f64) -> [(&'static str, Way); 4] {
    [
        ("fixed 5 s (the notes)", Way::Fixed(5.0)),
        ("fixed 30 s", Way::Fixed(30.0)),
        ("fixed, our mean lag", same_lag(up_to)),
        ("ours", Way::Ours),
    ]
}

/// All figures, for `target/cost/report.json`.
pub fn report() -> Value {
    let mut rows = Vec::new();
    for (seconds, _) in DURATIONS {
        for (name, way) in ways(seconds as f64) {
            let (cost, lag) = (way.cost(seconds as f64), way.lag(seconds as f64));
            let interval = if let Way::Fixed(interval) = way { json!(interval) } else { Value::Null };
            rows.push(json!({
                "seconds": seconds, "way": name, "interval_seconds": interval, "transitions": cost.transitions,
                "events": cost.events, "dollars": cost.dollars, "mean_lag_seconds": lag.mean, "worst_lag_seconds": lag.worst,
            }));
        }
    }
    json!({
        "prices": {"dollars_per_transition": DOLLARS_PER_TRANSITION, "dollars_per_request": DOLLARS_PER_REQUEST,
                   "dollars_per_gb_second": DOLLARS_PER_GB_SECOND, "date": "2026-11-22"},
        "rows": rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_cheaper_than_the_fixed_interval_with_the_same_lag() {
        for (seconds, name) in DURATIONS {
            let up_to = seconds as f64;
            let fixed = same_lag(up_to);
            assert!(fixed.lag(up_to).mean >= Way::Ours.lag(up_to).mean * 0.98, "{name}");
            assert!(Way::Ours.cost(up_to).dollars < fixed.cost(up_to).dollars, "{name}: {fixed:?}");
        }
    }

    #[test]
    fn the_notes_loop_dies_before_a_day_and_ours_does_not() {
        let day = 24.0 * 3600.0;
        assert!(Way::Fixed(5.0).cost(4.0 * 3600.0).events > 25_000);
        assert!(Way::Ours.cost(day).events < 10_000);
    }

    #[test]
    fn ours_keeps_its_promise() {
        for (seconds, name) in DURATIONS {
            let lag = Way::Ours.lag(seconds as f64);
            assert!(lag.worst <= (seconds as f64 / 20.0).clamp(1.0, 60.0), "{name}: {lag:?}");
        }
    }
}
