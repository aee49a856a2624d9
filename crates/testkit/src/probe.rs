//! Polling by hand, with every wake counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Polls by hand and counts how often it is woken.
#[derive(Debug)]
pub struct Probe {
    wakes: Arc<Wakes>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Probe {
    /// Not woken yet.
    pub fn new() -> Self {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        Self { wakes, waker }
    }

    /// Polls once. The count of wakes starts anew.
    pub fn poll<T>(&self, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        self.wakes.0.store(0, Ordering::SeqCst);
        poll(&mut Context::from_waker(&self.waker))
    }

    /// How often the last poll's waker was woken, while it ran or since.
    pub fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }

    /// Polls until it is ready, or waits for something that only the test or time can bring.
    ///
    /// Tasks that the layer spawned run in between.
    ///
    /// # Errors
    ///
    /// [`Spinning`] when each of many polls is woken at once: what is polled wakes itself in a loop.
    pub async fn settle<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<Poll<T>, Spinning> {
        for _ in 0..Self::MANY {
            let polled = self.poll(&mut poll);
            if polled.is_ready() {
                return Ok(polled);
            }
            if self.wakes() > 0 {
                continue;
            }
            Self::run_others().await;
            if self.wakes() == 0 {
                return Ok(Poll::Pending);
            }
        }
        Err(Spinning)
    }

    /// Far more polls than a layer needs to hand a request on.
    const MANY: usize = 64;

    /// Lets tasks run that the layer has spawned.
    pub(crate) async fn run_others() {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

/// What was polled wakes itself in a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spinning;

impl std::fmt::Display for Spinning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("woken by its own poll, again and again")
    }
}

impl std::error::Error for Spinning {}
