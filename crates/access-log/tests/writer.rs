//! What happens when lines come faster than they are written, or are not written at all.

mod support;

use std::{
    convert::Infallible,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use bartizan_access_log::{AccessLog, AccessLogLayer, LogHandle};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use support::{Gated, LONG, Log, Memory, call, get, poll};
use tower::{Layer, Service, service_fn};

/// A service that answers with the status in the path.
fn answering(
    layer: &AccessLogLayer,
) -> AccessLog<
    impl Service<Request<()>, Response = Response<Empty<Bytes>>, Error = Infallible, Future: Unpin> + use<>,
> {
    layer.layer(service_fn(|request: Request<()>| {
        let status = StatusCode::from_bytes(&request.uri().path().as_bytes()[1..]).unwrap();
        let mut response = Response::new(Empty::new());
        *response.status_mut() = status;
        std::future::ready(Ok(response))
    }))
}

/// One request from beginning to end; it never waits for anything.
fn request<S>(service: &mut S, path: &str)
where
    S: Service<Request<()>, Future: Unpin>,
{
    assert!(poll(&mut call(service, get(path))).is_ready(), "a request waits for nothing");
}

#[test]
fn a_writer_that_is_stuck_holds_up_no_request_and_successes_are_dropped_first() {
    let writer = Gated::default();
    let layer = AccessLogLayer::json(writer.clone()).with_buffer(AccessLogLayer::MIN_BUFFER).unwrap();
    let (mut service, handle) = (answering(&layer), layer.handle());
    request(&mut service, "/200");
    writer.wait_until_stuck();

    let mut kept = 1;
    while handle.dropped() == 0 {
        request(&mut service, "/200");
        kept += 1;
    }
    kept -= 1;
    let mut failures = 0;
    while handle.dropped() == 1 {
        request(&mut service, "/500");
        failures += 1;
    }
    failures -= 1;
    assert!(failures > kept / 5, "a quarter of the buffer is kept for failures: {failures} of {kept}");
    request(&mut service, "/200");
    request(&mut service, "/503");
    assert_eq!(handle.dropped(), 4);
    assert_eq!(handle.flush(Duration::ZERO).unwrap_err().pending(), kept + failures + 1);

    writer.open();
    handle.flush(LONG).unwrap();
    let lines = writer.memory.lines();
    let count = |status: u16| lines.iter().filter(|line| line["http.response.status_code"] == status).count();
    assert_eq!((count(200) as u64, count(500) as u64, count(503)), (kept, failures, 0));
    let told: Vec<_> = lines.iter().filter_map(|line| line["access_log.dropped"].as_u64()).collect();
    assert_eq!(told, [4], "the log itself tells what it lacks");

    request(&mut service, "/200");
    handle.flush(LONG).unwrap();
    let lines = writer.memory.lines();
    assert_eq!(lines.len() as u64, kept + failures + 2, "and goes on as before");
    assert_eq!(handle.dropped(), 4);
}

#[test]
fn the_buffer_is_bounded_by_bytes_also_while_a_batch_is_being_written() {
    let writer = Gated::default();
    let layer = AccessLogLayer::json(writer.clone()).with_buffer(AccessLogLayer::MIN_BUFFER).unwrap();
    let (mut service, handle) = (answering(&layer), layer.handle());
    for _ in 0..10_000 {
        request(&mut service, "/500");
    }
    writer.open();
    handle.flush(LONG).unwrap();
    assert!(writer.memory.text().len() <= AccessLogLayer::MIN_BUFFER + 256, "what was kept, and the notice");
    let dropped = handle.dropped();
    let lines = writer.memory.lines().iter().filter(|line| line["access_log.dropped"].is_null()).count();
    assert_eq!(lines as u64 + dropped, 10_000, "each line is written or counted");
}

/// Fails as it is told, call by call; then writes.
struct Failing {
    calls: AtomicUsize,
    memory: Memory,
    how: fn(usize, &[u8]) -> Option<io::Result<usize>>,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match (self.how)(self.calls.fetch_add(1, Ordering::Relaxed), bytes) {
            None => self.memory.write(bytes),
            Some(Ok(taken)) => self.memory.write(&bytes[..taken]),
            Some(Err(error)) => Err(error),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failing(how: fn(usize, &[u8]) -> Option<io::Result<usize>>) -> (AccessLogLayer, Memory, LogHandle) {
    let memory = Memory::default();
    let layer = AccessLogLayer::json(Failing { calls: AtomicUsize::new(0), memory: memory.clone(), how });
    let handle = layer.handle();
    (layer, memory, handle)
}

#[test]
fn a_writer_that_fails_costs_its_lines_alone_and_they_are_counted() {
    type How = fn(usize, &[u8]) -> Option<io::Result<usize>>;
    let ways: [How; 3] = [
        |call, _| (call == 0).then(|| Err(io::Error::other("disk full"))),
        |call, _| (call == 0).then_some(Ok(0)),
        |call, _| {
            assert_ne!(call, 0, "the writer panics");
            None
        },
    ];
    for how in ways {
        let (layer, memory, handle) = failing(how);
        let mut service = answering(&layer);
        request(&mut service, "/200");
        handle.flush(LONG).unwrap();
        assert_eq!((handle.dropped(), memory.lines().len()), (1, 0));
        request(&mut service, "/404");
        handle.flush(LONG).unwrap();
        let lines = memory.lines();
        assert_eq!(lines[0]["http.response.status_code"], 404);
        assert_eq!(lines[1]["access_log.dropped"], 1);
        assert_eq!(lines.len(), 2);
    }
}

#[test]
fn a_writer_that_takes_little_at_a_time_or_would_block_gets_it_all() {
    let (layer, memory, handle) = failing(|call, bytes| match call % 3 {
        0 => Some(Ok(bytes.len().min(10))),
        1 => Some(Err(io::ErrorKind::Interrupted.into())),
        _ if call < 10 => Some(Err(io::ErrorKind::WouldBlock.into())),
        _ => None,
    });
    let mut service = answering(&layer);
    for _ in 0..10 {
        request(&mut service, "/200");
    }
    handle.flush(LONG).unwrap();
    assert_eq!((memory.lines().len(), handle.dropped()), (10, 0));
}

/// A disk that may be full, for those who write when they are flushed.
#[derive(Clone, Default)]
struct Disk {
    memory: Memory,
    full: Arc<AtomicBool>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.memory.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn log_03_lines_that_cannot_be_flushed_count_as_dropped_and_who_flushes_is_told() {
    let disk = Disk::default();
    let layer = AccessLogLayer::json(io::BufWriter::new(disk.clone()));
    let (mut service, handle) = (answering(&layer), layer.handle());
    request(&mut service, "/200");
    handle.flush(LONG).unwrap();
    assert_eq!((handle.dropped(), disk.memory.lines().len()), (0, 1));

    disk.full.store(true, Ordering::Relaxed);
    for lost in 1..=3 {
        request(&mut service, "/404");
        let error = handle.flush(LONG).unwrap_err();
        assert_eq!((error.pending(), error.lost()), (0, Some(lost)));
        assert!(error.to_string().contains("could not be flushed"), "{error}");
        assert_eq!(handle.dropped(), lost, "each is counted once");
    }
    assert_eq!(handle.flush(LONG).unwrap_err().lost(), Some(3), "asked again, it is still full");
    assert_eq!((handle.dropped(), disk.memory.lines().len()), (3, 1));

    disk.full.store(false, Ordering::Relaxed);
    handle.flush(LONG).unwrap();
    assert_eq!(handle.flush(LONG), Ok(()), "nothing is left to be done");
    request(&mut service, "/200");
    handle.flush(LONG).unwrap();
    let lines = disk.memory.lines();
    let count = |status: u16| lines.iter().filter(|line| line["http.response.status_code"] == status).count();
    assert_eq!((count(200), count(404)), (2, 3), "a buffer keeps what it could not write");
    let told: u64 = lines.iter().filter_map(|line| line["access_log.dropped"].as_u64()).max().unwrap();
    assert_eq!((told, handle.dropped()), (3, 3), "the log tells what it may lack");
}

#[test]
fn log_03_a_writer_that_loses_what_it_took_when_it_is_flushed_is_found_out() {
    /// Fails in nothing but its first flushes.
    struct Forgetful(Memory, Vec<u8>, Vec<fn() -> io::Result<()>>);
    impl Write for Forgetful {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            let taken = std::mem::take(&mut self.1);
            match self.2.pop() {
                Some(fail) => fail(),
                None => self.0.write_all(&taken),
            }
        }
    }
    let ways: [fn() -> io::Result<()>; 2] =
        [|| Err(io::Error::other("disk full")), || panic!("the writer panics")];
    for way in ways {
        let memory = Memory::default();
        let layer = AccessLogLayer::json(Forgetful(memory.clone(), Vec::new(), vec![way]));
        let (mut service, handle) = (answering(&layer), layer.handle());
        request(&mut service, "/200");
        // Whether it is the first flush or the one that is asked for after it, the line is gone, and counted. If the first
        // was over by then, the second has told of it already.
        let _ = handle.flush(LONG);
        assert_eq!(handle.dropped(), 1);
        request(&mut service, "/404");
        handle.flush(LONG).unwrap();
        let lines = memory.lines();
        let told: Vec<_> = lines.iter().filter_map(|line| line["access_log.dropped"].as_u64()).collect();
        let seen: Vec<_> =
            lines.iter().filter_map(|line| line["http.response.status_code"].as_u64()).collect();
        assert_eq!((lines.len(), told, seen), (2, vec![1], vec![404]));
    }
}

#[test]
fn a_flush_that_is_interrupted_or_would_block_is_tried_again() {
    struct Busy(Memory, usize);
    impl Write for Busy {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.1 += 1;
            match self.1 % 3 {
                1 => Err(io::ErrorKind::Interrupted.into()),
                2 => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        }
    }
    let memory = Memory::default();
    let layer = AccessLogLayer::json(Busy(memory.clone(), 0));
    request(&mut answering(&layer), "/200");
    layer.handle().flush(LONG).unwrap();
    assert_eq!((memory.lines().len(), layer.handle().dropped()), (1, 0));
}

#[test]
fn log_01_a_torn_line_does_not_swallow_the_next() {
    let (layer, memory, handle) = failing(|call, _| match call {
        0 => Some(Ok(10)),
        1 => Some(Err(io::Error::other("disk full"))),
        _ => None,
    });
    let mut service = answering(&layer);
    request(&mut service, "/200");
    handle.flush(LONG).unwrap();
    assert_eq!(handle.dropped(), 1);
    request(&mut service, "/404");
    handle.flush(LONG).unwrap();
    let text = memory.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0].len(), 10, "what the writer took of the first");
    assert!(lines[1].contains("404") && lines[1].starts_with('{') && lines[1].ends_with('}'), "{text}");
}

/// Tells by its end that it was dropped, and on which thread it was used.
struct Watched(mpsc::Sender<Option<String>>);

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(thread::current().name().map(str::to_owned));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_writers_thread_starts_with_the_first_line_and_stops_with_the_last_handle() {
    let (sender, receiver) = mpsc::channel();
    let layer = AccessLogLayer::json(Watched(sender));
    let (mut service, handle) = (answering(&layer), layer.handle());
    let none = handle.flush(Duration::ZERO);
    assert_eq!(none, Ok(()), "nothing to flush, and nobody to do it");
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
    request(&mut service, "/200");
    assert_eq!(receiver.recv_timeout(LONG).unwrap().as_deref(), Some("bartizan-access-log"));

    drop(layer);
    drop(service);
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty), "the handle is left");
    drop(handle);
    assert_eq!(receiver.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));

    let (sender, receiver) = mpsc::channel();
    drop(AccessLogLayer::json(Watched(sender)));
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected), "never used, dropped at once");
}

#[test]
fn the_last_handle_leaves_no_line_behind() {
    let writer = Gated::default();
    let layer = AccessLogLayer::json(writer.clone());
    let mut service = answering(&layer);
    for _ in 0..100 {
        request(&mut service, "/200");
    }
    let (sender, receiver) = mpsc::channel::<()>();
    struct Both(Gated, #[expect(dead_code, reason = "for its end")] mpsc::Sender<()>);
    impl Write for Both {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let second = AccessLogLayer::json(Both(writer.clone(), sender));
    let mut other = answering(&second);
    request(&mut other, "/201");
    drop((second, other));
    writer.open();
    assert_eq!(receiver.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
    assert!(writer.memory.lines().iter().any(|line| line["http.response.status_code"] == 201));
}

#[test]
fn a_guard_in_main_loses_no_line() {
    let memory = Memory::default();
    let threads = 4;
    {
        let layer = AccessLogLayer::json(memory.clone());
        let _guard = layer.guard().with_timeout(LONG);
        thread::scope(|scope| {
            for _ in 0..threads {
                let mut service = answering(&layer);
                scope.spawn(move || (0..500).for_each(|_| request(&mut service, "/200")));
            }
        });
    }
    assert_eq!(memory.lines().len(), threads * 500);
}

#[test]
fn a_guard_does_not_wait_for_ever() {
    let writer = Gated::default();
    let layer = AccessLogLayer::json(writer.clone());
    let guard = layer.guard().with_timeout(Duration::from_millis(1));
    request(&mut answering(&layer), "/200");
    drop(guard);
    writer.open();
    layer.handle().flush(LONG).unwrap();
    assert_eq!(writer.memory.lines().len(), 1);
}

#[test]
fn services_and_settings_of_one_layer_write_to_one_log() {
    let log = Log::new();
    let other = log.layer.clone().with_path();
    request(&mut answering(&log.layer), "/200");
    request(&mut answering(&log.layer), "/201");
    request(&mut answering(&other), "/202");
    let paths: Vec<_> = log.lines().iter().map(|line| line["url.path"].clone()).collect();
    assert_eq!(paths, [serde_json::Value::Null, serde_json::Value::Null, "/202".into()]);
}

#[cfg(feature = "metrics")]
#[test]
fn dropped_lines_are_counted_as_a_metric() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        let writer = Gated::default();
        let layer = AccessLogLayer::json(writer.clone()).with_buffer(AccessLogLayer::MIN_BUFFER).unwrap();
        let mut service = answering(&layer);
        while layer.handle().dropped() < 3 {
            request(&mut service, "/500");
        }
        writer.open();
    });
    let metrics = recorder.snapshotter().snapshot().into_vec();
    let [(key, _, Some(_), value)] = &metrics[..] else { panic!("{metrics:?}") };
    assert_eq!(key.key().name(), bartizan_access_log::DROPPED);
    assert_eq!(*value, DebugValue::Counter(3));
}

#[test]
fn handles_of_a_log_may_cross_threads() {
    fn check<T: Send + Sync + Clone>(_: &T) {}
    let layer = AccessLogLayer::json(io::sink());
    check(&layer);
    check(&layer.handle());
    check(&answering_arc(&layer));
}

fn answering_arc(layer: &AccessLogLayer) -> AccessLog<Arc<()>> {
    layer.layer(Arc::new(()))
}
