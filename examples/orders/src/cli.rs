//! The command line.

use std::net::SocketAddr;

use bartizan::rate_limit::{ConfigError, RedisStore};
use clap::{Args, Parser, Subcommand};
use orders::{DevelopmentToken, Remote, Tokens};

/// An orders API behind a whole bartizan stack.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// Where the API listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub(crate) listen: SocketAddr,

    /// Where operators find /metrics and /health/live. [default: 127.0.0.1:3001, or a free port when that is taken]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,

    /// Whom to ask for prices. [default: a supplier in this process, on a free port]
    #[arg(long, value_name = "URL", value_parser = orders::Supplier::new)]
    pub(crate) supplier: Option<orders::Supplier>,

    /// Where the limits are, for all instances together: redis://host:port. [default: in this process]
    #[arg(long, value_name = "URL", value_parser = store)]
    pub(crate) redis: Option<RedisStore>,

    #[command(flatten)]
    pub(crate) issuer: IssuerArgs,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

fn store(url: &str) -> Result<RedisStore, ConfigError> {
    RedisStore::single(url)?.with_prefix("orders")
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints the development keys as JSON.
    Keys,
    /// Prints a token signed with the example's development key.
    Token(TokenArgs),
}

#[derive(Debug, Args)]
pub(crate) struct IssuerArgs {
    /// Where the keys of tokens are: a JWK set. [default: where --issuer says, if given, else the development key]
    #[arg(long, value_name = "URL")]
    jwks: Option<String>,

    /// Who issues tokens, exactly as their `iss` says it. [default: the development issuer]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,

    /// Fetch keys without TLS from this machine. For development alone.
    #[arg(long)]
    insecure_loopback_http: bool,
}

impl IssuerArgs {
    /// Whose tokens are accepted.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong with the arguments.
    pub(crate) fn tokens(self) -> Result<Tokens, String> {
        let Self { jwks, issuer, insecure_loopback_http } = self;
        if jwks.is_none() && issuer.is_none() {
            return Tokens::development().map_err(|error| format!("the development key: {error}"));
        }
        Tokens::remote(Remote { jwks, issuer, insecure_loopback_http })
            .map_err(|error| format!("--jwks or --issuer: {error}"))
    }
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Who the caller is.
    #[arg(long, value_name = "NAME")]
    sub: String,

    /// Scopes, with a space between two.
    #[arg(long, value_name = "SCOPES", default_value = "")]
    scope: String,

    /// A role; may be given more than once.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,

    /// Whom the token is for.
    #[arg(long, value_name = "AUDIENCE", default_value = orders::AUDIENCE)]
    aud: String,

    /// For how many seconds it is good; with a negative number it has expired.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, allow_negative_numbers = true)]
    ttl: i64,
}

impl TokenArgs {
    /// The token.
    ///
    /// # Errors
    ///
    /// One line that says why there is none.
    pub(crate) fn sign(self) -> Result<String, String> {
        let Self { sub, scope, role, aud, ttl } = self;
        let token = DevelopmentToken { subject: sub, scope, roles: role, audience: aud, ttl };
        orders::development_token(&token).map_err(|error| format!("the development key: {error}"))
    }
}

impl Cli {
    /// Parses the arguments; help and version go to standard output and end well.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong with the arguments.
    pub(crate) fn parse_or_line() -> Result<Self, String> {
        Self::try_parse().map_err(|error| {
            if !error.use_stderr() {
                error.exit();
            }
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            format!("{}; see --help", line.strip_prefix("error: ").unwrap_or(line))
        })
    }
}
