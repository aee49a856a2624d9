//! What one line says.

use std::{borrow::Cow, net::IpAddr, time::Duration};

use bartizan_core::{Ending, Fact, MatchedRoute, Outcome, Principal, Rejection, RequestContext};
use http::Version;

use crate::{
    FieldSet,
    digits::three,
    fields::{Ecs, FACT_PREFIX, Names, Otel, is_taken},
    hash::push_hex,
    json::{JsonLine, key, push_display},
    layer::Settings,
    memo::Memo,
    padded::{self, Short, push_padded},
    record::Head,
    redact::redacted,
    severity::Severity,
    timestamp,
};

/// What is known of a request at its end.
pub(crate) struct Entry<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) context: &'a RequestContext,
    pub(crate) head: &'a Head,
    pub(crate) outcome: &'a Outcome,
    pub(crate) severity: Severity,
    /// Since 1970 began.
    pub(crate) at: Duration,
    pub(crate) took: Duration,
}

/// Where a thread puts its lines together, and what it remembers of earlier ones.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) buffer: Vec<u8>,
    memo: Memo,
}

impl Entry<'_> {
    /// Appends the line. What identifies the request comes first, so that it is there whatever else does not fit.
    pub(crate) fn write(&self, scratch: &mut Scratch) {
        match self.settings.fields {
            FieldSet::Otel => self.write_as::<Otel>(scratch),
            FieldSet::Ecs => self.write_as::<Ecs>(scratch),
        }
    }

    fn write_as<N: Names>(&self, scratch: &mut Scratch) {
        let further = match self.severity {
            Severity::Info => N::INFO,
            Severity::Warn => N::WARN,
            Severity::Error => N::ERROR,
        };
        let timestamp = |buffer: &mut Vec<u8>| timestamp::push(buffer, self.at);
        let mut line = JsonLine::begin(&mut scratch.buffer, N::TIMESTAMP, timestamp, further);
        let route = self.context.route().map_or(MatchedRoute::OTHER, MatchedRoute::as_str);
        self.message(&mut line, route);
        if let Some(extra) = N::EXTRA {
            line.constant(extra);
        }
        self.ids::<N>(&mut line);
        self.request::<N>(&mut line, route);
        self.response::<N>(&mut line);
        if let Some(addr) = self.context.client_addr() {
            line.plain_with(N::CLIENT, |buffer| push_ip(buffer, addr.ip()));
        }
        if let Some(principal) = self.context.principal() {
            let noted = principal.noted(self.settings.owner, || self.note(principal));
            match noted {
                Some(members) => line.members(members),
                None => self.principal(&mut line, principal),
            }
        }
        if let Some(path) = &self.head.path {
            line.text(key!("url.path": text), &free_text(self.settings, path.path()));
        }
        if let Some(rejection) = &self.outcome.rejection {
            write_rejection(&mut line, rejection, self.settings);
        }
        if self.settings.members.is_empty() {
            self.facts(&mut line, &mut scratch.memo);
        } else {
            self.members_and_facts(&mut line, &mut scratch.memo);
        }
        line.end();
    }

    /// `GET /orders/{id} 200`: what was asked for, and what became of it.
    #[inline]
    fn message(&self, line: &mut JsonLine<'_>, route: &str) {
        line.message(padded::method(self.head.method), route, |buffer| {
            let word = match (self.outcome.grpc, self.outcome.status) {
                (Some(code), _) => code.as_str(),
                (None, Some(status)) => {
                    let [a, b, c] = three(status.as_u16().into());
                    return buffer.extend_from_slice(&[b' ', a, b, c]);
                }
                (None, None) => self.outcome.ending.as_str(),
            };
            buffer.push(b' ');
            buffer.extend_from_slice(word.as_bytes());
        });
    }

    #[inline]
    fn ids<N: Names>(&self, line: &mut JsonLine<'_>) {
        // The alphabet of ids needs no escaping.
        if let Some(id) = self.context.request_id() {
            line.plain(N::REQUEST_ID, id.as_bytes());
        }
        if let Some(id) = self.context.correlation_id() {
            line.plain(key!("correlation_id": text), id.as_bytes());
        }
        if let Some(trace) = self.context.trace() {
            let trace_id = trace.trace_id().to_bytes();
            line.plain_with(N::TRACE_ID, |buffer| push_hex(buffer, &trace_id));
            let span_id = trace.span_id().to_bytes();
            line.plain_with(N::SPAN_ID, |buffer| push_hex(buffer, &span_id));
            if let Some(key) = N::TRACE_FLAGS {
                line.plain_with(key, |buffer| push_hex(buffer, &[trace.flags()]));
            }
        }
    }

    #[inline]
    fn request<N: Names>(&self, line: &mut JsonLine<'_>, route: &str) {
        line.short(key!("http.request.method": text), padded::method(self.head.method));
        if self.context.protocol().is_grpc() {
            line.constant(key!("rpc.system.name": "grpc"));
            line.text(key!("rpc.method": text), route);
        } else {
            line.text(key!("http.route": text), route);
        }
        if let Some(version) = version(self.head.version) {
            line.short(N::VERSION, version);
        }
    }

    #[inline]
    fn response<N: Names>(&self, line: &mut JsonLine<'_>) {
        if let Some(status) = self.outcome.status {
            line.member(key!("http.response.status_code"), |value| value.three(status.as_u16()));
        }
        if let Some(code) = self.outcome.grpc {
            line.plain(key!("rpc.status_code": text), code.as_str().as_bytes());
        }
        N::duration(line, self.took);
        match self.outcome.ending {
            Ending::Completed => line.constant(key!("outcome": "completed")),
            ending => line.plain(key!("outcome": text), ending.as_str().as_bytes()),
        }
        N::outcome(line, self.severity, self.outcome.ending);
        line.member(N::BYTES, |value| value.unsigned(self.outcome.bytes));
    }

    /// The members of a caller, as they are in each of its lines.
    fn note(&self, principal: &Principal) -> Vec<u8> {
        let mut members = Vec::new();
        self.principal(&mut JsonLine::part(&mut members), principal);
        members
    }

    fn principal(&self, line: &mut JsonLine<'_>, principal: &Principal) {
        let is_plain = principal.is_plain();
        match &self.settings.hash_key {
            Some(hash) => line.plain_with(key!("user.hash": text), |buffer| {
                hash.push_hex(buffer, principal.subject());
            }),
            None => line.text_if(is_plain, key!("user.id": text), principal.subject()),
        }
        line.plain(key!("principal.kind": text), principal.kind().as_str().as_bytes());
        if let Some(issuer) = principal.issuer() {
            line.text_if(is_plain, key!("principal.issuer": text), issuer);
        }
        if let Some(id) = principal.credential_id() {
            line.text_if(is_plain, key!("principal.credential_id": text), id);
        }
    }

    #[inline]
    fn facts(&self, line: &mut JsonLine<'_>, memo: &mut Memo) {
        self.context.event().read(|facts| {
            for (name, fact) in facts {
                write_fact(line, memo, self.settings, name, fact);
            }
        });
    }

    /// The members that every line has, and the facts, none of which may take the name of one.
    #[inline(never)]
    fn members_and_facts(&self, line: &mut JsonLine<'_>, memo: &mut Memo) {
        let members = &self.settings.members;
        line.constant(members.as_str());
        self.context.event().read(|facts| {
            for (name, fact) in facts {
                if members.has(name) {
                    // What a thread remembers of names holds for all logs, and others may not have this member.
                    line.fact_anew(FACT_PREFIX, name, |line| write_value(line, self.settings, fact));
                } else {
                    write_fact(line, memo, self.settings, name, fact);
                }
            }
        });
    }
}

/// A text that was made while the service ran, of which callers may have written parts.
#[inline]
fn free_text<'a>(settings: &Settings, text: &'a str) -> Cow<'a, str> {
    if settings.redacts_texts { redacted(text) } else { Cow::Borrowed(text) }
}

#[cold]
fn write_rejection(line: &mut JsonLine<'_>, rejection: &Rejection, settings: &Settings) {
    line.text(key!("rejection.code": text), rejection.reason().code());
    if let Some(layer) = rejection.layer() {
        line.text(key!("rejection.layer": text), layer);
    }
    if let Some(cause) = rejection.cause() {
        line.text(key!("rejection.cause": text), &free_text(settings, cause));
    }
}

#[inline(always)]
fn write_fact(
    line: &mut JsonLine<'_>,
    memo: &mut Memo,
    settings: &Settings,
    name: &'static str,
    fact: &Fact,
) {
    let prefix = || if is_taken(name) { FACT_PREFIX } else { "" };
    if let Fact::Text(Cow::Borrowed(text)) = fact {
        return line.static_fact(memo, prefix, name, text);
    }
    line.fact(
        memo,
        prefix,
        name,
        #[inline(always)]
        |line| write_value(line, settings, fact),
    );
}

#[inline(always)]
fn write_value(line: &mut JsonLine<'_>, settings: &Settings, fact: &Fact) {
    match fact {
        Fact::Text(text) => line.text_value(&free_text(settings, text)),
        Fact::CredentialId(of) if of.is_plain() => line.plain_value(of.credential_id().unwrap_or_default()),
        Fact::CredentialId(of) => line.text_value(of.credential_id().unwrap_or_default()),
        Fact::Bool(fact) => line.value().bool(*fact),
        Fact::Unsigned(fact) => line.value().unsigned(*fact),
        Fact::Float(fact) => line.value().float(*fact),
        // A kind that core adds before this crate knows it.
        other => line.text_value(&format!("{other:?}")),
    }
}

fn version(version: Version) -> Option<Short> {
    const VERSIONS: [Short; 5] =
        [Short::new("0.9"), Short::new("1.0"), Short::new("1.1"), Short::new("2"), Short::new("3")];
    match version {
        Version::HTTP_09 => Some(VERSIONS[0]),
        Version::HTTP_10 => Some(VERSIONS[1]),
        Version::HTTP_11 => Some(VERSIONS[2]),
        Version::HTTP_2 => Some(VERSIONS[3]),
        Version::HTTP_3 => Some(VERSIONS[4]),
        _ => None,
    }
}

fn push_ip(buffer: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            let mut text = [0; 16];
            let mut end = 0;
            for octet in ip.octets() {
                let (digits, length) = OCTETS[usize::from(octet)];
                text[end..][..4].copy_from_slice(&digits);
                end += length;
            }
            // Without the last dot.
            push_padded(buffer, &text, end - 1);
        }
        IpAddr::V6(ip) => push_display(buffer, format_args!("{ip}")),
    }
}

/// Each octet in decimal with a dot behind it, and the length of both.
const OCTETS: [([u8; 4], usize); 256] = {
    let mut table = [([b'.'; 4], 0); 256];
    let mut octet = 0;
    while octet < 256 {
        let digits = [b'0' + (octet / 100) as u8, b'0' + (octet / 10 % 10) as u8, b'0' + (octet % 10) as u8];
        table[octet] = match octet {
            100.. => ([digits[0], digits[1], digits[2], b'.'], 4),
            10.. => ([digits[1], digits[2], b'.', b'.'], 3),
            _ => ([digits[2], b'.', b'.', b'.'], 2),
        };
        octet += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use std::mem;

    use bartizan_core::{Clock, CorrelationId, MethodName, NoteOwner, PathSet, Reason, RequestId};
    use http::{Method, Request, StatusCode};
    use serde_json::Value as Json;

    use super::*;
    use crate::{
        hash::HashKey,
        json::MAX_LINE,
        members::{MAX_MEMBERS, Members},
    };

    /// Whatever a request may bring along.
    #[derive(Debug, bolero::TypeGenerator)]
    struct Wild {
        ids: (Vec<u8>, Vec<u8>),
        route: String,
        path: String,
        subject: String,
        issuer: Option<String>,
        credential: Option<String>,
        cause: Option<String>,
        status: Option<u16>,
        ip: Option<u128>,
        facts: Vec<(String, WildFact)>,
        /// How often the texts are repeated, to make long ones.
        repeat: u8,
        took: u64,
        ecs: bool,
        hashed: bool,
        redacts: bool,
        /// As many as are allowed, all together.
        members: bool,
    }

    #[derive(Debug, bolero::TypeGenerator)]
    enum WildFact {
        Bool(bool),
        Unsigned(u64),
        Float(f64),
        Text(String),
        Static(String),
    }

    impl Wild {
        fn context(&self) -> RequestContext {
            let long = |text: &str| text.repeat(usize::from(self.repeat) * 4);
            let mut request = Request::new(());
            request.extensions_mut().insert(MatchedRoute::template(long(&self.route)));
            let context = RequestContext::of(&mut request);
            context.route_of(&request);
            context.event().enable();
            if let Ok(id) = RequestId::new(self.ids.0.clone()) {
                context.set_request_id(id);
            }
            if let Ok(id) = CorrelationId::new(self.ids.1.clone()) {
                context.set_correlation_id(id);
            }
            if let Some(ip) = self.ip {
                context.set_client_addr(bartizan_core::ClientAddr::new(
                    std::net::Ipv6Addr::from_bits(ip).into(),
                ));
            }
            let mut principal = Principal::user(long(&self.subject));
            if let Some(issuer) = &self.issuer {
                principal = principal.issuer(long(issuer));
            }
            if let Some(credential) = &self.credential {
                principal = principal.credential_id(long(credential));
            }
            context.set_principal(principal.build());
            for (name, fact) in &self.facts {
                // The names of facts are static; a test may leak a few.
                let name: &'static str = long(name).leak();
                match fact {
                    WildFact::Bool(fact) => context.event().record(name, *fact),
                    WildFact::Unsigned(fact) => context.event().record(name, *fact),
                    WildFact::Float(fact) => context.event().record(name, *fact),
                    WildFact::Text(fact) => context.event().record(name, long(fact)),
                    WildFact::Static(fact) => context.event().record(name, &*long(fact).leak()),
                }
            }
            context
        }

        fn members(&self) -> Members {
            let mut members = Members::default();
            if self.members {
                members.add("member", &"m".repeat(MAX_MEMBERS - ",\"member\":\"\"".len())).unwrap();
            }
            members
        }

        fn line(&self) -> Vec<u8> {
            let settings = Settings {
                clock: Clock::system(),
                fields: if self.ecs { FieldSet::Ecs } else { FieldSet::Otel },
                hash_key: self.hashed.then(|| HashKey::new(b"0123456789abcdef")),
                owner: NoteOwner::new(),
                path: true,
                redacts_texts: self.redacts,
                exempt: PathSet::default(),
                members: self.members(),
                buffer: 0,
            };
            let rejection = self.cause.as_ref().map(|cause| {
                Rejection::new(Reason::Internal).with_cause(cause.repeat(usize::from(self.repeat) * 4))
            });
            let mut outcome = Outcome::without_response(Ending::Completed);
            outcome.status = self.status.and_then(|status| StatusCode::from_u16(status).ok());
            outcome.bytes = self.took;
            outcome.rejection = rejection;
            let head = Head {
                method: MethodName::of(&Method::GET),
                version: Version::HTTP_11,
                path: self.path.parse().ok().map(Box::new),
                exempt: false,
            };
            let entry = Entry {
                settings: &settings,
                context: &self.context(),
                head: &head,
                outcome: &outcome,
                severity: Severity::of(&outcome),
                at: Duration::from_nanos(self.took),
                took: Duration::from_micros(self.took),
            };
            let mut scratch = Scratch::default();
            entry.write(&mut scratch);
            let line = mem::take(&mut scratch.buffer);
            for _ in 0..2 {
                scratch.buffer.clear();
                entry.write(&mut scratch);
                assert_eq!(scratch.buffer, line, "the same when its texts, and then its caller, are known");
            }
            line
        }
    }

    #[test]
    fn log_01_whatever_a_request_holds_its_line_is_one_line_of_json_of_at_most_16_kib() {
        bolero::check!().with_type::<Wild>().for_each(|wild| {
            let line = String::from_utf8(wild.line()).expect("UTF-8");
            assert!(line.len() <= 16_384 && MAX_LINE == 16_384, "{} bytes", line.len());
            let (one, rest) = line.split_once('\n').expect("ends with a line feed");
            assert_eq!(rest, "");
            assert!(!one.contains(char::is_control), "{one}");
            assert!(!one.contains(['\u{2028}', '\u{2029}']), "{one}");
            let read: Json = serde_json::from_str(one).expect(one);
            let (timestamp, status) = match wild.ecs {
                true => ("@timestamp", "event.duration"),
                false => ("timestamp", "duration_ms"),
            };
            for name in [timestamp, status, "http.request.method", "outcome"] {
                assert!(read.get(name).is_some(), "{name} is always there: {one}");
            }
            assert_eq!(read["outcome"], "completed", "no fact took its place");
            assert_eq!(read["member"].as_str().is_some_and(|value| value.len() > 1000), wild.members);
        });
    }

    #[test]
    fn addresses_are_written_as_the_standard_library_does() {
        bolero::check!().with_type::<(u32, u128)>().for_each(|(v4, v6)| {
            for ip in [IpAddr::from(v4.to_be_bytes()), IpAddr::from(v6.to_be_bytes())] {
                let mut buffer = Vec::new();
                push_ip(&mut buffer, ip);
                assert_eq!(String::from_utf8(buffer).unwrap(), ip.to_string());
            }
        });
    }

    #[test]
    fn log_01_a_line_that_lacks_something_says_so() {
        let facts = (0..64).map(|number| (format!("fact_{number}."), WildFact::Text("\u{1}".repeat(200))));
        let wild = Wild {
            ids: (b"id".to_vec(), b"flow".to_vec()),
            route: "/".to_owned(),
            path: "/".to_owned(),
            subject: "someone".to_owned(),
            issuer: None,
            credential: None,
            cause: None,
            status: Some(200),
            ip: None,
            facts: facts.collect(),
            repeat: 1,
            took: 1,
            ecs: false,
            hashed: false,
            redacts: false,
            members: false,
        };
        let read: Json = serde_json::from_slice(&wild.line()).unwrap();
        assert_eq!((&read["truncated"], &read["request_id"]), (&true.into(), &"id".into()));
    }
}
