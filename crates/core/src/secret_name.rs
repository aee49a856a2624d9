//! What is a secret by its name (LOG-04).

/// The names of what is secret as a whole: of headers and the like.
const SECRET: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "api-key",
    "x-api-key",
    "dpop",
    "idempotency-key",
];

/// What the name of a secret has in it.
const IN_SECRETS: [&str; 7] = ["token", "secret", "password", "passwd", "apikey", "api-key", "signature"];

/// Whether a value under this name is a secret, whatever it says: the name of a header, of a parameter of a query, of a
/// field. In any case, `_` as good as `-`.
///
/// They are `authorization`, `proxy-authorization`, `cookie`, `set-cookie`, `api-key`, `x-api-key`, `dpop`,
/// `idempotency-key`, also behind a prefix with a dot, and every name with `token`, `secret`, `password`, `passwd`,
/// `apikey`, `api-key` or `signature` in it.
#[cold]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let last = name.rsplit('.').next().unwrap_or_default();
    SECRET.contains(&last) || IN_SECRETS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_04_names_of_secrets_are_known_in_any_spelling() {
        for name in [
            "session_token",
            "auth.Refresh-Token",
            "client_secret",
            "PASSWORD",
            "db.passwd",
            "apiKey",
            "x_api_key",
            "http.request.header.authorization",
            "Set-Cookie",
            "cookie",
            "dpop",
            "Idempotency_Key",
            "x-amz-signature",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["auth.key_id", "rate_limit.policy", "cookies_seen", "authorization.rule", ""] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
