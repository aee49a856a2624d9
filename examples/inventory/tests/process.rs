//! The program: its flags, its listeners, its client, its end.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

fn inventory(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inventory"));
    command.args(arguments).stdin(Stdio::null());
    command
}

#[track_caller]
fn assert_one_line(arguments: &[&str], says: &str) {
    let output = inventory(arguments).output().unwrap();
    let line = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("inventory: ") && line.contains(says), "{line}");
}

#[test]
fn a_bad_flag_is_one_clear_line() {
    assert_one_line(&["--lisen", "127.0.0.1:0"], "--lisen");
    assert_one_line(&["--listen", "here"], "here");
    assert_one_line(&["run"], "run");
    assert_one_line(&["call", "--to", "nowhere", "get", "sku-1"], "http://host:port");
    assert_one_line(&["call", "reserve", "sku-1", "many"], "many");
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    assert_one_line(&["--listen", &addr], &addr);
    assert_one_line(&["--listen", "127.0.0.1:0", "--admin", &addr], "--admin");
}

#[test]
fn keys_are_printed_as_json() {
    let output = inventory(&["keys"]).output().unwrap();
    assert!(output.status.success());
    let keys: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&keys[0]["key"], &keys[1]["key"]),
        (&inventory::WRITER_KEY.into(), &inventory::READER_KEY.into())
    );
    assert_eq!(keys[0]["scopes"], serde_json::json!(["inventory:read", "inventory:write"]));
    assert_eq!(keys[1]["scopes"], serde_json::json!(["inventory:read"]));
}

/// The program, listening on free ports.
struct Running {
    child: Child,
    calls: String,
    admin: SocketAddr,
}

impl Running {
    fn start() -> Self {
        let mut child = inventory(&["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
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
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'));
            rest[..end.unwrap_or(rest.len())].parse::<SocketAddr>().unwrap()
        });
        let (calls, admin) = (addresses.next().unwrap(), addresses.next().unwrap());
        Self { child, calls: format!("http://{calls}"), admin }
    }

    fn call(&self, arguments: &[&str]) -> Output {
        inventory(&["call", "--to", &self.calls]).args(arguments).output().unwrap()
    }

    #[track_caller]
    fn answer(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn operators_get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: inventory\r\nconnection: close\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    /// Asks it to stop; returns what it logged.
    fn stop(mut self, signal: &str) -> Vec<Value> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let mut log = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "a stop is no failure");
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_its_own_client_and_operators_and_loses_no_line_when_stopped() {
    for signal in ["-TERM", "-INT"] {
        let service = Running::start();
        assert_eq!(service.answer(&["get", "sku-1"]), "sku-1: 100\n");
        assert_eq!(service.answer(&["reserve", "sku-1", "2"]), "sku-1: 98\n");
        assert_eq!(service.answer(&["--key", inventory::READER_KEY, "get", "sku-1"]), "sku-1: 98\n");
        for path in ["/health/live", "/health/ready"] {
            let reply = service.operators_get(path);
            assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        }
        let metrics = service.operators_get("/metrics");
        assert!(metrics.contains(r#"rpc_method="inventory.v1.Inventory/Reserve""#), "{metrics}");
        let log = service.stop(signal);
        assert_eq!(log.len(), 3);
        assert!(log.iter().all(|line| line["rpc.status_code"] == "OK"), "{log:?}");
    }
}

#[test]
fn the_client_says_what_was_refused_and_by_which_id_it_is_found() {
    let service = Running::start();
    let refusal = service.refusal(&["--key", inventory::READER_KEY, "reserve", "sku-1", "2"]);
    assert!(refusal.starts_with("inventory: PERMISSION_DENIED (PERMISSION_DENIED): "), "{refusal}");
    let id = refusal.lines().find_map(|line| line.strip_prefix("  request id: ")).expect("an id").to_owned();
    let unknown = service.refusal(&["--key", "", "get", "sku-1"]);
    assert!(unknown.starts_with("inventory: UNAUTHENTICATED (UNAUTHENTICATED): "), "{unknown}");
    let invalid = service.refusal(&["reserve", "sku-1", "0"]);
    assert!(invalid.contains("\n  quantity: must be more than 0\n"), "{invalid}");
    let log = service.stop("-TERM");
    assert_eq!(log.iter().filter(|line| line["request_id"] == id).count(), 1);
}

#[test]
fn the_client_watches_until_it_is_stopped() {
    let service = Running::start();
    let mut watch = inventory(&["call", "--to", &service.calls, "watch", "sku-1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut news = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert_eq!(news.next().unwrap().unwrap(), "sku-1: 100");
    service.answer(&["reserve", "sku-1", "2"]);
    assert_eq!(news.next().unwrap().unwrap(), "sku-1: 98");
    watch.kill().unwrap();
    watch.wait().unwrap();
    let log = service.stop("-TERM");
    let outcomes = log.iter().filter(|line| line["outcome"] == "client_aborted").count();
    assert_eq!(outcomes, 1, "{log:?}");
}

#[test]
fn a_stop_waits_for_no_watcher_and_tells_it_to_ask_again() {
    let service = Running::start();
    let mut watch = inventory(&["call", "--to", &service.calls, "watch", "sku-1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut news = BufReader::new(watch.stdout.take().unwrap());
    let mut line = String::new();
    news.read_line(&mut line).unwrap();
    let log = service.stop("-TERM");
    assert_eq!(log[0]["rpc.status_code"], "UNAVAILABLE", "{log:?}");
    let output = watch.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("UNAVAILABLE: the service stops"), "{said}");
}

#[test]
fn a_service_that_is_not_there_is_said_so() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = inventory(&["call", "--to", &format!("http://{free}"), "get", "sku-1"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.starts_with("inventory: UNAVAILABLE"), "{said}");
    assert_eq!(said.matches("because: ").count(), 1, "{said}");
}
