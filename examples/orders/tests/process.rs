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
        let mut child = orders(&["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
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
        let mut stream = TcpStream::connect(addr).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n\r\n").unwrap();
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

#[test]
fn it_announces_itself_serves_both_listeners_and_loses_no_line_when_stopped() {
    for signal in ["-TERM", "-INT"] {
        let service = Running::start();
        for said in ["principal_limit", "curl -i", "x-api-key: orders_dev_writer_"] {
            assert!(service.announced.contains(said), "{}", service.announced);
        }
        for _ in 0..50 {
            assert!(Running::get(service.api, "/health").starts_with("HTTP/1.1 200"));
        }
        assert!(Running::get(service.admin, "/health/live").starts_with("HTTP/1.1 200"));
        let metrics = Running::get(service.admin, "/metrics");
        assert!(metrics.contains(r#"http_server_request_duration_seconds_bucket"#), "{metrics}");
        assert!(metrics.contains(r#"http_route="/health""#), "{metrics}");
        let log = service.stop(signal);
        assert_eq!(log.lines().count(), 50);
        assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    }
}
