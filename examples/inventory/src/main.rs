//! A tonic service behind a whole bartizan stack, and a client for it: `cargo run -p inventory`.

mod admin;
mod cli;
mod client;
mod server;

use std::process::ExitCode;

use crate::cli::{Cli, Command};

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse_or_line() {
        Ok(Cli { command: Some(Command::Keys), .. }) => {
            println!("{}", inventory::development_keys());
            Ok(())
        }
        Ok(Cli { command: Some(Command::Call(call)), .. }) => client::run(call).await,
        Ok(Cli { listen, admin, command: None }) => server::run(listen, admin).await,
        Err(line) => Err(line),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("inventory: {line}");
            ExitCode::FAILURE
        }
    }
}
