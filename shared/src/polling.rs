//! How long to wait for a statement: one pure function of the time since it was created.
//!
//! Two things cost: a turn of the state machine's loop (three transitions) and a second of long poll
//! (a running Lambda). Two things are promised, cold starts and network aside: the end is noticed
//! within 5 % of the statement's duration (or 1 s, whichever is more) and never more than 60 s late.
//! During a long poll the end is noticed at once, so only the Wait between two polls makes us late: it
//! may grow with the elapsed time. The poll always lasts as long as the service allows: its 30 s of a
//! small Lambda cost less than the turn of the loop that it replaces. So the submit, which has no wait
//! before it, polls twice: what ends within a minute costs no turn at all.

use std::time::Duration;

/// The Data API's limit for WaitTimeSeconds. [API model]
pub const MAX_LONG_POLL: Duration = Duration::from_secs(30);
/// Long polls of a submit: that of ExecuteStatement, and that of the description which follows.
pub const POLLS_OF_A_SUBMIT: u32 = 2;
/// The latest that the end of a statement is noticed.
pub const MAX_WAIT: Duration = Duration::from_secs(60);
/// The share of the elapsed time that may be waited: one twentieth, 5 %.
const ELAPSED_PER_WAIT: u64 = 20;
/// Events of a submit and the look at its answer: TaskStateEntered, Scheduled, Started, Succeeded, Exited;
/// ChoiceEntered, Exited. [Step Functions developer guide]
const EVENTS_OF_A_SUBMIT: u64 = 7;
/// Events of a turn of the loop: the same for a check, and WaitEntered, Exited.
const EVENTS_PER_LOOP: u64 = 9;
/// The bounds of the pause between two looks at the queue of executions, in seconds.
const LEAST_TURN_WAIT: u64 = 5;
const MOST_TURN_WAIT: u64 = 300;
/// How often a cancelled statement is checked: somebody waits for the answer.
const WAIT_FOR_CANCEL: Duration = Duration::from_secs(2);

/// How long to pause before the next check, in whole seconds from 1 to 60 (Step Functions' Wait takes
/// whole seconds). `left` is the time to the deadline: the check comes no later than that.
pub fn wait(elapsed: Duration, left: Duration) -> Duration {
    let share = elapsed.as_secs() / ELAPSED_PER_WAIT;
    let latest = left.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX);
    Duration::from_secs(share.min(MAX_WAIT.as_secs()).min(latest).max(1))
}

/// How long to pause before the next look at a statement that was asked to stop.
pub fn wait_after_cancel() -> Duration {
    WAIT_FOR_CANCEL
}

/// How long the next call may wait for the end, in whole seconds; nothing once the deadline has passed.
pub fn long_poll(left: Duration) -> Option<Duration> {
    let seconds = left.as_secs().min(MAX_LONG_POLL.as_secs());
    (seconds >= 1).then(|| Duration::from_secs(seconds))
}

/// How long to pause before the next look at whether an execution's turn has come, `elapsed` after it started to
/// queue: 5 % of that, from 5 s to 5 minutes. Nobody waits for a statement yet, so a look may come later than at a
/// statement, and a day in the queue stays cheap.
pub fn wait_for_turn(elapsed: Duration) -> Duration {
    Duration::from_secs((elapsed.as_secs() / ELAPSED_PER_WAIT).clamp(LEAST_TURN_WAIT, MOST_TURN_WAIT))
}

/// What queueing for `duration` adds to the execution's history.
pub fn events_of_turn(duration: Duration) -> u64 {
    let (mut elapsed, mut loops) = (Duration::ZERO, 0);
    while elapsed < duration {
        elapsed += wait_for_turn(elapsed);
        loops += 1;
    }
    EVENTS_OF_A_SUBMIT + EVENTS_PER_LOOP * loops
}

/// How long to wait before a new attempt, after attempt number `attempt` (from 1) has failed: 10 s,
/// doubled each time, 5 minutes at most.
pub fn back_off(attempt: u32) -> Duration {
    const FIRST: u64 = 10;
    const MOST: u64 = 300;
    Duration::from_secs((FIRST << attempt.clamp(1, 10).saturating_sub(1)).min(MOST))
}

/// Events that one attempt adds to the execution's history, which holds 25,000 events at most, when the statement ends
/// after `duration`. Step Functions' own retries come on top.
pub fn events(duration: Duration) -> u64 {
    Simulation::of(duration, Duration::MAX).events()
}

/// The polling of one statement, played through without waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simulation {
    /// Turns of the state machine's loop after the submit.
    pub loops: u64,
    /// Time spent in long polls.
    pub polled: Duration,
    /// From the statement's end to its detection, cold starts and network aside.
    pub lag: Duration,
}

impl Simulation {
    /// Plays a statement that ends after `duration` and has `timeout` to do so.
    pub fn of(duration: Duration, timeout: Duration) -> Self {
        let left = |elapsed| timeout.saturating_sub(elapsed);
        let (mut elapsed, mut polled, mut loops) = (Duration::ZERO, Duration::ZERO, 0);
        loop {
            if duration <= elapsed {
                return Self { loops, polled, lag: elapsed - duration };
            }
            let polls = if loops == 0 { POLLS_OF_A_SUBMIT } else { 1 };
            let poll = long_poll(left(elapsed)).unwrap_or_default() * polls;
            if duration <= elapsed + poll {
                return Self { loops, polled: polled + (duration - elapsed), lag: Duration::ZERO };
            }
            polled += poll;
            elapsed += poll;
            elapsed += wait(elapsed, left(elapsed));
            loops += 1;
        }
    }

    /// Events in the execution's history, without Step Functions' own retries.
    pub fn events(self) -> u64 {
        EVENTS_OF_A_SUBMIT + EVENTS_PER_LOOP * self.loops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;
    #[test]
    fn the_end_is_noticed_within_five_percent_and_a_minute() {
        let timeout = Duration::from_secs(2 * DAY);
        let mut millis = 1_000;
        while millis <= DAY * 1000 {
            let duration = Duration::from_millis(millis);
            let late = Simulation::of(duration, timeout).lag;
            let allowed = (duration / 20).max(Duration::from_secs(1)).min(Duration::from_secs(60));
            assert!(late <= allowed, "{duration:?}: {late:?} late");
            millis += 1 + millis / 997;
        }
    }

    #[test]
    fn a_day_stays_under_ten_thousand_events() {
        let hours = |n: u64| events(Duration::from_secs(n * 3600));
        assert_eq!([0, 1, 2, 3, 24].map(hours), [7, 439, 799, 1159, 8719]);
    }

    #[test]
    fn what_ends_in_the_first_long_polls_costs_no_loop() {
        for seconds in 0..=60 {
            let duration = Duration::from_secs(seconds);
            let simulation = Simulation::of(duration, Duration::from_secs(DAY));
            assert_eq!(simulation, Simulation { loops: 0, polled: duration, lag: Duration::ZERO });
        }
    }

    #[test]
    fn the_queue_is_looked_at_less_and_less() {
        let waits = [0, 60, 100, 200, 3600, 6000, DAY].map(|s| wait_for_turn(Duration::from_secs(s)).as_secs());
        assert_eq!(waits, [5, 5, 5, 10, 180, 300, 300]);
        let events = [0, 60, 3600, DAY].map(|s| events_of_turn(Duration::from_secs(s)));
        assert_eq!(events, [7, 115, 871, 3373]);
    }

    #[test]
    fn the_deadline_clips_both() {
        let s = Duration::from_secs;
        let ms = Duration::from_millis;
        assert_eq!(wait(s(6000), s(7)), s(7));
        assert_eq!(wait(s(6000), ms(6200)), s(7));
        assert_eq!(wait(s(6000), s(0)), s(1));
        assert_eq!(wait(s(0), s(1000)), s(1));
        assert_eq!(wait(s(DAY), s(DAY)), s(60));
        assert_eq!(long_poll(s(100)), Some(s(30)));
        assert_eq!(long_poll(ms(7900)), Some(s(7)));
        assert_eq!(long_poll(ms(900)), None);
    }

    #[test]
    fn the_back_off_doubles_up_to_five_minutes() {
        let seconds: Vec<_> = [0, 1, 2, 3, 5, 6, 1000].into_iter().map(|n| back_off(n).as_secs()).collect();
        assert_eq!(seconds, [10, 10, 20, 40, 160, 300, 300]);
    }
}
