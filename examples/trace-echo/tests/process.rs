//! The program: its flag, its listener.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
};

fn trace_echo(listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trace-echo"));
    command.args(["--listen", listen]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn it_says_where_it_listens_and_serves_there_until_it_is_interrupted() {
    let mut child = trace_echo("127.0.0.1:0").spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let addr =
        said.trim().strip_prefix("trace-echo listens on http://").unwrap().strip_suffix("/test").unwrap();

    let mut stream = TcpStream::connect(addr).unwrap();
    write!(stream, "POST /test HTTP/1.1\r\nhost: {addr}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1, "no line of the log is lost");
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = trace_echo(&addr).output().unwrap();
    let line = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && line.lines().count() == 1 && line.contains(&addr), "{line}");
}
