//! What waiting for a statement costs, and how late its end is noticed: our policy beside its rivals.
//!
//! Nothing runs here. What a way uses is counted by walking through its state machine; our policy is simulated by the code
//! that the functions use (`shared::polling`). Cold starts, network and retries are left out for all ways alike.

use std::time::Duration;

use ::tests::Any;
use serde_json::{Value, json};
use shared::polling::Simulation;

use crate::definition::{Definition, Usage};
use crate::prices;

/// Where an execution dies. [Step Functions quotas]
const MOST_EVENTS: u64 = 25_000;
/// No deadline is near.
const NO_DEADLINE: Duration = Duration::from_secs(48 * 3600);
/// How many ends are tried for the lag, evenly spread.
const ENDS: u32 = 2000;
/// The longest that a statement runs, in seconds. [Redshift Data API]
const DAY: u64 = 24 * HOUR;
const HOUR: u64 = 3600;
/// How often a callback looks by itself, in case its event was lost.
const BACKSTOP_SECONDS: f64 = HOUR as f64;

/// The durations of the table.
pub const DURATIONS: [(u64, &str); 7] =
    [(0, "0 s"), (10, "10 s"), (60, "1 min"), (600, "10 min"), (3600, "1 h"), (8 * 3600, "8 h"), (24 * 3600, "24 h")];

/// The durations of the figure.
pub const CURVE: [u64; 13] = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 12 * 3600, 24 * 3600];

/// A way of waiting: what it uses once, and each time that it goes round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    /// As the tables name it.
    pub name: &'static str,
    once: Usage,
    turn: Usage,
    rhythm: Rhythm,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rhythm {
    /// Waits so many seconds, then looks.
    Fixed(f64),
    /// As our policy says.
    Ours,
    /// Is told of the end. Goes round after so many seconds without being told, if ever.
    Told(Option<f64>),
}

/// What one statement costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// What it uses.
    pub used: Usage,
    /// US dollars.
    pub dollars: f64,
    /// How late the end is noticed, in seconds.
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
    pub fn cost(&self, seconds: f64) -> Cost {
        let (turns, polled, lag) = match self.rhythm {
            Rhythm::Fixed(interval) => {
                // The first look comes after the first wait.
                let turns = (seconds / interval).ceil().max(1.0);
                (turns as u64, 0.0, turns * interval - seconds)
            }
            Rhythm::Ours => {
                let simulation = Simulation::of(Duration::from_secs_f64(seconds), NO_DEADLINE);
                (simulation.loops, simulation.polled.as_secs_f64(), simulation.lag.as_secs_f64())
            }
            Rhythm::Told(backstop) => {
                let turns = backstop.map_or(0.0, |interval| ((seconds / interval).ceil() - 1.0).max(0.0));
                (turns as u64, 0.0, 0.0)
            }
        };
        let used = self.once + self.turn * turns + Usage { polled, ..Usage::default() };
        Cost { used, dollars: used.dollars(), lag }
    }

    /// The lag over ends anywhere up to this duration.
    pub fn lag(&self, up_to: f64) -> Lag {
        let lags = (1..=ENDS).map(|n| self.cost(up_to * f64::from(n) / f64::from(ENDS)).lag);
        let (sum, worst) = lags.fold((0.0, 0.0_f64), |(sum, worst), lag| (sum + lag, worst.max(lag)));
        Lag { mean: sum / f64::from(ENDS), worst }
    }

    /// The fixed pause between two looks.
    pub fn interval(&self) -> Option<f64> {
        if let Rhythm::Fixed(interval) = self.rhythm { Some(interval) } else { None }
    }

    /// How late the end is noticed, in seconds at the worst, if the event that reports it is lost; infinite without a look of
    /// its own. Nothing for a way that needs no event.
    pub fn lag_without_event(&self) -> Option<f64> {
        if let Rhythm::Told(look) = self.rhythm { Some(look.unwrap_or(f64::INFINITY)) } else { None }
    }

    /// When the execution's history is full, in seconds; never within the day that a statement may take.
    pub fn dies_after(&self) -> Option<u64> {
        let dies = |seconds: u64| self.cost(seconds as f64).used.events > MOST_EVENTS;
        let (mut lives, mut dead) = (0, DAY);
        if !dies(dead) {
            return None;
        }
        while dead - lives > 1 {
            let middle = u64::midpoint(lives, dead);
            if dies(middle) { dead = middle } else { lives = middle }
        }
        Some(dead)
    }

    /// The shortest and the longest statement for which it costs less than another way, in seconds. To the minute beyond an
    /// hour.
    pub fn cheaper_than(&self, other: &Self) -> Option<(u64, u64)> {
        let cheaper = |&seconds: &u64| self.cost(seconds as f64).dollars < other.cost(seconds as f64).dollars;
        let mut found = (0..HOUR).chain((HOUR..=DAY).step_by(60)).filter(cheaper);
        let shortest = found.next()?;
        Some((shortest, found.last().unwrap_or(shortest)))
    }

    fn every(self, interval: f64) -> Self {
        Self { rhythm: Rhythm::Fixed(interval), ..self }
    }
}

/// Ours and its rivals.
#[derive(Debug, Clone, Copy)]
pub struct Ways {
    /// A long poll by a Lambda, then a wait as the policy says.
    pub ours: Way,
    /// The notes' loop: SDK integrations, so without a Lambda.
    pub notes: Way,
    /// Loops of public samples, which look by a Lambda:
    /// [awslabs/clickstream-analytics-on-aws, `src/analytics/private/clear-expired-events-workflow.ts`, 30 s;
    /// aws-samples/amazon-redshift-config-compare, `configurations/RedshiftConfigTestingStepFunction.json`, 120 s]
    pub samples: [Way; 2],
    /// `WithEvent` and a task token.
    pub callback: Way,
    /// The same, with a look of its own each hour.
    pub callback_with_looks: Way,
    /// Our policy as one durable function.
    pub durable: Way,
}

impl Ways {
    /// Counts what each of them uses.
    ///
    /// # Errors
    /// A definition no longer has the states that are counted.
    pub fn new() -> Any<Self> {
        let ours = Definition::read("infra/statemachines/loader.asl.json")?;
        let ours = Way {
            name: "ours",
            once: ours.walk(None, &["Submit", "HasEnded"])?,
            turn: ours.walk(Some("HasEnded"), &["Wait", "Check", "HasEnded"])?,
            rhythm: Rhythm::Ours,
        };
        let notes = Definition::read("tests/bench/rivals/notes.asl.json")?;
        let notes = Way {
            name: "fixed 5 s (the notes)",
            once: notes.walk(None, &["Load"])?,
            turn: notes.walk(Some("Load"), &["WaitForLoad", "DescribeLoad", "IsLoaded"])?,
            rhythm: Rhythm::Fixed(5.0),
        };
        let sample = Self::sample()?;
        let [callback, callback_with_looks] = Self::callbacks()?;
        Ok(Self {
            ours,
            notes,
            samples: [
                Way { name: "fixed 30 s (a sample)", ..sample.every(30.0) },
                Way { name: "fixed 120 s (a sample)", ..sample.every(120.0) },
            ],
            callback,
            callback_with_looks,
            durable: Self::durable(),
        })
    }

    /// The shape of both samples: submit, then wait, look and choose until it has ended.
    fn sample() -> Any<Way> {
        let definition = Definition::new(json!({"States": {
            "Submit": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Wait"},
            "Wait": {"Type": "Wait", "Next": "Check"},
            "Check": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "HasEnded"},
            "HasEnded": {"Type": "Choice", "Default": "Wait"},
        }}));
        let once = definition.walk(None, &["Submit"])?;
        let turn = definition.walk(Some("Submit"), &["Wait", "Check", "HasEnded"])?;
        Ok(Way { name: "", once, turn, rhythm: Rhythm::Fixed(0.0) })
    }

    /// Submit stores the task's token under the statement's id and waits. A function that the event starts reads the token,
    /// describes the statement (the event has no error text), answers the task and removes the token. Look, where there is
    /// one, stores a new token and describes the statement.
    fn callbacks() -> Any<[Way; 2]> {
        let definition = Definition::new(json!({"States": {
            "Submit": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                       "Catch": [{"Next": "Look"}], "Next": "HasEnded"},
            "Look": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                     "Catch": [{"Next": "Look"}], "Next": "HasEnded"},
            "HasEnded": {"Type": "Choice", "Default": "Done"},
        }}));
        let stored = Usage { writes: 1, ..Usage::default() };
        let told = Usage { opt_in_events: 1, invocations: 1, reads: 1, writes: 1, ..Usage::default() };
        let once = definition.walk(None, &["Submit", "HasEnded"])? + stored + told;
        let turn = definition.walk(Some("Submit"), &["Look"])? + stored;
        Ok([
            Way { name: "callback", once, turn: Usage::default(), rhythm: Rhythm::Told(None) },
            Way { name: "callback, hourly look", once, turn, rhythm: Rhythm::Told(Some(BACKSTOP_SECONDS)) },
        ])
    }

    /// No state machine. The start and the submit are one operation each, and each turn a wait and a step; Lambda is
    /// invoked again after each wait, and runs while it polls, as ours does.
    fn durable() -> Way {
        let once = Usage { operations: 2, invocations: 1, ..Usage::default() };
        let turn = Usage { operations: 2, invocations: 1, ..Usage::default() };
        Way { name: "durable function", once, turn, rhythm: Rhythm::Ours }
    }

    /// All of them, ours last.
    pub fn all(&self) -> [Way; 7] {
        let Self { ours, notes, samples: [half_minute, two_minutes], callback, callback_with_looks, durable } = *self;
        [notes, half_minute, two_minutes, callback, callback_with_looks, durable, ours]
    }

    /// All of them, and before them the notes' loop with the fixed interval whose mean lag up to a duration is ours.
    pub fn with_same_lag(&self, up_to: f64) -> impl Iterator<Item = Way> {
        std::iter::once(self.same_lag(up_to)).chain(self.all())
    }

    /// Where our mean lag is smaller than any that a Wait state can reach, the shortest Wait: 1 s.
    fn same_lag(&self, up_to: f64) -> Way {
        let wanted = self.ours.lag(up_to).mean;
        let (mut low, mut high) = (1.0, 120.0);
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if self.notes.every(middle).lag(up_to).mean < wanted { low = middle } else { high = middle }
        }
        Way { name: "fixed, our mean lag", ..self.notes.every(low) }
    }
}

/// A load that is typical of many: how often it runs, and how long its procedures take, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// As the tables name it.
    pub name: &'static str,
    /// How often it runs.
    pub a_day: f64,
    /// How long each of its procedures takes.
    pub procedures: [f64; 2],
}

/// The loads that costs are given for.
pub const LOADS: [Load; 2] = [
    Load { name: "daily", a_day: 1.0, procedures: [1800.0, 300.0] },
    Load { name: "every 15 minutes", a_day: 96.0, procedures: [60.0, 10.0] },
];

impl Load {
    /// Dollars a year for waiting.
    pub fn waiting_a_year(&self, way: &Way) -> f64 {
        self.procedures.iter().map(|seconds| way.cost(*seconds).dollars).sum::<f64>() * self.a_day * 365.0
    }
}

/// All figures, for `target/cost/report.json`.
pub fn report(ways: &Ways) -> Value {
    let mut rows = Vec::new();
    for (seconds, _) in DURATIONS {
        for way in ways.with_same_lag(seconds as f64) {
            let (cost, lag) = (way.cost(seconds as f64), way.lag(seconds as f64));
            rows.push(json!({
                "seconds": seconds, "way": way.name, "interval_seconds": way.interval(),
                "transitions": cost.used.transitions, "events": cost.used.events, "invocations": cost.used.invocations,
                "dollars": cost.dollars, "mean_lag_seconds": lag.mean, "worst_lag_seconds": lag.worst,
            }));
        }
    }
    let [daily, often] = LOADS;
    let summary = ways.all().map(|way| {
        json!({
            "way": way.name, "cheaper_than_ours_seconds": way.cheaper_than(&ways.ours), "dies_after_seconds": way.dies_after(),
            "dollars_a_year": {daily.name: daily.waiting_a_year(&way), often.name: often.waiting_a_year(&way)},
        })
    });
    json!({"prices": {"region": "us-east-1", "date": prices::DATE}, "rows": rows, "ways": summary})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways() -> Ways {
        Ways::new().expect("the definitions have the states that are counted")
    }

    #[test]
    fn ours_is_cheaper_than_the_fixed_interval_with_the_same_lag() {
        let ways = ways();
        for seconds in CURVE {
            let up_to = seconds as f64;
            let fixed = ways.same_lag(up_to);
            assert!(fixed.lag(up_to).mean >= ways.ours.lag(up_to).mean * 0.98, "{seconds} s");
            assert!(ways.ours.cost(up_to).dollars < fixed.cost(up_to).dollars, "{seconds} s: {fixed:?}");
        }
    }

    #[test]
    fn ours_keeps_its_promise_and_its_count_is_that_of_the_functions() {
        let ours = ways().ours;
        for seconds in CURVE {
            let (lag, cost) = (ours.lag(seconds as f64), ours.cost(seconds as f64));
            assert!(lag.worst <= (seconds as f64 / 20.0).clamp(1.0, 60.0), "{seconds} s: {lag:?}");
            assert_eq!(cost.used.events, shared::polling::events(Duration::from_secs(seconds)), "{seconds} s");
        }
    }

    /// Transitions, events and requests of a statement that takes so many seconds.
    #[test]
    fn what_a_statement_uses_follows_from_the_definitions() {
        let Ways { ours, notes, samples: [half_minute, two_minutes], callback, callback_with_looks, durable } = ways();
        for (way, seconds, transitions, events, invocations) in [
            (ours, 0.0, 2, 7, 1),
            (ours, 60.0, 2, 7, 1),
            (notes, 0.0, 1 + 3, 5 + 9, 0),
            (notes, 60.0, 1 + 12 * 3, 5 + 12 * 9, 0),
            (half_minute, 60.0, 1 + 2 * 3, 5 + 2 * 9, 3),
            (two_minutes, 60.0, 1 + 3, 5 + 9, 2),
            (callback, 0.0, 2, 8, 2),
            (callback, DAY as f64, 2, 8, 2),
            (callback_with_looks, 3600.0, 2, 8, 2),
            (callback_with_looks, DAY as f64, 2 + 23, 8 + 23 * 6, 2 + 23),
            (durable, DAY as f64, 0, 0, ours.cost(DAY as f64).used.invocations),
        ] {
            let used = way.cost(seconds).used;
            let counted = (used.transitions, used.events, used.invocations);
            assert_eq!(counted, (transitions, events, invocations), "{} {seconds} s", way.name);
        }
    }

    #[test]
    fn a_fixed_loop_fills_its_history_and_the_others_do_not() {
        let Ways { ours, notes, samples: [half_minute, two_minutes], callback, callback_with_looks, durable } = ways();
        for (way, hours) in [
            (notes, Some(3.9)),
            (half_minute, Some(23.1)),
            (two_minutes, None),
            (callback, None),
            (callback_with_looks, None),
            (durable, None),
            (ours, None),
        ] {
            let dies = way.dies_after().map(|seconds| (seconds as f64 / 360.0).round() / 10.0);
            assert_eq!(dies, hours, "{}", way.name);
        }
    }

    /// What the documentation says of the rivals that cost less: from when on, and until when.
    #[test]
    fn rivals_that_cost_less_do_so_where_the_documentation_says() {
        let Ways { ours, notes, samples: [half_minute, two_minutes], callback, callback_with_looks, durable } = ways();
        for (way, shortest, longest) in [
            (notes, None, None),
            (half_minute, Some(25), Some(1170)),
            (two_minutes, Some(25), Some(DAY)),
            (callback, Some(2), Some(DAY)),
            (callback_with_looks, Some(2), Some(DAY)),
            (durable, Some(0), Some(DAY)),
        ] {
            let cheaper = way.cheaper_than(&ours);
            assert_eq!(cheaper, shortest.zip(longest), "{}", way.name);
        }
    }

    #[test]
    fn the_documentation_states_what_is_at_stake() {
        let text = std::fs::read_to_string(loader::tools::project("docs/BENCHMARKS.md")).expect("the documentation");
        let Ways { ours, notes, samples: [half_minute, two_minutes], callback, callback_with_looks, durable } = ways();
        let saved = |way: &Way| LOADS.map(|load| load.waiting_a_year(&ours) - load.waiting_a_year(way));
        let [daily, often] = saved(&callback);
        let day = |way: &Way| way.cost(DAY as f64).dollars * 365.0;
        let mut stated = vec![
            format!("${daily:.2} a year more"),
            format!("${often:.2} for the one every 15 minutes"),
            format!("${:.2} a year with our loop, and ${:.2} with that", day(&ours), day(&callback_with_looks)),
        ];
        stated.extend([durable, two_minutes].map(|way| {
            let [daily, often] = saved(&way);
            format!("saves ${daily:.2} and ${often:.2}")
        }));
        stated.extend([notes, half_minute, two_minutes, callback, callback_with_looks, durable, ours].map(|way| {
            let [daily, often] = LOADS.map(|load| load.waiting_a_year(&way));
            format!("{daily:.2} {often:.2}")
        }));
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for stated in stated {
            assert!(text.contains(&stated), "{stated}");
        }
    }
}
