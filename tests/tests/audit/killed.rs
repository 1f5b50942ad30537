//! The function killed, or out of time, at any step.

use super::*;

/// One message, or the messages about clean runs, and their one mark: killed before it is committed, the same
/// is sent again and no single messages; killed after, nothing.
pub(crate) async fn killed_between_a_digest_or_clean_runs_and_their_mark_nothing_is_lost(a: &Audit) -> Outcome {
    let limit = ("MAX_NOTIFICATIONS", "50");
    let resolved = ("NOTIFY_RESOLVED", "true");
    for (settings, clean, messages) in
        [(vec![limit], false, 1), (vec![limit, resolved], true, 1), (vec![resolved], true, RUNS)]
    {
        for committed in [false, true] {
            a.fresh(RUNS).await?;
            if clean {
                a.database.warehouse
                    .run("UPDATE dev.orders_audit SET status = 'RESOLVED', notified_at = GETDATE(), resolved_at = GETDATE()")
                    .await?;
            }
            let first = messages.min(500);
            a.sink.reset(Some(first.div_ceil(10) - 1));
            let function = a.function(&settings).await?;
            let _answer = function.begin(json!({"ExecutionId": "e-1"}), TIME).await?;
            a.sink.held().await;
            if committed {
                a.fault(Fault::new(FaultKind::SlowStart(0.5)).of("notify/mark"));
            } else {
                a.fault(Fault::new(FaultKind::InternalError).on("ExecuteStatement").times(100));
            }
            a.sink.release();
            for _ in 0..500 {
                let faults: u32 = a.api.service.faults().left().iter().map(|fault| fault.times).sum();
                if faults != if committed { 1 } else { 100 } {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            function.kill().await;
            a.api.service.faults().set(vec![]);
            let mark = if clean { "closed_by = 'e-1'" } else { "status = 'NOTIFIED'" };
            let marked = format!("SELECT COUNT(*) FROM dev.orders_audit WHERE {mark}");
            let at_once = if messages == 1 { RUNS } else { first };
            let expected = i64::try_from(if committed { at_once } else { 0 })?;
            for _ in 0..300 {
                if a.database.warehouse.number(&marked).await? == expected {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(a.database.warehouse.number(&marked).await?, expected, "{settings:?}");
            let before = a.sink.runs();
            assert_eq!(before.values().sum::<usize>(), first, "{settings:?}");
            let again = if committed { messages - first } else { messages };
            let unresolved = if clean { 0 } else { RUNS };
            let answer = if clean { counts(unresolved, 0, again) } else { counts(unresolved, again, 0) };
            assert_eq!(a.notify("e-1", &settings).await?, Ok(answer), "{settings:?}, committed: {committed}");
            assert_eq!(a.sink.runs().len(), messages, "every message was sent, and no other");
            assert_eq!(a.database.warehouse.number(&marked).await?, i64::try_from(RUNS)?, "{settings:?}");
        }
    }
    Ok(())
}

/// Where the function is when it is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    Asking,
    Publishing,
    PublishedNotMarked,
    MarkAccepted,
}

pub(crate) async fn killed_at_any_step_nothing_is_lost(a: &Audit) -> Outcome {
    for step in [Step::Asking, Step::Publishing, Step::PublishedNotMarked, Step::MarkAccepted] {
        a.fresh(RUNS).await?;
        match step {
            Step::Asking => a.fault(Fault::new(FaultKind::SlowStart(2.0)).of("notify/runs")),
            // 12 calls are through, the rest of them hang.
            Step::Publishing => a.sink.reset(Some(12)),
            Step::PublishedNotMarked => a.sink.reset(Some(49)),
            Step::MarkAccepted => a.fault(Fault::new(FaultKind::SlowStart(0.5)).of("notify/mark")),
        }
        let function = a.function(&[]).await?;
        let _answer = function.begin(json!({"ExecutionId": "e-1"}), TIME).await?;
        match step {
            Step::Asking => tokio::time::sleep(Duration::from_millis(300)).await,
            Step::Publishing => a.sink.held().await,
            Step::PublishedNotMarked => {
                a.sink.held().await;
                // The mark is refused, again and again, until the function is killed.
                a.fault(Fault::new(FaultKind::InternalError).on("ExecuteStatement").times(100));
                a.sink.release();
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            Step::MarkAccepted => {
                for _ in 0..500 {
                    if a.api.service.faults().left().is_empty() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        function.kill().await;
        a.api.service.faults().set(vec![]);
        let before: usize = a.sink.runs().values().sum();
        a.sink.release();
        match step {
            Step::Asking => assert_eq!(before, 0),
            Step::Publishing => assert!((120..500).contains(&before), "{before}"),
            Step::PublishedNotMarked => assert_eq!((before, a.marked().await?), (500, 0)),
            // What was accepted is done, whether anybody waits for it or not.
            Step::MarkAccepted => a.until_marked(500).await?,
        }
        let answer = a.notify("e-1", &[]).await?;
        assert_eq!(answer.map(|a| a["UnresolvedRuns"].clone()), Ok(json!(RUNS)), "{step:?}");
        let runs = a.sink.runs();
        let repeated = runs.values().filter(|n| **n > 1).count();
        assert_eq!(runs.len(), RUNS, "{step:?}: every run was told");
        assert!(repeated <= MAY_REPEAT && runs.values().all(|n| *n <= 2), "{step:?}: {repeated} were told twice");
        if step == Step::MarkAccepted {
            assert_eq!(repeated, 0);
        }
        assert_eq!(a.marked().await?, i64::try_from(RUNS)?, "{step:?}");
    }
    Ok(())
}

/// Shortly before the deadline it stops, reports how far it came, and the retry goes on from there.
pub(crate) async fn out_of_time_it_reports_and_the_retry_goes_on(a: &Audit) -> Outcome {
    a.fresh(RUNS).await?;
    a.sink.reset(Some(55));
    let function = a.function(&[]).await?;
    let answer =
        function.begin(json!({"ExecutionId": "e-1"}), orders_audit_fn::MARGIN + Duration::from_secs(6)).await?;
    a.sink.held().await;
    tokio::time::sleep(Duration::from_millis(6500)).await;
    a.sink.release();
    let Err(error) = tokio::time::timeout(TIME, answer).await?? else { return Err(failed("it has all been sent")) };
    assert_eq!(error["errorType"], "NotificationsIncomplete", "{error}");
    let text = error["errorMessage"].as_str().unwrap_or_default();
    assert!(text.contains(&format!("of {RUNS} notifications")) && text.contains("out of time"), "{text}");
    function.kill().await;
    let before = a.sink.runs().len();
    assert!((500..RUNS).contains(&before), "{before}");
    assert_eq!(a.marked().await?, i64::try_from(before)?);
    assert_eq!(a.notify("e-1", &[]).await?, Ok(counts(RUNS, RUNS - before, 0)));
    assert!(a.sink.runs().values().all(|n| *n == 1));
    Ok(())
}
