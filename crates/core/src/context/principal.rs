use std::{
    fmt,
    hash::{BuildHasher, Hash, Hasher, RandomState},
    ops::Range,
    sync::{Arc, LazyLock, OnceLock},
    time::SystemTime,
};

use super::note::{Note, NoteOwner};

/// The authenticated caller, however it proved itself.
///
/// Identity is (issuer, subject) plus kind: a user and a service that happen to share a name stay apart.
/// Cheap to clone (an `Arc`); holds no credential.
///
/// ```
/// use bartizan_core::Principal;
///
/// let billing = Principal::service("billing").issuer("keys").scopes(["orders:read"]).tier("gold").build();
/// assert!(billing.has_scope("orders:read"));
/// assert!(!billing.has_scope("orders"));
/// ```
#[derive(Clone)]
pub struct Principal(Arc<Inner>);

/// A token makes one of these for each request that it is new to, so all texts lie in one allocation.
struct Inner {
    kind: PrincipalKind,
    text: String,
    subject: Part,
    issuer: Option<Part>,
    scopes: Vec<Part>,
    roles: Vec<Part>,
    tenant: Option<Part>,
    tier: Option<Part>,
    credential_id: Option<Part>,
    auth_scheme: Option<&'static str>,
    expires_at: Option<SystemTime>,
    fingerprint: OnceLock<u128>,
    is_plain: bool,
    note: Note,
}

/// The secret under which callers are hashed.
static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A part of the text.
type Part = Range<usize>;

impl Inner {
    fn read(&self, part: &Part) -> &str {
        &self.text[part.clone()]
    }

    fn read_some(&self, part: Option<&Part>) -> Option<&str> {
        part.map(|part| self.read(part))
    }

    fn read_all(&self, parts: &[Part]) -> impl ExactSizeIterator<Item = &str> {
        parts.iter().map(|part| self.read(part))
    }

    fn contains(&self, sorted: &[Part], wanted: &str) -> bool {
        sorted.binary_search_by(|part| self.read(part).cmp(wanted)).is_ok()
    }

    fn write(&mut self, text: impl AsRef<str>) -> Part {
        let start = self.text.len();
        self.text.push_str(text.as_ref());
        start..self.text.len()
    }

    /// Sorted, and each once.
    fn write_all<I>(&mut self, items: I) -> Vec<Part>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut parts: Vec<Part> = items.into_iter().map(|item| self.write(item)).collect();
        parts.sort_unstable_by(|one, other| self.read(one).cmp(self.read(other)));
        parts.dedup_by(|one, other| self.read(one) == self.read(other));
        parts
    }
}

/// What sort of caller a [`Principal`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A program: the owner of an API key, a client of the client-credentials grant.
    Service,
}

impl PrincipalKind {
    /// The name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for PrincipalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Principal {
    /// A person.
    pub fn user(subject: impl AsRef<str>) -> PrincipalBuilder {
        PrincipalBuilder::new(PrincipalKind::User, subject.as_ref())
    }

    /// A program.
    pub fn service(subject: impl AsRef<str>) -> PrincipalBuilder {
        PrincipalBuilder::new(PrincipalKind::Service, subject.as_ref())
    }

    /// Person or program.
    pub fn kind(&self) -> PrincipalKind {
        self.0.kind
    }

    /// Who, as its issuer names it.
    pub fn subject(&self) -> &str {
        self.0.read(&self.0.subject)
    }

    /// Who vouches for the subject: a token's `iss`, the name of a key store.
    pub fn issuer(&self) -> Option<&str> {
        self.0.read_some(self.0.issuer.as_ref())
    }

    /// What the credential was granted, sorted.
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.read_all(&self.0.scopes)
    }

    /// Whether the credential was granted exactly this scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.contains(&self.0.scopes, scope)
    }

    /// What the caller is, sorted.
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.read_all(&self.0.roles)
    }

    /// Whether the caller has exactly this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.0.contains(&self.0.roles, role)
    }

    /// The customer the caller acts for.
    pub fn tenant(&self) -> Option<&str> {
        self.0.read_some(self.0.tenant.as_ref())
    }

    /// The service level the caller has, for limits.
    pub fn tier(&self) -> Option<&str> {
        self.0.read_some(self.0.tier.as_ref())
    }

    /// The public id of the credential: a key id, a token's `jti`. Fit for logs.
    pub fn credential_id(&self) -> Option<&str> {
        self.0.read_some(self.0.credential_id.as_ref())
    }

    /// Whether there is one, without a look at it.
    #[inline]
    pub(crate) fn has_credential_id(&self) -> bool {
        self.0.credential_id.is_some()
    }

    /// The HTTP authentication scheme of the credential, as in `WWW-Authenticate`: `Bearer` for a token. What a
    /// layer challenges with that finds a right missing. `None` where the layer that authenticated did not say.
    pub fn auth_scheme(&self) -> Option<&'static str> {
        self.0.auth_scheme
    }

    /// The most bytes of a [note](Self::noted).
    pub const MAX_NOTE: usize = 512;

    /// What `make` makes of this caller, made once for its `owner` and then known to all clones: how a log writes it, say,
    /// which would be worked out for each request else.
    ///
    /// `None` at the first time, since many a caller is made for one request; where the note of another owner has taken
    /// the one place there is; and where it is longer than [`MAX_NOTE`](Self::MAX_NOTE). Then do without.
    #[inline]
    pub fn noted(&self, owner: NoteOwner, make: impl FnOnce() -> Vec<u8>) -> Option<&[u8]> {
        self.0.note.get(owner, Self::MAX_NOTE, make)
    }

    /// Whether subject, issuer and credential id are short (at most 256 bytes each) and of printable ASCII without quotation
    /// marks and backslashes. Most formats take such texts as they are, JSON among them, and need not look at them for each
    /// request.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.0.is_plain
    }

    /// When the credential ceases to work. No decision about the caller may be remembered for longer.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.expires_at
    }

    /// A keyed hash of who the caller is: its kind, issuer and subject, whatever the credential. For tables that are to
    /// tell callers apart and not to hold their names.
    ///
    /// The key is a secret of this process: to make two callers meet is to guess 128 bits, and to another process the hash
    /// means nothing. It is made when it is first asked for, and then known to all clones.
    #[inline]
    pub fn fingerprint(&self) -> u128 {
        *self.0.fingerprint.get_or_init(|| self.hash_caller())
    }

    #[cold]
    fn hash_caller(&self) -> u128 {
        let half =
            |which: u8| u128::from(SECRET.hash_one((which, self.0.kind, self.issuer(), self.subject())));
        half(0) << 64 | half(1)
    }
}

impl Principal {
    /// All that tells one from another.
    fn identity(&self) -> impl Eq + Hash {
        (
            self.kind(),
            self.subject(),
            self.issuer(),
            (self.tenant(), self.tier(), self.credential_id(), self.auth_scheme(), self.expires_at()),
        )
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
            && self.scopes().eq(other.scopes())
            && self.roles().eq(other.roles())
    }
}

impl Eq for Principal {}

impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
        self.scopes().len().hash(state);
        self.scopes().chain(self.roles()).for_each(|text| text.hash(state));
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("kind", &self.kind())
            .field("subject", &self.subject())
            .field("issuer", &self.issuer())
            .field("scopes", &self.scopes().collect::<Vec<_>>())
            .field("roles", &self.roles().collect::<Vec<_>>())
            .field("tenant", &self.tenant())
            .field("tier", &self.tier())
            .field("credential_id", &self.credential_id())
            .field("auth_scheme", &self.auth_scheme())
            .field("expires_at", &self.expires_at())
            .finish()
    }
}

/// Puts a [`Principal`] together.
#[derive(Debug)]
#[must_use]
pub struct PrincipalBuilder(Inner);

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("kind", &self.kind)
            .field("subject", &self.read(&self.subject))
            .finish_non_exhaustive()
    }
}

impl PrincipalBuilder {
    fn new(kind: PrincipalKind, subject: &str) -> Self {
        /// What most issuers, ids and scopes take.
        const USUAL: usize = 128;
        let mut text = String::with_capacity(USUAL + subject.len());
        text.push_str(subject);
        Self(Inner {
            kind,
            text,
            subject: 0..subject.len(),
            issuer: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            tenant: None,
            tier: None,
            credential_id: None,
            auth_scheme: None,
            expires_at: None,
            fingerprint: OnceLock::new(),
            is_plain: false,
            note: Note::default(),
        })
    }

    /// Person or program, where that is learned later than the subject: of a token's claims.
    pub fn kind(mut self, kind: PrincipalKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Who vouches for the subject.
    pub fn issuer(mut self, issuer: impl AsRef<str>) -> Self {
        self.0.issuer = Some(self.0.write(issuer));
        self
    }

    /// What the credential was granted.
    pub fn scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.0.scopes = self.0.write_all(scopes);
        self
    }

    /// What the caller is.
    pub fn roles<I>(mut self, roles: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.0.roles = self.0.write_all(roles);
        self
    }

    /// The customer the caller acts for.
    pub fn tenant(mut self, tenant: impl AsRef<str>) -> Self {
        self.0.tenant = Some(self.0.write(tenant));
        self
    }

    /// The service level the caller has.
    pub fn tier(mut self, tier: impl AsRef<str>) -> Self {
        self.0.tier = Some(self.0.write(tier));
        self
    }

    /// The public id of the credential, never the credential.
    pub fn credential_id(mut self, id: impl AsRef<str>) -> Self {
        self.0.credential_id = Some(self.0.write(id));
        self
    }

    /// The HTTP authentication scheme of the credential: `Bearer`.
    pub fn auth_scheme(mut self, scheme: &'static str) -> Self {
        self.0.auth_scheme = Some(scheme);
        self
    }

    /// Whether subject, issuer and credential id are short (at most 256 bytes each) and of printable ASCII without quotation
    /// marks and backslashes. Most formats take such texts as they are, JSON among them, and need not look at them for each
    /// request.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.0.is_plain
    }

    /// When the credential ceases to work.
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.0.expires_at = Some(time);
        self
    }

    /// The principal.
    #[must_use]
    pub fn build(mut self) -> Principal {
        let inner = &self.0;
        let texts = [Some(&inner.subject), inner.issuer.as_ref(), inner.credential_id.as_ref()];
        let is_plain = texts.into_iter().flatten().all(|part| is_plain(inner.read(part)));
        self.0.is_plain = is_plain;
        Principal(Arc::new(self.0))
    }
}

/// Whether a text is what [`Principal::is_plain`] says.
fn is_plain(text: &str) -> bool {
    text.len() <= 256 && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn a_kind_is_shown_by_its_name_in_logs() {
        assert_eq!(
            (PrincipalKind::User.to_string(), PrincipalKind::Service.to_string()),
            ("user".into(), "service".into())
        );
    }

    #[test]
    fn a_principal_is_what_was_said_last_and_in_no_order() {
        let one = Principal::user("alice")
            .issuer("other")
            .scopes(["b", "a", "b"])
            .roles(["admin"])
            .issuer("keys")
            .build();
        let other = Principal::user("alice").roles(["admin"]).scopes(["a", "b"]).issuer("keys").build();
        assert_eq!(one, other);
        assert!(one.scopes().eq(["a", "b"]) && one.has_scope("a") && !one.has_scope("admin"));
        let hashes = RandomState::new();
        assert_eq!(hashes.hash_one(&one), hashes.hash_one(&other));
    }

    #[test]
    fn a_principal_is_plain_if_all_that_a_log_says_of_it_is() {
        let plain =
            || Principal::user("auth0|a@b.example").issuer("https://id.example/~a").credential_id("#1");
        assert!(plain().build().is_plain() && Principal::user("").build().is_plain());
        assert!(
            plain().scopes(["\"é"]).roles(["\n"]).tenant("é").tier("é").build().is_plain(),
            "no log says these"
        );
        for odd in ["a\"b", "a\\b", "a\nb", "\u{7f}", "é", "\0", &"x".repeat(257)] {
            assert!(!Principal::user(odd).build().is_plain(), "{odd:?}");
            assert!(!plain().issuer(odd).build().is_plain(), "{odd:?}");
            assert!(!plain().credential_id(odd).build().is_plain(), "{odd:?}");
        }
        assert!(Principal::user("x".repeat(256)).build().is_plain());
    }

    #[test]
    fn a_kind_that_is_said_later_makes_another_caller() {
        let program = Principal::user("a").issuer("b").kind(PrincipalKind::Service).build();
        let same = Principal::service("a").issuer("b").build();
        assert_eq!((program.kind(), program.fingerprint()), (PrincipalKind::Service, same.fingerprint()));
        assert_eq!(program, same);
        assert_ne!(program, Principal::user("a").issuer("b").build());
    }

    #[test]
    fn a_fingerprint_is_of_the_caller_and_not_of_the_credential() {
        let one = Principal::user("ada").issuer("idp").scopes(["a"]).credential_id("1").build();
        let print = one.fingerprint();
        assert_eq!(one.fingerprint(), print, "and it stays");
        let same = Principal::user("ada")
            .issuer("idp")
            .tenant("t")
            .credential_id("2")
            .expires_at(SystemTime::UNIX_EPOCH);
        assert_eq!(same.build().fingerprint(), print);
        let others = [
            Principal::service("ada").issuer("idp"),
            Principal::user("ada"),
            Principal::user("ada").issuer(""),
            Principal::user("adaidp"),
            Principal::user("a").issuer("idpda"),
            Principal::user("a").issuer("daidp"),
        ];
        let mut prints = others.map(|other| other.build().fingerprint()).to_vec();
        prints.push(print);
        prints.sort_unstable();
        prints.dedup();
        assert_eq!(prints.len(), 7);
        let halves = |print: u128| (print >> 64, print & u128::from(u64::MAX));
        assert!(prints.iter().all(|print| halves(*print).0 != halves(*print).1), "each half adds to it");
    }

    #[test]
    fn texts_that_only_stand_side_by_side_alike_are_not_alike() {
        let all = [
            Principal::user("ab").build(),
            Principal::service("ab").build(),
            Principal::user("a").issuer("b").build(),
            Principal::user("a").tenant("b").build(),
            Principal::user("a").scopes(["b"]).build(),
            Principal::user("a").roles(["b"]).build(),
            Principal::user("a").scopes(["b", ""]).build(),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| one != other), "{one:?}");
        }
    }
}
