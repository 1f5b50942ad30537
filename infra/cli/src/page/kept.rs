//! Answers that are kept for a while: several browsers that look every second are one question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Result;

/// The last answer to one question. It is asked in the background, so that a browser that goes away leaves no question half asked:
/// the answers come one after the other through a pipe.
pub(super) struct Kept<T> {
    state: Arc<Mutex<State<T>>>,
    answered: Arc<Notify>,
}

struct State<T> {
    answer: Option<std::result::Result<T, String>>,
    at: Option<Instant>,
    is_asking: bool,
}

impl<T: Clone + Send + 'static> Kept<T> {
    pub(super) fn new() -> Self {
        let state = State { answer: None, at: None, is_asking: false };
        Self { state: Arc::new(Mutex::new(state)), answered: Arc::new(Notify::new()) }
    }

    /// The last answer. If it is older than `fresh`, `ask` is asked, and its answer waited for, for as long as `patience`. Nothing if
    /// there is no answer yet.
    pub(super) async fn get<F>(
        &self,
        fresh: Duration,
        patience: Duration,
        ask: impl FnOnce() -> F,
    ) -> Option<std::result::Result<T, String>>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let answered = self.answered.clone();
        let mut next = std::pin::pin!(answered.notified());
        next.as_mut().enable();
        let is_asking = {
            let mut state = lock(&self.state);
            if !state.is_asking && state.at.is_none_or(|at| at.elapsed() >= fresh) {
                state.is_asking = true;
                let (kept, answered, asked) = (self.state.clone(), self.answered.clone(), ask());
                tokio::spawn(async move {
                    let answer = asked.await.map_err(|error| error.to_string());
                    *lock(&kept) = State { answer: Some(answer), at: Some(Instant::now()), is_asking: false };
                    answered.notify_waiters();
                });
            }
            state.is_asking
        };
        if is_asking {
            let _ = tokio::time::timeout(patience, next).await;
        }
        lock(&self.state).answer.clone()
    }

    /// Asks anew the next time.
    pub(super) fn is_old(&self) {
        lock(&self.state).at = None;
    }
}

/// Answers to questions that have a name.
pub(super) struct KeptBy<T>(Mutex<HashMap<String, Arc<Kept<T>>>>);

impl<T: Clone + Send + 'static> KeptBy<T> {
    /// So many at most: a browser names what it likes.
    const MOST: usize = 32;

    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    pub(super) fn of(&self, name: &str) -> Arc<Kept<T>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= Self::MOST && !all.contains_key(name) {
            all.clear();
        }
        all.entry(name.to_owned()).or_insert_with(|| Arc::new(Kept::new())).clone()
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::Error;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_question_is_asked_once_while_its_answer_is_fresh() {
        let (kept, asked) = (Kept::new(), Arc::new(AtomicU32::new(0)));
        let get = |fresh, patience, takes| {
            let asked = asked.clone();
            kept.get(fresh, patience, move || async move {
                tokio::time::sleep(takes).await;
                match asked.fetch_add(1, Ordering::Relaxed) {
                    1 => Err(Error::new("refused")),
                    n => Ok(n),
                }
            })
        };
        assert_eq!(get(SECOND, SECOND, 3 * SECOND).await, None, "not yet");
        assert_eq!(get(SECOND, 9 * SECOND, SECOND).await, Some(Ok(0)), "the first question's answer");
        assert_eq!(get(9 * SECOND, SECOND, SECOND).await, Some(Ok(0)), "fresh");
        assert_eq!(get(Duration::ZERO, SECOND / 2, SECOND).await, Some(Ok(0)), "old, but there is none newer");
        assert_eq!(get(Duration::ZERO, 9 * SECOND, SECOND).await, Some(Err("refused".to_owned())));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
