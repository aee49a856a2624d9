//! An orders API behind a whole bartizan stack: `cargo run -p orders`.

mod admin;
mod cli;
mod server;

use std::process::ExitCode;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let done = match Cli::parse_or_line() {
        Ok(Cli { command: Some(Command::Keys), .. }) => {
            println!("{}", orders::development_keys());
            Ok(())
        }
        Ok(Cli { command: Some(Command::Token(token)), .. }) => token.sign().map(|token| println!("{token}")),
        Ok(Cli { listen, admin, supplier, redis, issuer, command: None }) => {
            issuer.tokens().and_then(|tokens| server::run(listen, admin, supplier, redis, tokens))
        }
        Err(line) => Err(line),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("orders: {line}");
            ExitCode::FAILURE
        }
    }
}
