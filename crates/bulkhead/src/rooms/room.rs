//! The places of one key, and the lines before them: a plain type.

use std::{sync::Arc, task::Waker};

use super::{
    line::{Line, Seat},
    table::Capacity,
};
use crate::{Priority, limit::sealed::Limit};

/// The places of one key.
///
/// Whoever waits does so because there is no place for its priority: each change that frees one is followed by
/// [`grant`](Self::grant), under the same lock.
#[derive(Debug)]
pub(super) struct Room<L> {
    pub(super) limit: L,
    taken: u32,
    /// Those of them that have had the head of their response, as far as the limit wants to know.
    answered: u32,
    /// The most important first.
    lines: [Line; 3],
}

/// What becomes of one who comes.
#[derive(Debug)]
pub(super) enum Entry {
    Taken,
    /// It waits, in the place of another whom to wake if there is one.
    Queued(Arc<Seat>, Option<Waker>),
    Full,
}

fn index(priority: Priority) -> usize {
    match priority {
        Priority::High | Priority::Exempt => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

impl<L: Limit> Room<L> {
    pub(super) fn new(limit: L) -> Self {
        Self { limit, taken: 0, answered: 0, lines: Default::default() }
    }

    pub(super) fn taken(&self) -> u32 {
        self.taken
    }

    pub(super) fn waiting(&self) -> usize {
        self.lines.iter().map(Line::waiting).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0 && self.waiting() == 0
    }

    /// How many places those of the line at `index` may fill.
    fn places(&self, index: usize, capacity: &Capacity) -> u32 {
        let limit = self.limit.current();
        if index == 0 { limit } else { limit.saturating_sub(capacity.reserved).max(1) }
    }

    /// Whether there is a place for one who comes.
    pub(super) fn has_place(&self, priority: Priority, capacity: &Capacity) -> bool {
        self.taken < self.places(index(priority), capacity)
    }

    /// One comes.
    pub(super) fn enter(&mut self, priority: Priority, capacity: &Capacity) -> Entry {
        let own = index(priority);
        if self.has_place(priority, capacity) {
            self.taken += 1;
            return Entry::Taken;
        }
        if capacity.queue == 0 {
            return Entry::Full;
        }
        if self.waiting() < capacity.queue {
            return Entry::Queued(self.lines[own].join(), None);
        }
        // The last of the least important makes room for one who is more important.
        let less_important = self.lines[own + 1..].iter_mut().rev();
        match { less_important }.find_map(Line::shed) {
            Some(waker) => Entry::Queued(self.lines[own].join(), waker),
            None => Entry::Full,
        }
    }

    /// One who has a place has had the head of its response.
    pub(super) fn answer(&mut self) {
        self.answered = self.answered.saturating_add(1);
        self.limit.hold(self.answered);
    }

    /// One who had a place goes; whether it had been answered.
    pub(super) fn leave(&mut self, was_answered: bool) {
        self.taken = self.taken.saturating_sub(1);
        if was_answered {
            self.answered = self.answered.saturating_sub(1);
            self.limit.hold(self.answered);
        }
    }

    /// One who waits gives up. Whether it had got a place meanwhile, which it still has.
    pub(super) fn give_up(&mut self, priority: Priority, seat: &Seat) -> bool {
        self.lines[index(priority)].leave(seat)
    }

    /// Gives a place that is free to the one who is next; `None` when there is no place or nobody waits for one.
    pub(super) fn grant(&mut self, capacity: &Capacity) -> Option<Option<Waker>> {
        for index in 0..self.lines.len() {
            if self.taken >= self.places(index, capacity) {
                continue;
            }
            if let Some(waker) = self.lines[index].grant() {
                self.taken += 1;
                return Some(waker);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        task::{Context, Poll},
    };

    use proptest::prelude::*;

    use super::*;
    use crate::limit::Fixed;

    const PRIORITIES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

    fn capacity(queue: usize, reserved: u32) -> Capacity {
        Capacity { queue, reserved, max_keys: 1 }
    }

    fn poll(seat: &Seat) -> Poll<bool> {
        seat.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn queued(entry: Entry) -> Arc<Seat> {
        match entry {
            Entry::Queued(seat, _) => seat,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn those_who_wait_are_served_by_priority_and_then_in_their_order() {
        let capacity = capacity(10, 0);
        let mut room = Room::new(Fixed(1));
        assert!(matches!(room.enter(Priority::Normal, &capacity), Entry::Taken));
        let order = [Priority::Low, Priority::Normal, Priority::High, Priority::Normal, Priority::High];
        let seats = order.map(|priority| queued(room.enter(priority, &capacity)));
        for next in [2, 4, 1, 3, 0] {
            assert!(poll(&seats[next]).is_pending());
            room.leave(false);
            assert!(room.grant(&capacity).is_some());
            assert_eq!(poll(&seats[next]), Poll::Ready(true), "{next}");
            assert!(room.grant(&capacity).is_none());
        }
        room.leave(false);
        assert!(room.is_empty());
    }

    #[test]
    fn a_full_queue_sheds_the_last_of_the_least_important() {
        let capacity = capacity(3, 0);
        let mut room = Room::new(Fixed(1));
        assert!(matches!(room.enter(Priority::Low, &capacity), Entry::Taken));
        let low = [0, 1].map(|_| queued(room.enter(Priority::Low, &capacity)));
        let normal = queued(room.enter(Priority::Normal, &capacity));
        assert!(matches!(room.enter(Priority::Low, &capacity), Entry::Full), "nobody is less important");
        let high = [0, 1, 2].map(|_| queued(room.enter(Priority::High, &capacity)));
        assert_eq!([&low[1], &low[0], &normal].map(|seat| poll(seat)), [Poll::Ready(false); 3]);
        assert!(matches!(room.enter(Priority::High, &capacity), Entry::Full));
        assert!(high.iter().all(|seat| poll(seat).is_pending()));
        assert_eq!(room.waiting(), 3);
    }

    #[test]
    fn reserved_places_are_for_the_most_important() {
        let capacity = capacity(2, 1);
        let mut room = Room::new(Fixed(3));
        let taken = |entry| matches!(entry, Entry::Taken);
        assert!(taken(room.enter(Priority::Normal, &capacity)));
        assert!(taken(room.enter(Priority::Low, &capacity)));
        let normal = queued(room.enter(Priority::Normal, &capacity));
        assert!(taken(room.enter(Priority::High, &capacity)), "past one who waits for another place");
        room.leave(false);
        assert!(room.grant(&capacity).is_none(), "two are taken, and the third is reserved");
        room.leave(false);
        assert!(room.grant(&capacity).is_some());
        assert_eq!(poll(&normal), Poll::Ready(true));
    }

    #[test]
    fn those_who_give_up_are_cleared_away() {
        let capacity = capacity(1_000_000, 0);
        let mut room = Room::new(Fixed(1));
        assert!(matches!(room.enter(Priority::Normal, &capacity), Entry::Taken));
        let stays = queued(room.enter(Priority::Normal, &capacity));
        for _ in 0..10_000 {
            let seat = queued(room.enter(Priority::Normal, &capacity));
            assert!(!room.give_up(Priority::Normal, &seat));
            assert!(!room.give_up(Priority::Normal, &seat), "once is enough");
            assert!(room.lines[1].len() < 16);
        }
        assert_eq!((room.waiting(), poll(&stays)), (1, Poll::Pending));
    }

    /// One step of a random schedule. Indexes are taken modulo what there is.
    #[derive(Clone, Debug)]
    enum Step {
        Enter(usize),
        Leave,
        GiveUp(usize),
        Limit(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..3_usize).prop_map(Step::Enter),
            3 => Just(Step::Leave),
            2 => any::<usize>().prop_map(Step::GiveUp),
            1 => (1..6_u32).prop_map(Step::Limit),
        ]
    }

    proptest! {
        /// Against a model that is obviously right: places are conserved, nobody who could have a place waits, and
        /// each priority is served in the order in which it came.
        #[test]
        fn lay_01_places_are_conserved_and_nobody_is_forgotten(
            steps in prop::collection::vec(step(), 1..300),
            queue in 0..6_usize,
            reserved in 0..3_u32,
        ) {
            let capacity = capacity(queue, reserved);
            let mut room = Room::new(Fixed(3));
            let mut held = 0_u32;
            let mut waiting: [VecDeque<Arc<Seat>>; 3] = Default::default();
            for step in steps {
                match step {
                    Step::Enter(line) => {
                        let total: usize = waiting.iter().map(VecDeque::len).sum();
                        match room.enter(PRIORITIES[line], &capacity) {
                            Entry::Taken => {
                                prop_assert!(waiting[..=line].iter().all(VecDeque::is_empty), "overtaken");
                                held += 1;
                            }
                            Entry::Queued(seat, _) => {
                                if total == queue {
                                    let shed = (line + 1..3).rev().find(|line| !waiting[*line].is_empty());
                                    let shed = waiting[shed.expect("someone less important")].pop_back();
                                    prop_assert_eq!(poll(&shed.unwrap()), Poll::Ready(false));
                                }
                                waiting[line].push_back(seat);
                            }
                            Entry::Full => {
                                prop_assert_eq!(total, queue);
                                prop_assert!(waiting[line + 1..].iter().all(VecDeque::is_empty));
                            }
                        }
                    }
                    Step::Leave if held > 0 => {
                        room.leave(false);
                        held -= 1;
                    }
                    Step::Leave => {}
                    Step::GiveUp(pick) => {
                        let all: Vec<_> = (0..3)
                            .flat_map(|line| (0..waiting[line].len()).map(move |at| (line, at)))
                            .collect();
                        if let Some((line, at)) = all.get(pick % all.len().max(1)) {
                            let seat = waiting[*line].remove(*at).unwrap();
                            prop_assert!(!room.give_up(PRIORITIES[*line], &seat));
                        }
                    }
                    Step::Limit(limit) => room.limit = Fixed(limit),
                }
                while room.grant(&capacity).is_some() {
                    let granted = (0..3).find(|line| waiting[*line].front().is_some_and(|seat| poll(seat).is_ready()));
                    let granted = granted.expect("the first of a line has it");
                    prop_assert!(waiting[..granted].iter().all(VecDeque::is_empty), "by priority");
                    waiting[granted].pop_front();
                    held += 1;
                }
                prop_assert_eq!(room.taken(), held);
                prop_assert_eq!(room.waiting(), waiting.iter().map(VecDeque::len).sum::<usize>());
                prop_assert!(room.waiting() <= queue);
                for (line, seats) in waiting.iter().enumerate() {
                    prop_assert!(seats.is_empty() || held >= room.places(line, &capacity), "it could have a place");
                    prop_assert!(seats.iter().all(|seat| poll(seat).is_pending()));
                }
            }
        }
    }
}
