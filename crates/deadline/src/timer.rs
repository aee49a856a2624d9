//! A timer that is there only once something waits.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use bartizan_core::Clock;
use tokio::time::{self, Sleep};

/// Sleeps until an instant that may move. Takes no memory, no lock and no place among the runtime's timers before it
/// is polled, and while the instant moves away, is set anew only when the former one has come.
///
/// It is boxed, so that what holds it can be moved: a client of hyper takes no other bodies.
#[derive(Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// When it wakes; there with `sleep`.
    set_to: Option<Instant>,
}

impl Timer {
    /// Ready once `due` has come, by `clock`. How long to sleep is relative, so that time may be paused.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, clock: &Clock, due: Instant) -> Poll<()> {
        loop {
            let sleep = match &mut self.sleep {
                Some(sleep) if self.set_to.is_some_and(|set_to| set_to <= due) => sleep,
                known => {
                    let wait = due.saturating_duration_since(clock.now());
                    // So far away that no clock can tell is never.
                    let Some(at) = time::Instant::now().checked_add(wait) else { return Poll::Pending };
                    self.set_to = Some(due);
                    if let Some(sleep) = known {
                        sleep.as_mut().reset(at);
                    }
                    known.get_or_insert_with(|| Box::pin(time::sleep_until(at)))
                }
            };
            ready!(sleep.as_mut().poll(cx));
            if self.set_to.take().is_some_and(|set_to| set_to >= due) {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use bartizan_core::ManualClock;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_instant_may_move_both_ways() {
        let clock = Clock::from(ManualClock::new());
        let (begin, start) = (clock.now(), time::Instant::now());
        let secs = Duration::from_secs;
        let mut timer = Timer::default();
        let mut once = async |due| poll_fn(|cx| Poll::Ready(timer.poll(cx, &clock, begin + due))).await;
        assert!(once(secs(5)).await.is_pending());
        time::advance(secs(4)).await;
        assert!(once(secs(9)).await.is_pending(), "later");
        time::advance(secs(2)).await;
        assert!(once(secs(3)).await.is_pending(), "sooner: three seconds by its clock, which stands still");
        time::advance(secs(3)).await;
        assert!(once(secs(3)).await.is_ready());
        assert!(start.elapsed() >= secs(9));
    }
}
