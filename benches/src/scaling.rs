//! Whether two threads do more than one.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use tower_layer::Layer as _;

use crate::{Arm, Bare, Body, prepared::BATCH, rows::jwt};

/// How many requests with a token seen before all of these threads together answer in a second, through one layer. Each
/// sends the same token: the worst case, for all look at one entry of the cache.
///
/// # Panics
///
/// When a thread does.
pub fn requests_per_second(arm: Arm, threads: usize, batches: usize) -> f64 {
    let issuer = jwt::Issuer::new();
    let (layer, barrier) = (jwt::layer(issuer.keys()), Arc::new(Barrier::new(threads)));
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (layer, barrier, request) = (layer.clone(), Arc::clone(&barrier), issuer.request());
            thread::spawn(move || {
                let stack = |bare: Bare<Body>| layer.layer(bare);
                let mut prepared = arm.prepare(request, http::StatusCode::OK, stack).warm();
                barrier.wait();
                time_of(|| (0..batches).for_each(|_| prepared.run()))
            })
        })
        .collect();
    let times = workers.into_iter().map(|worker| worker.join().expect("no worker panics"));
    times.map(|time| (batches * BATCH) as f64 / time.as_secs_f64()).sum()
}

#[expect(clippy::disallowed_methods, reason = "this measures time")]
fn time_of(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
