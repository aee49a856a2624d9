//! Who is told of changes of state, in the order in which they came.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use crate::Transition;

/// A change of state of a breaker of a layer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransitionEvent {
    /// The name of the layer.
    pub name: Arc<str>,
    /// The key of the breaker; `*` for the one that requests without a key share.
    pub key: Arc<str>,
    /// What changed.
    pub transition: Transition,
}

/// The changes of state of the breakers of a layer, as they come; made by
/// [`CircuitBreakerHandle::subscribe`](crate::CircuitBreakerHandle::subscribe).
///
/// It needs no particular runtime. Those of one breaker come in their order.
pub struct Transitions(Arc<Mutex<Inbox>>);

struct Inbox {
    events: VecDeque<TransitionEvent>,
    capacity: usize,
    missed: u64,
    /// The layer and its services are gone: nothing more will come.
    closed: bool,
    waker: Option<Waker>,
}

impl Transitions {
    /// The next change; `None` once the layer and all its services are gone.
    pub async fn next(&mut self) -> Option<TransitionEvent> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next change, if it is there already.
    pub fn try_next(&mut self) -> Option<TransitionEvent> {
        self.0.lock().events.pop_front()
    }

    /// [`next`](Self::next) for those who poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<TransitionEvent>> {
        let mut inbox = self.0.lock();
        match inbox.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if inbox.closed => Poll::Ready(None),
            None => {
                inbox.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// How many changes were lost because they were not taken in time: the oldest give way to new ones.
    pub fn missed(&self) -> u64 {
        self.0.lock().missed
    }
}

impl fmt::Debug for Transitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transitions").field("waiting", &self.0.lock().events.len()).finish_non_exhaustive()
    }
}

/// All that subscribed.
#[derive(Default)]
pub(crate) struct Subscribers(Mutex<Vec<Weak<Mutex<Inbox>>>>);

impl Subscribers {
    pub(crate) fn subscribe(&self, capacity: usize) -> Transitions {
        let inbox = Inbox { events: VecDeque::new(), capacity, missed: 0, closed: false, waker: None };
        let inbox = Arc::new(Mutex::new(inbox));
        let mut all = self.0.lock();
        // Where nothing ever changes nobody else forgets those who are gone.
        all.retain(|inbox| inbox.strong_count() > 0);
        all.push(Arc::downgrade(&inbox));
        drop(all);
        Transitions(inbox)
    }

    pub(crate) fn tell(&self, event: &TransitionEvent) {
        self.each(|inbox| {
            if inbox.events.len() >= inbox.capacity {
                inbox.events.pop_front();
                inbox.missed += 1;
            }
            inbox.events.push_back(event.clone());
        });
    }

    /// Changes each inbox and wakes who waits at it. Those whose reader is gone are forgotten.
    fn each(&self, change: impl Fn(&mut Inbox)) {
        let mut wakers = Vec::new();
        self.0.lock().retain(|inbox| {
            let Some(inbox) = inbox.upgrade() else { return false };
            let mut inbox = inbox.lock();
            change(&mut inbox);
            wakers.extend(inbox.waker.take());
            true
        });
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        self.each(|inbox| inbox.closed = true);
    }
}

/// Brings the changes of one breaker, which threads tell of in any order, into their own.
#[derive(Default)]
pub(crate) struct InOrder(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    told: u64,
    waiting: Vec<Transition>,
    /// Somebody is telling. What comes meanwhile, from a listener that changes the breaker say, is told by that one.
    busy: bool,
}

impl InOrder {
    /// Hands `transition`, and what was waiting for it, to `tell`. No lock is held meanwhile.
    pub(crate) fn tell(&self, transition: Transition, tell: impl Fn(Transition)) {
        {
            let mut queue = self.0.lock();
            queue.waiting.push(transition);
            if std::mem::replace(&mut queue.busy, true) {
                return;
            }
        }
        while let Some(next) = self.next() {
            // Called from `Drop` too, where a listener's panic would end the process.
            let _ = catch_unwind(AssertUnwindSafe(|| tell(next)));
        }
    }

    fn next(&self) -> Option<Transition> {
        let mut queue = self.0.lock();
        let next = queue.told + 1;
        let Some(at) = queue.waiting.iter().position(|waiting| waiting.number == next) else {
            queue.busy = false;
            return None;
        };
        queue.told = next;
        Some(queue.waiting.swap_remove(at))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use bartizan_core::Clock;

    use super::*;
    use crate::{Cause, State};

    fn change(number: u64) -> Transition {
        let at = Clock::system().now();
        Transition { from: State::Closed, to: State::Open, cause: Cause::Forced, at, number }
    }

    #[test]
    fn cb_09_changes_are_told_in_their_order_and_once() {
        let (order, told) = (InOrder::default(), RefCell::new(Vec::new()));
        let tell = |number| order.tell(change(number), |change| told.borrow_mut().push(change.number));
        tell(2);
        tell(3);
        assert!(told.borrow().is_empty(), "the first is on its way");
        tell(1);
        tell(4);
        assert_eq!(*told.borrow(), [1, 2, 3, 4]);
    }

    #[test]
    fn a_listener_may_change_the_breaker_and_may_panic() {
        let (order, told) = (InOrder::default(), RefCell::new(Vec::new()));
        let tell = |change: Transition| told.borrow_mut().push(change.number);
        order.tell(change(1), |first| {
            tell(first);
            if first.number == 1 {
                order.tell(change(2), |_| unreachable!("told by the one that is telling"));
                panic!("on purpose");
            }
        });
        order.tell(change(3), tell);
        assert_eq!(*told.borrow(), [1, 2, 3]);
    }

    #[test]
    fn an_inbox_is_bounded_and_says_what_it_lost() {
        let subscribers = Subscribers::default();
        let mut transitions = subscribers.subscribe(2);
        for number in 1..=5 {
            let (name, key) = ("a".into(), "b".into());
            subscribers.tell(&TransitionEvent { name, key, transition: change(number) });
        }
        assert_eq!(transitions.missed(), 3);
        let mut next = || transitions.try_next().map(|event| event.transition.number);
        assert_eq!([next(), next(), next()], [Some(4), Some(5), None]);
        drop(transitions);
        let kept = subscribers.subscribe(1);
        subscribers.tell(&TransitionEvent { name: "a".into(), key: "b".into(), transition: change(6) });
        assert_eq!(subscribers.0.lock().len(), 1, "who does not read any more is forgotten");
        drop(kept);
    }

    #[test]
    fn who_does_not_read_any_more_is_forgotten_although_nothing_changes() {
        let subscribers = Subscribers::default();
        let kept = subscribers.subscribe(1);
        for _ in 0..100 {
            drop(subscribers.subscribe(1));
        }
        assert_eq!(subscribers.0.lock().len(), 2, "the one that is kept, and the last");
        drop(kept);
    }

    #[tokio::test]
    async fn a_reader_waits_and_ends_with_the_layer() {
        let subscribers = Subscribers::default();
        let mut transitions = subscribers.subscribe(2);
        let reader =
            tokio::spawn(
                async move { (transitions.next().await.is_some(), transitions.next().await.is_none()) },
            );
        tokio::task::yield_now().await;
        subscribers.tell(&TransitionEvent { name: "a".into(), key: "b".into(), transition: change(1) });
        tokio::task::yield_now().await;
        drop(subscribers);
        assert_eq!(reader.await.unwrap(), (true, true));
    }
}
