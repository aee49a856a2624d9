//! How much, and how long.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bartizan_testkit::TestBody;
use bartizan_upload::UploadLimits;
use bytes::Bytes;
use http_body::Frame;

use crate::support::{PNG, file, form, layer, part, post, send, upload};

fn limits() -> UploadLimits {
    UploadLimits::new()
}

#[tokio::test]
async fn upl_02_each_limit_ends_the_form() {
    let parts: Vec<_> = (0..65).map(|_| part("a", "", b"")).collect();
    assert_eq!(upload(&layer(), &parts[..64]).await.status(), 200);
    assert_eq!(upload(&layer(), &parts).await.refusal(), (400, "multipart_limit".to_owned()));

    let long = part("a", &format!("\r\nX: {}", "x".repeat(8192)), b"");
    assert_eq!(upload(&layer(), &[long]).await.refusal(), (400, "multipart_limit".to_owned()));

    let field = part("a", "", &vec![b'x'; (64 << 10) + 1]);
    assert_eq!(upload(&layer(), &[field]).await.status(), 413);

    let small = layer().with_limits(limits().with_max_file(100).unwrap());
    let of = |size| file("a.png", "image/png", &[PNG, &vec![0; size - PNG.len()]].concat());
    assert_eq!(upload(&small, &[of(100)]).await.status(), 200);
    assert_eq!(upload(&small, &[of(101)]).await.status(), 413);

    let small = layer().with_limits(limits().with_max_total(300).unwrap());
    assert_eq!(upload(&small, &[of(50)]).await.status(), 200);
    assert_eq!(upload(&small, &[of(50), of(50)]).await.status(), 413);
}

#[tokio::test]
async fn err_11_a_form_that_says_it_is_too_long_is_not_read() {
    let small = layer().with_limits(limits().with_max_total(10).unwrap());
    let (sender, body) = TestBody::channel_with_hint(http_body::SizeHint::with_exact(11));
    let answer = send(&small, post(body)).await;
    assert_eq!((answer.status(), sender.polls()), (413, 0));
}

/// A file without an end, made as it is read.
struct Endless {
    head: Option<Bytes>,
    read: Arc<AtomicUsize>,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];
        let bytes = self.head.take().unwrap_or(Bytes::from_static(&ZEROS));
        self.read.fetch_add(bytes.len(), Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

#[test]
fn upl_02_a_file_without_an_end_costs_bounded_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let read = Arc::new(AtomicUsize::new(0));
    let head = file("a.png", "image/png", PNG);
    let head = Bytes::from(head[..head.len() - 2].to_vec());
    let body = TestBody::new(Endless { head: Some(head), read: Arc::clone(&read) });
    let layer = layer();
    let cost = allocation_counter::measure(|| {
        let answer = runtime.block_on(send(&layer, post(body)));
        assert_eq!(answer.status(), 413);
    });
    assert!((10 << 20..11 << 20).contains(&read.load(Ordering::Relaxed)));
    assert!(cost.bytes_max < 512 << 10, "{cost:?}");
}

#[tokio::test(start_paused = true)]
async fn upl_02_a_sender_is_waited_for_so_long_per_part() {
    let (sender, body) = TestBody::channel();
    let layer = layer().with_limits(limits().with_part_time(Duration::from_secs(10)).unwrap());
    let answer = tokio::spawn(async move { send(&layer, post(body)).await });
    // Each part has its own time.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        sender.data(part("a", "", b"x"));
    }
    assert!(!answer.is_finished());
    // Drops keep no one waiting longer.
    sender.data(b"--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n".to_vec());
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        sender.data(vec![b'x'; 100]);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(answer.is_finished());
    let answer = answer.await.unwrap();
    assert_eq!((answer.status(), answer.parts.len()), (408, 3));
    assert!(sender.is_dropped());
}

#[tokio::test(start_paused = true)]
async fn upl_02_time_that_the_handler_takes_does_not_count() {
    use bartizan_upload::{Upload, UploadBody};
    use http::{Request, Response};
    use tower::{Layer, ServiceExt, service_fn};

    let layer = layer().with_limits(limits().with_part_time(Duration::from_secs(10)).unwrap());
    let service = layer.layer(service_fn(async |request: Request<UploadBody<TestBody>>| {
        let mut upload = Upload::of(request).unwrap();
        let mut part = upload.next_part().await.unwrap().unwrap();
        while part.chunk().await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        Ok::<_, Infallible>(Response::new(TestBody::empty()))
    }));
    let (sender, body) = TestBody::channel();
    for piece in form(&[part("a", "", &[b'x'; 500])]).chunks(100) {
        sender.data(piece.to_vec());
    }
    sender.finish();
    assert_eq!(service.oneshot(post(body)).await.unwrap().status(), 200);
}
