//! A router behind a real server, and clients on loopback.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bartizan::access_log::AccessLogLayer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};

use crate::{Arm, rows::jwt, rows::whole_stack};

/// How many connections ask at a time, each for one thing after the other.
const CONNECTIONS: usize = 32;

/// The router of the rows of eight layers with tokens in HS256, served on a thread of its own for as long as the
/// program runs.
#[derive(Clone, Debug)]
pub struct Loopback {
    addr: SocketAddr,
    request: Arc<[u8]>,
}

impl Loopback {
    /// Starts the server. One process can have one of each arm.
    ///
    /// # Panics
    ///
    /// When there is no address to listen on.
    pub fn new(arm: Arm) -> Self {
        let secret = jwt::Secret::new();
        let authorization = secret.authorization();
        let token = authorization.to_str().expect("a token is visible ASCII");
        let request = format!(
            "GET /v1/orders/17 HTTP/1.1\r\nhost: api.example.com\r\naccept: application/json\r\n\
             user-agent: client/1.0\r\nauthorization: {token}\r\n\r\n"
        );
        let router = whole_stack::router(arm, secret.keys(), AccessLogLayer::json(io::sink()));
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("loopback has free ports");
        let addr = listener.local_addr().expect("it listens");
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        thread::spawn(move || runtime.block_on(async move { axum::serve(listener, service).await }));
        Self { addr, request: request.into_bytes().into() }
    }

    /// How many requests are answered in a second, asked for as long as `span`.
    ///
    /// # Panics
    ///
    /// When an answer is not 200.
    pub fn requests_per_second(&self, span: Duration) -> f64 {
        let (answered, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        runtime().block_on(async {
            let clients: Vec<_> = (0..CONNECTIONS)
                .map(|_| tokio::spawn(self.clone().ask(Arc::clone(&answered), Arc::clone(&over))))
                .collect();
            tokio::time::sleep(span).await;
            over.store(true, Ordering::Relaxed);
            for client in clients {
                client.await.expect("no client panics").expect("loopback does not fail");
            }
        });
        answered.load(Ordering::Relaxed) as f64 / span.as_secs_f64()
    }

    async fn ask(self, answered: Arc<AtomicU64>, over: Arc<AtomicBool>) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.addr).await?;
        stream.set_nodelay(true)?;
        let mut buffer = vec![0; 4096];
        while !over.load(Ordering::Relaxed) {
            stream.write_all(&self.request).await?;
            let mut length = 0;
            // The body is the last of an answer.
            while !buffer[..length].ends_with(b"{\"id\":1}") {
                let read = stream.read(&mut buffer[length..]).await?;
                assert!(read > 0, "answered in one piece: {}", String::from_utf8_lossy(&buffer[..length]));
                length += read;
            }
            assert!(buffer.starts_with(b"HTTP/1.1 200 "), "the stack lets the request pass");
            answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}
