use super::*;
use crate::testing::{ID, id};

const GRACE: Duration = Duration::from_secs(300);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn after(seconds: u64) -> SystemTime {
    start() + Duration::from_secs(seconds)
}

fn ticket(cancelled_after: Option<u64>) -> Ticket {
    Ticket { cancel_requested_at: cancelled_after.map(after), ..Ticket::new(id(), 100, start()) }
}

fn described(status: Status, error: &str) -> Description {
    Description {
        id: id(),
        status,
        created_at: Some(start()),
        duration: Duration::from_millis(2500),
        error: (!error.is_empty()).then(|| error.to_owned()),
        failure: Some(FailureKind::classify(status, error)),
        result_rows: None,
        redshift_query_id: Some(7),
    }
}

fn ended(ticket: &Ticket, status: Status, error: &str, seconds: u64) -> Option<&'static str> {
    match decide(ticket, &described(status, error), GRACE, after(seconds)) {
        Decision::End(end) => Some(end.failure.map_or("-", |f| f.error)),
        _ => None,
    }
}

#[test]
fn every_status_has_a_defined_way_out() {
    let running = ticket(None);
    for status in [Status::Submitted, Status::Picked, Status::Started] {
        let decide = |t, s| decide(t, &described(status, ""), GRACE, after(s));
        assert_eq!(decide(&running, 0), Decision::Wait(Duration::from_secs(1)));
        assert_eq!(decide(&running, 60), Decision::Wait(Duration::from_secs(3)));
        assert_eq!(decide(&running, 98), Decision::Wait(Duration::from_secs(2)));
        assert_eq!(decide(&running, 100), Decision::Cancel);
        let cancelled = ticket(Some(100));
        assert_eq!(decide(&cancelled, 101), Decision::Wait(Duration::from_secs(2)), "requested once");
        assert_eq!(ended(&cancelled, status, "", 400), Some("CancelNotConfirmed"));
        assert_eq!(decide(&running, 9000), Decision::Cancel, "never without having asked");
        let refused = Ticket { cancel_refused: true, ..ticket(Some(100)) };
        assert_eq!(decide(&refused, 399), Decision::Cancel, "refused so far, asked again");
        assert_eq!(ended(&refused, status, "", 400), Some("CancelNotConfirmed"));
    }
    assert_eq!(ended(&running, Status::Finished, "", 5), Some("-"));
    assert_eq!(ended(&running, Status::Failed, "ERROR: division by zero", 5), Some("StatementFailed"));
    assert_eq!(ended(&running, Status::Failed, "", 5), Some("StatementFailed"));
    assert_eq!(ended(&running, Status::Aborted, "", 5), Some("StatementAborted"));
    assert_eq!(
        ended(&running, Status::Aborted, "ERROR: Query (1) cancelled on user's request", 500),
        Some("AbortedByUser")
    );
}

#[test]
fn after_our_cancel_the_end_is_told_by_how_it_came() {
    let cancelled = ticket(Some(100));
    assert_eq!(ended(&cancelled, Status::Finished, "", 105), Some("-"), "it made it after all");
    assert_eq!(ended(&cancelled, Status::Aborted, "", 105), Some("StatementTimedOut"));
    assert_eq!(ended(&cancelled, Status::Failed, "ERROR: Disk Full", 105), Some("DiskFull"));
    let told = "ERROR: Query (1) cancelled on user's request";
    assert_eq!(ended(&cancelled, Status::Failed, told, 105), Some("StatementTimedOut"));
}

#[test]
fn a_statement_from_the_future_has_no_age() {
    let now = start() - Duration::from_secs(3);
    let decision = decide(&ticket(None), &described(Status::Started, ""), GRACE, now);
    assert_eq!(decision, Decision::Wait(Duration::from_secs(1)));
}

/// The service may leave CreatedAt out, and its clock may be ahead: the deadline comes all the same.
#[test]
fn no_description_starts_the_clock_anew() {
    for created_at in [None, Some(after(9000)), Some(after(50))] {
        let mut description = described(Status::Started, "");
        description.created_at = created_at;
        assert_eq!(decide(&ticket(None), &description, GRACE, after(100)), Decision::Cancel, "{created_at:?}");
        // A check by hand, which knows no time: its clock starts with the first look, and goes on.
        let unknown = Ticket { created_at: None, ..ticket(None) };
        let first = decide(&unknown, &description, GRACE, after(40));
        let first = Progress::new(unknown, &description, first, after(40));
        let known = first.ticket.created_at.expect("a time");
        assert!(known <= after(40), "{created_at:?}");
        let second = decide(&first.ticket, &description, GRACE, after(140));
        assert_eq!(second, Decision::Cancel, "{created_at:?}");
    }
}

#[test]
fn what_comes_next_is_said_at_the_end() {
    let next = |step, count, attempt, status, error| {
        let ticket = Ticket { step, count, attempt, max_attempts: 3, ..ticket(None) };
        let description = described(status, error);
        let decision = decide(&ticket, &description, GRACE, after(5));
        Progress::new(ticket, &description, decision, after(5)).next.map(|next| (next.step, next.attempt, next.count))
    };
    let conflict = "ERROR: deadlock detected";
    for (step, count, attempt, status, error, expected) in [
        (0, Some(2), 1, Status::Finished, "", Some((1, 1, 2))),
        (0, Some(2), 3, Status::Finished, "", Some((1, 1, 2))),
        (1, Some(2), 1, Status::Finished, "", None),
        (0, Some(2), 1, Status::Failed, conflict, Some((0, 2, 2))),
        (1, Some(2), 2, Status::Failed, conflict, Some((1, 3, 2))),
        (1, Some(2), 3, Status::Failed, conflict, None),
        (0, Some(2), 1, Status::Failed, "ERROR: division by zero", None),
        (0, Some(2), 1, Status::Started, "", None),
        (0, None, 1, Status::Finished, "", None),
        (0, None, 1, Status::Failed, conflict, None),
    ] {
        assert_eq!(next(step, count, attempt, status, error), expected, "{step} {count:?} {attempt} {status} {error}");
    }
}

#[test]
fn a_progress_is_the_input_of_the_next_check() {
    let description = described(Status::Failed, "ERROR: deadlock detected");
    let decision = decide(&ticket(None), &description, GRACE, after(5));
    let progress = Progress::new(ticket(Some(90)), &description, decision, after(5));
    let json = serde_json::to_value(&progress).expect("serialises");
    assert_eq!(json["Id"], ID);
    assert_eq!(json["Status"], "FAILED");
    assert_eq!(json["ElapsedSeconds"], 5);
    assert_eq!(json["DurationSeconds"], 2.5);
    assert_eq!((json["Error"].as_str(), json["Retryable"].as_bool()), (Some("Deadlock"), Some(true)));
    assert!(json["WaitSeconds"].as_u64().is_some_and(|w| w >= 1));
    assert!(json.get("ResultRows").is_none());
    assert_eq!(serde_json::from_value::<Ticket>(json).expect("a ticket"), progress.ticket);
}

#[test]
fn a_timeout_is_between_a_second_and_a_day() {
    assert!(check_timeout(1).is_ok() && check_timeout(86_400).is_ok());
    assert!(check_timeout(0).is_err() && check_timeout(86_401).is_err());
}
