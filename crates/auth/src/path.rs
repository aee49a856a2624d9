//! Request paths: which spelling of one is the only one, and which templates match it.

use std::borrow::Cow;

/// A path that every router reads the same way: nothing to decode, no empty and no dot segment. Only such a path
/// can be opened, and only of such segments are templates made.
pub(crate) fn is_plain(path: &str) -> bool {
    path == "/" || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_plain_segment))
}

pub(crate) fn is_plain_segment(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~$!*+@:=".contains(&byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
}

/// A name as protobuf has it, of a method or of a part of its service's.
pub(crate) fn is_grpc_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Two readers of the same path might understand different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous;

/// The path of a request, percent-decoded once (RFC 3986 section 2.4), if there is but one way to read it.
///
/// Refused are empty segments (`//`, a trailing `/`), dot segments however they are written, slashes and
/// backslashes that hide in an escape, parameters (`;x`), control characters, escapes of escapes (`%252e`), broken
/// escapes, and what is no UTF-8. Without an escape nothing is allocated.
pub(crate) fn read(raw: &str) -> Result<Cow<'_, str>, Ambiguous> {
    let Some(rest) = raw.strip_prefix('/') else { return Err(Ambiguous) };
    if rest.is_empty() {
        return Ok(Cow::Borrowed(raw));
    }
    for segment in rest.split('/') {
        let segment = decode(segment)?;
        let hides = |character: char| matches!(character, '/' | '\\' | ';' | '%') || character.is_control();
        if matches!(&*segment, "" | "." | "..") || segment.contains(hides) {
            return Err(Ambiguous);
        }
    }
    decode(raw)
}

/// `text`, percent-decoded once and strictly.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, Ambiguous> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let digit = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
    };
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes().iter();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => match (digit(bytes.next()), digit(bytes.next())) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(Ambiguous),
            },
            byte => *byte,
        });
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| Ambiguous)
}

/// One segment of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    Literal(&'a str),
    /// `{name}`
    Parameter(&'a str),
    /// `{*name}`, which takes the rest.
    Rest(&'a str),
}

impl<'a> Segment<'a> {
    fn of(text: &'a str) -> Self {
        match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(name) => name.strip_prefix('*').map_or(Self::Parameter(name), Self::Rest),
            None => Self::Literal(text),
        }
    }

    /// The same whatever its parameter is called.
    pub(crate) fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::Literal(one), Self::Literal(other)) => one == other,
            (Self::Parameter(_), Self::Parameter(_)) | (Self::Rest(_), Self::Rest(_)) => true,
            _ => false,
        }
    }
}

/// The segments of a template, as axum and `matchit` write them.
pub(crate) fn segments(template: &str) -> impl DoubleEndedIterator<Item = Segment<'_>> + Clone {
    template.strip_prefix('/').unwrap_or(template).split('/').map(Segment::of)
}

/// Whether two templates match the same paths.
pub(crate) fn are_alike(one: &str, other: &str) -> bool {
    let mut others = segments(other);
    segments(one).all(|segment| others.next().is_some_and(|other| segment.is_like(other)))
        && others.next().is_none()
}

/// Whether `rule` ends with `{*rest}`, and every path that matches `template` matches it by the part before: the
/// same literals and parameters, and something left.
pub(crate) fn covers(rule: &str, template: &str) -> bool {
    let mut left = segments(template);
    for segment in segments(rule) {
        match (segment, left.next()) {
            (Segment::Rest(_), Some(next)) => return next != Segment::Literal(""),
            (segment, Some(next)) if segment.is_like(next) => {}
            _ => return false,
        }
    }
    false
}

/// Whether there is a path that both templates match, and for which a router prefers `one`: a literal to a parameter,
/// and either to a rest, from left to right.
pub(crate) fn outranks(one: &str, other: &str) -> bool {
    let (mut ones, mut others) = (segments(one), segments(other));
    let mut is_preferred = false;
    loop {
        match (ones.next(), others.next()) {
            (None, None) | (Some(Segment::Rest(_)), Some(Segment::Rest(_))) => return is_preferred,
            (Some(one), Some(Segment::Rest(_))) => return one != Segment::Literal(""),
            (Some(Segment::Rest(_)), Some(other)) => return is_preferred && other != Segment::Literal(""),
            (Some(Segment::Literal(one)), Some(Segment::Literal(other))) if one == other => {}
            (Some(Segment::Parameter(_)), Some(Segment::Parameter(_))) => {}
            (Some(Segment::Literal(one)), Some(Segment::Parameter(_))) if !one.is_empty() => {
                is_preferred = true;
            }
            (Some(Segment::Parameter(_)), Some(Segment::Literal(other)))
                if is_preferred && !other.is_empty() => {}
            _ => return false,
        }
    }
}

/// Whether a template matches but one path, which is itself.
pub(crate) fn is_literal(template: &str) -> bool {
    segments(template).all(|segment| matches!(segment, Segment::Literal(_)))
}

/// Whether `template` is of a fixed length and matches all of `path`: then no router has taken anything from it.
pub(crate) fn is_whole(template: &str, path: &str) -> bool {
    let has_rest = || segments(template).any(|segment| matches!(segment, Segment::Rest(_)));
    let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
    let matches = |segment: Segment<'_>| match (segment, parts.next()) {
        (Segment::Literal(literal), Some(part)) => decode(part).is_ok_and(|part| part == literal),
        (Segment::Parameter(_), Some(part)) => !part.is_empty(),
        _ => false,
    };
    !has_rest() && segments(template).all(matches) && parts.next().is_none()
}

/// What `name` stands for in `path`, all of which `template` matches, percent-decoded once.
pub(crate) fn parameter<'a>(template: &str, path: &'a str, name: &str) -> Option<Cow<'a, str>> {
    align(segments(template), path.strip_prefix('/')?, name)
}

/// The same where a nested router may have taken its prefix from the path, and not from the template: the ends of
/// both are compared. The parameters of the prefix are not to be had. Nor are any of a template that takes the rest
/// of a path, for nothing says where the end of such a path begins: it is the caller's to choose.
pub(crate) fn parameter_at_end<'a>(template: &str, path: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let path = path.strip_prefix('/')?;
    if matches!(segments(template).next_back(), Some(Segment::Rest(_))) {
        return None;
    }
    let skipped = segments(template).count().checked_sub(path.split('/').count())?;
    align(segments(template).skip(skipped), path, name)
}

fn align<'a, 't>(
    segments: impl Iterator<Item = Segment<'t>>,
    path: &'a str,
    name: &str,
) -> Option<Cow<'a, str>> {
    let mut left = Some(path);
    let mut found = None;
    for segment in segments {
        let text = left?;
        let (head, tail) = text.split_once('/').map_or((text, None), |(head, tail)| (head, Some(tail)));
        left = tail;
        match segment {
            Segment::Literal(literal) if decode(head).is_ok_and(|head| head == literal) => {}
            Segment::Literal(_) => return None,
            // What a router took for a parameter is something.
            Segment::Parameter(_) if head.is_empty() => return None,
            Segment::Rest(_) if text.is_empty() => return None,
            Segment::Parameter(parameter) if parameter == name => found = Some(head),
            Segment::Parameter(_) => {}
            Segment::Rest(parameter) => {
                left = None;
                if parameter == name {
                    found = Some(text);
                }
            }
        }
    }
    if left.is_some() { None } else { decode(found?).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azn_02_a_path_is_decoded_once_and_has_one_reading() {
        for (raw, read_as) in [
            ("/", "/"),
            ("/v1/orders/7", "/v1/orders/7"),
            ("/v1/%6frders/a%20b", "/v1/orders/a b"),
            ("/caf%C3%A9", "/café"),
            ("/a.b/..c/d..", "/a.b/..c/d.."),
        ] {
            assert_eq!(read(raw).unwrap(), read_as, "{raw}");
        }
        assert!(matches!(read("/v1/orders"), Ok(Cow::Borrowed(_))));
        for raw in [
            "",
            "*",
            "v1",
            "//",
            "/v1//orders",
            "//v1/orders",
            "/v1/orders/",
            "/.",
            "/./v1",
            "/v1/../admin",
            "/v1/%2e%2e/admin",
            "/v1/.%2E/admin",
            "/%2e",
            "/v1%2forders",
            "/v1%2Forders",
            "/v1%5corders",
            "/v1\\orders",
            "/v1/orders;x",
            "/v1;x=1/orders",
            "/v1/%3bx",
            "/v1/%252e%252e",
            "/v1/%25",
            "/v1/%",
            "/v1/%2",
            "/v1/%zz",
            "/v1/%ff",
            "/v1/%00",
            "/v1/%0a",
            "/v1/%7f",
        ] {
            assert_eq!(read(raw), Err(Ambiguous), "{raw}");
        }
    }

    #[test]
    fn azn_02_whatever_is_read_has_no_trick_left_in_it() {
        bolero::check!().with_type::<String>().for_each(|raw| {
            if let Ok(path) = read(raw) {
                assert!(path.starts_with('/'));
                assert!(path == "/" || path[1..].split('/').all(|it| !matches!(it, "" | "." | "..")));
                assert!(!path.contains(['\\', ';', '%', '\0']));
                assert_eq!(path.matches('/').count(), raw.matches('/').count());
            }
        });
    }

    #[test]
    fn templates_are_alike_whatever_their_parameters_are_called() {
        for (one, other, alike) in [
            ("/v1/{id}", "/v1/{order_id}", true),
            ("/{*rest}", "/{*path}", true),
            ("/v1/{id}", "/v1/{*id}", false),
            ("/v1/{id}", "/v1/id", false),
            ("/v1", "/v1/", false),
            ("/v1", "/v1/{id}", false),
            ("/V1", "/v1", false),
        ] {
            assert_eq!((are_alike(one, other), are_alike(other, one)), (alike, alike), "{one} {other}");
        }
    }

    #[test]
    fn a_rest_covers_longer_templates_and_a_parameter_covers_no_literal() {
        for (rule, template, covered) in [
            ("/{*rest}", "/a", true),
            ("/{*rest}", "/a/{b}/c", true),
            ("/{*rest}", "/", false),
            ("/a/{*rest}", "/a/b/{*c}", true),
            ("/a/{*rest}", "/a", false),
            ("/a/{*rest}", "/a/", false),
            ("/a/{*rest}", "/b/c", false),
            ("/a/{b}/{*rest}", "/a/{c}/d", true),
            ("/a/{b}/{*rest}", "/a/literal/d", false),
            ("/a/{b}", "/a/{c}", false),
        ] {
            assert_eq!(covers(rule, template), covered, "{rule} {template}");
        }
    }

    /// All templates and paths of up to three segments of two names.
    #[test]
    fn azn_02_a_template_outranks_another_when_a_router_prefers_it_for_some_path() {
        fn all(parts: &[&str], last: &[&str]) -> Vec<String> {
            let mut found: Vec<String> = Vec::new();
            let mut heads = vec![String::new()];
            for _ in 0..3 {
                let extend = |with: &[&str]| -> Vec<String> {
                    heads
                        .iter()
                        .flat_map(|head| with.iter().map(move |part| format!("{head}/{part}")))
                        .collect()
                };
                found.extend(extend(last));
                let longer = extend(parts);
                found.extend(longer.iter().cloned());
                heads = longer;
            }
            found
        }
        let templates = all(&["a", "b", "{p}"], &["", "{*r}"]);
        let paths = all(&["a", "b", "c"], &[""]);
        let matches =
            |router: &matchit::Router<bool>, path: &str| router.at(path).ok().map(|found| *found.value);
        let mut compared = 0;
        for one in &templates {
            for other in templates.iter().filter(|other| *other != one) {
                let (mut both, mut alone) = (matchit::Router::new(), matchit::Router::new());
                both.insert(one, true).unwrap();
                alone.insert(other, false).unwrap();
                if both.insert(other, false).is_err() {
                    // No router, and no table, has both.
                    continue;
                }
                let is_preferred =
                    |path: &String| matches(&alone, path).is_some() && matches(&both, path) == Some(true);
                compared += 1;
                assert_eq!(outranks(one, other), paths.iter().any(is_preferred), "{one} {other}");
            }
        }
        assert!(compared > 2_000, "{compared}");
    }

    #[test]
    fn a_path_is_whole_when_a_template_of_fixed_length_has_all_of_it() {
        for (template, path, whole) in [
            ("/a/{b}", "/a/x", true),
            ("/a/{b}", "/%61/x", true),
            ("/a/{b}", "/x", false),
            ("/a/{b}", "/a/x/y", false),
            ("/{a}", "/", false),
            ("/a/", "/a/", true),
            ("/", "/", true),
            ("/a/{*b}", "/a/x", false),
            ("/{*a}/b", "/x/b", false),
        ] {
            assert_eq!(is_whole(template, path), whole, "{template} {path}");
        }
    }

    #[test]
    fn parameters_are_read_from_the_path_that_is_left() {
        let template = "/t/{tenant}/orders/{id}";
        for (path, name, expected) in [
            ("/t/acme/orders/7", "tenant", Some("acme")),
            ("/t/acme/orders/a%20b", "id", Some("a b")),
            ("/t/acme/orders/7", "other", None),
            ("/t/acme/other/7", "id", None),
            ("/t/acme/orders/7/more", "id", None),
            ("/t/acme/orders/%ff", "id", None),
            ("/t//orders/7", "tenant", None),
            ("/t/acme/orders/", "id", None),
            ("", "id", None),
        ] {
            assert_eq!(parameter(template, path, name).as_deref(), expected, "{path} {name}");
            assert_eq!(parameter_at_end(template, path, name).as_deref(), expected, "{path} {name}");
        }
        for (path, name, expected) in
            [("/orders/7", "id", Some("7")), ("/orders/7", "tenant", None), ("/7", "id", Some("7"))]
        {
            assert_eq!(parameter(template, path, name), None, "{path} {name}");
            assert_eq!(parameter_at_end(template, path, name).as_deref(), expected, "{path} {name}");
        }
        assert_eq!(parameter_at_end("/{tenant}", "/", "tenant"), None, "all of it was taken");
        bolero::check!().with_type::<(String, String)>().for_each(|(template, path)| {
            let _ = (parameter(template, path, "id"), parameter_at_end(template, path, "id"));
        });
    }

    #[test]
    fn azn_02_the_rest_of_a_path_is_read_only_where_all_of_the_path_is_known() {
        assert_eq!(parameter("/files/{*path}", "/files/a/b%20c", "path").unwrap(), "a/b c");
        assert_eq!(parameter("/{tenant}/{*path}", "/acme/a/b", "tenant").unwrap(), "acme");
        for path in ["/files", "/files/", "/other/a"] {
            assert_eq!(parameter("/files/{*path}", path, "path"), None, "{path}");
        }
        for name in ["tenant", "path"] {
            assert_eq!(parameter_at_end("/{tenant}/{*path}", "/acme/a/b", name), None);
        }
    }
}
