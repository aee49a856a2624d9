//! The program: its flags, its listeners, its end.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

fn orders(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
    command.args(arguments).stdin(Stdio::null());
    command
}

#[track_caller]
fn assert_one_line(output: &Output, says: &str) {
    let line = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("orders: ") && line.contains(says), "{line}");
}

#[test]
fn a_bad_flag_is_one_clear_line() {
    assert_one_line(&orders(&["--lisen", "127.0.0.1:0"]).output().unwrap(), "--lisen");
    assert_one_line(&orders(&["--listen", "here"]).output().unwrap(), "here");
    assert_one_line(&orders(&["run"]).output().unwrap(), "run");
    assert_one_line(&orders(&["--supplier", "nowhere"]).output().unwrap(), "nowhere");
    assert_one_line(&orders(&["--redis", "nowhere"]).output().unwrap(), "nowhere");
    assert_one_line(&orders(&["--jwks", "http://127.0.0.1:1/keys"]).output().unwrap(), "jwks_url");
    assert_one_line(&orders(&["--issuer", "http://127.0.0.1:1"]).output().unwrap(), "issuer");
    assert_one_line(&orders(&["token"]).output().unwrap(), "the following required arguments");
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    assert_one_line(&orders(&["--listen", &addr]).output().unwrap(), &addr);
    assert_one_line(&orders(&["--listen", "127.0.0.1:0", "--admin", &addr]).output().unwrap(), "--admin");
}

#[test]
fn keys_are_printed_as_json() {
    let output = orders(&["keys"]).output().unwrap();
    assert!(output.status.success());
    let keys: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(keys[0]["scopes"], serde_json::json!(["orders:read", "orders:write"]));
    assert_eq!(keys[1]["scopes"], serde_json::json!(["orders:read"]));
    assert!(keys[0]["key"].is_string());
}

/// The program, listening on free ports.
struct Running {
    child: Child,
    api: SocketAddr,
    admin: SocketAddr,
    announced: String,
}

impl Running {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let mut child = orders(&["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut announced = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        while !announced.contains("/metrics\n") {
            assert_ne!(stderr.read_line(&mut announced).unwrap(), 0, "{announced}");
        }
        // What it says later must not block it.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        let mut addresses = announced.split("http://").skip(1).map(|rest| {
            let end =
                rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
            rest[..end].parse().unwrap()
        });
        let (api, admin) = (addresses.next().unwrap(), addresses.next().unwrap());
        Self { child, api, admin, announced }
    }

    fn get(addr: SocketAddr, path: &str) -> String {
        Self::get_with(addr, path, &format!("x-api-key: {}", orders::READER_KEY))
    }

    fn get_with(addr: SocketAddr, path: &str, credential: &str) -> String {
        let mut stream = TcpStream::connect(addr).unwrap();
        let head = "host: orders\r\nconnection: close";
        write!(stream, "GET {path} HTTP/1.1\r\n{head}\r\n{credential}\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    /// Asks it to stop; returns what it logged.
    fn stop(mut self, signal: &str) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let mut log = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "a stop is no failure");
        log
    }
}

/// A test that ends early, or has nothing to ask of the end, leaves no program behind.
impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already is none to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_announces_itself_serves_both_listeners_and_loses_no_line_when_stopped() {
    for signal in ["-TERM", "-INT"] {
        let service = Running::start();
        for said in ["anybody can sign them", "principal_limit", "curl -i", "x-api-key: orders_dev_writer_"] {
            assert!(service.announced.contains(said), "{}", service.announced);
        }
        for _ in 0..50 {
            assert!(Running::get(service.api, "/health").starts_with("HTTP/1.1 200"));
        }
        for path in ["/health/live", "/health/ready"] {
            assert!(Running::get(service.admin, path).starts_with("HTTP/1.1 200"));
        }
        let metrics = Running::get(service.admin, "/metrics");
        assert!(metrics.contains(r#"http_server_request_duration_seconds_bucket"#), "{metrics}");
        assert!(metrics.contains(r#"http_route="/health""#), "{metrics}");
        let log = service.stop(signal);
        assert_eq!(log.lines().count(), 50);
        assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    }
}

#[test]
fn it_brings_a_supplier_whose_lines_stand_in_the_same_log() {
    let service = Running::start();
    assert!(service.announced.contains("calls to the supplier") && service.announced.contains("propagate"));
    let reply = Running::get(service.api, "/v1/quotes/sku-1");
    assert!(
        reply.starts_with("HTTP/1.1 200") && reply.ends_with(r#"{"sku":"sku-1","priceCents":1299}"#),
        "{reply}"
    );
    let log = service.stop("-TERM");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [one, other] = &lines[..] else { panic!("two services, two lines: {log}") };
    assert_eq!((&one["request_id"], &one["trace_id"]), (&other["request_id"], &other["trace_id"]));
    assert_eq!(lines.iter().filter(|line| line["service.name"] == "supplier").count(), 1);
}

fn token(arguments: &[&str]) -> String {
    let output = orders(&["token", "--sub", "alice"]).args(arguments).output().unwrap();
    assert!(output.status.success());
    let line = String::from_utf8(output.stdout).unwrap();
    format!("authorization: Bearer {}", line.trim_end())
}

#[test]
fn a_token_that_it_prints_is_accepted_by_the_service_that_runs() {
    let service = Running::start();
    let status = |path: &str, credential: &str| {
        Running::get_with(service.api, path, credential).split(' ').nth(1).unwrap().to_owned()
    };
    let scope = ["--scope", "orders:read orders:write"];
    assert_eq!(status("/v1/orders", &token(&scope)), "200");
    assert_eq!(status("/v1/orders", &token(&[])), "403");
    assert_eq!(status("/v1/admin/stats", &token(&scope)), "403");
    assert_eq!(status("/v1/admin/stats", &token(&["--role", "support", "--role", "admin"])), "200");
    assert_eq!(status("/v1/orders", &token(&["--scope", "orders:read", "--ttl", "-1"])), "401");
    assert_eq!(status("/v1/orders", &token(&["--scope", "orders:read", "--aud", "billing"])), "401");

    // The line to try works as it is pasted.
    let line = service.announced.lines().find(|line| line.contains("/v1/admin/stats")).unwrap();
    let pasted = line.split('"').nth(1).unwrap();
    assert_eq!(status("/v1/admin/stats", pasted), "200");
}

#[test]
fn jwk_04_without_the_keys_of_its_issuer_it_is_alive_and_not_ready() {
    // Taken, and never answered: the fetch ends at its timeout.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", silent.local_addr().unwrap());
    let service = Running::start_with(&["--jwks", &url, "--insecure-loopback-http"]);
    assert!(service.announced.contains("of an issuer elsewhere"), "{}", service.announced);
    assert!(service.announced.contains("Bearer $TOKEN"), "{}", service.announced);
    assert!(Running::get(service.admin, "/health/live").starts_with("HTTP/1.1 200"));
    assert!(Running::get(service.admin, "/health/ready").starts_with("HTTP/1.1 503"));
    let reply = Running::get_with(service.api, "/v1/orders", &token(&["--scope", "orders:read"]));
    assert!(reply.starts_with("HTTP/1.1 503") && reply.contains("retry-after: "), "{reply}");
    assert!(Running::get(service.api, "/v1/orders").starts_with("HTTP/1.1 200"), "keys need no issuer");
}

/// What is left of a caller's quota, as a reply tells it.
fn left(addr: SocketAddr) -> u32 {
    let reply = Running::get(addr, "/v1/orders");
    assert!(reply.contains("\r\nratelimit-policy: \"per-principal\";q=100;w=2\r\n"), "{reply}");
    let (_, field) = reply.split_once("\r\nratelimit: \"per-principal\";r=").unwrap();
    field.split([';', '\r']).next().unwrap().parse().unwrap()
}

#[test]
fn instances_with_the_same_redis_share_their_limits() {
    let server = bartizan_testkit::RedisServer::start();
    let [one, other] = [(); 2].map(|()| Running::start_with(&["--redis", &server.url()]));
    // Each gets every second request, so apart from each other none would ever have less left than the one before.
    let shared = (0..500).any(|_| left(one.api) > left(other.api));
    assert!(shared, "what one takes, the other misses");
    for name in ["per-address", "per-principal"] {
        let keys = format!("return #redis.call('KEYS', 'orders:{name}:b:*')");
        // A bucket that is full again is forgotten, which takes a few milliseconds.
        let is_there = (0..500).any(|_| left(one.api) < 100 && server.command(&["EVAL", &keys, "0"]) == ":1");
        assert!(is_there, "one bucket {name}");
    }
    // A stranger is told nothing.
    let stranger = Running::get_with(one.api, "/v1/orders", "accept: */*");
    assert!(stranger.starts_with("HTTP/1.1 401") && !stranger.contains("ratelimit"), "{stranger}");
    one.stop("-TERM");
    other.stop("-TERM");
}

#[test]
fn without_its_redis_it_serves_on() {
    let mut server = bartizan_testkit::RedisServer::start();
    let service = Running::start_with(&["--redis", &server.url()]);
    assert!(Running::get(service.api, "/v1/orders").starts_with("HTTP/1.1 200"));
    server.kill();
    for _ in 0..20 {
        assert!(Running::get(service.api, "/v1/orders").starts_with("HTTP/1.1 200"));
    }
    let metrics = Running::get(service.admin, "/metrics");
    assert!(metrics.contains("outcome=\"failed_open\""), "{metrics}");
    service.stop("-TERM");
}
