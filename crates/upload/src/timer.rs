//! How long a part is waited for.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// Runs while the sender is waited for, and stands still while the reader is.
#[derive(Debug)]
pub(crate) struct Timer {
    most: Duration,
    left: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Timer {
    pub(crate) fn new(most: Duration) -> Self {
        Self { most, left: most, waiting: None }
    }

    /// The next part has all the time again.
    pub(crate) fn restart(&mut self) {
        self.left = self.most;
        self.waiting = None;
    }

    /// The sender is waited for; ready when that has taken too long.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.left;
        let (_, sleep) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        sleep.as_mut().poll(cx)
    }

    /// Something came.
    pub(crate) fn pause(&mut self) {
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
    }
}
