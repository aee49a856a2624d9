//! Paths with names in place of what varies: `/orders/{id}`.

use std::fmt;

use super::{Plus, decode};

/// A path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) segments: Vec<Segment>,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// Decoded.
    Literal(String),
    Pattern(Pattern),
}

/// A segment with names in it: `{id}`, `{name}.json`, `{from}-{to}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pattern {
    /// Before the first name.
    prefix: String,
    /// Each name, and what follows it.
    names: Vec<(String, String)>,
}

/// Why a text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TemplateError {
    NoSlash,
    Braces,
    NameTwice,
    Adjacent,
    Encoding,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSlash => "a path begins with `/`",
            Self::Braces => "a name in a path is written `{name}`",
            Self::NameTwice => "a name must not be in a path twice",
            Self::Adjacent => "two names in a path need something between them",
            Self::Encoding => "what varies in a path is no percent-encoding of UTF-8",
        })
    }
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let rest = text.strip_prefix('/').ok_or(TemplateError::NoSlash)?;
        let segments: Vec<_> = rest.split('/').map(segment).collect::<Result<_, _>>()?;
        let template = Self { segments };
        let names: Vec<_> = template.names().collect();
        if (1..names.len()).any(|at| names[..at].contains(&names[at])) {
            return Err(TemplateError::NameTwice);
        }
        Ok(template)
    }

    /// The names, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.segments
            .iter()
            .flat_map(|segment| match segment {
                Segment::Literal(_) => [].iter(),
                Segment::Pattern(pattern) => pattern.names.iter(),
            })
            .map(|(name, _)| name.as_str())
    }

    /// What stands for each name in `path`, as it is written there; `None` when the path is another one.
    pub(crate) fn captures<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let mut captured = Vec::new();
        let mut parts = path.strip_prefix('/')?.split('/');
        for segment in &self.segments {
            let part = parts.next()?;
            match segment {
                Segment::Literal(literal) => (same(part, literal)).then_some(())?,
                Segment::Pattern(pattern) => pattern.capture(part, &mut captured).then_some(())?,
            }
        }
        parts.next().is_none().then_some(captured)
    }
}

/// Whether a raw segment means this literal: `%6F` is `o`, and `%2F` is no slash between segments.
pub(crate) fn same(raw: &str, literal: &str) -> bool {
    raw == literal || (raw.contains('%') && decode(raw, Plus::Literal).is_ok_and(|text| text == literal))
}

impl Pattern {
    /// Pushes what stands for each name. Nothing is pushed where the pattern does not match; no name stands for
    /// nothing.
    pub(crate) fn capture<'p>(&self, raw: &'p str, captured: &mut Vec<&'p str>) -> bool {
        let before = captured.len();
        let matched = self.walk(raw, captured).is_some();
        if !matched {
            captured.truncate(before);
        }
        matched
    }

    /// The first place of what lies between two names, and the end for what lies last: if the pattern matches at all,
    /// it matches so.
    fn walk<'p>(&self, raw: &'p str, captured: &mut Vec<&'p str>) -> Option<()> {
        let mut rest = raw.strip_prefix(self.prefix.as_str())?;
        for (at, (_, literal)) in self.names.iter().enumerate() {
            let last = at + 1 == self.names.len();
            let first = rest.chars().next()?.len_utf8();
            let end = if last {
                rest.strip_suffix(literal.as_str())?.len()
            } else {
                rest[first..].find(literal.as_str())? + first
            };
            if end < first {
                return None;
            }
            captured.push(&rest[..end]);
            rest = &rest[end + literal.len()..];
        }
        Some(())
    }
}

fn segment(text: &str) -> Result<Segment, TemplateError> {
    if !text.contains(['{', '}']) {
        let literal = decode(text, Plus::Literal).map_err(|_| TemplateError::Encoding)?;
        return Ok(Segment::Literal(literal.into_owned()));
    }
    let (prefix, mut rest) = text.split_once('{').ok_or(TemplateError::Braces)?;
    let mut names = Vec::new();
    loop {
        let (name, after) = rest.split_once('}').ok_or(TemplateError::Braces)?;
        let (literal, next) = match after.split_once('{') {
            Some((literal, next)) => (literal, Some(next)),
            None => (after, None),
        };
        if name.is_empty() || name.contains('{') || literal.contains('}') {
            return Err(TemplateError::Braces);
        }
        if literal.is_empty() && next.is_some() {
            return Err(TemplateError::Adjacent);
        }
        names.push((name.to_owned(), literal.to_owned()));
        match next {
            Some(next) => rest = next,
            None => break,
        }
    }
    if prefix.contains('}') {
        return Err(TemplateError::Braces);
    }
    Ok(Segment::Pattern(Pattern { prefix: prefix.to_owned(), names }))
}

#[cfg(feature = "openapi")]
impl Segment {
    /// The same segment, whatever its names are.
    pub(crate) fn anonymous(&self) -> std::borrow::Cow<'_, Self> {
        use std::borrow::Cow;

        match self {
            Self::Literal(_) => Cow::Borrowed(self),
            Self::Pattern(pattern) => {
                let names =
                    pattern.names.iter().map(|(_, literal)| (String::new(), literal.clone())).collect();
                Cow::Owned(Self::Pattern(Pattern { prefix: pattern.prefix.clone(), names }))
            }
        }
    }

    /// How much of the segment is fixed: of two that match, the one with more wins.
    pub(crate) fn fixed(&self) -> usize {
        match self {
            Self::Literal(_) => usize::MAX,
            Self::Pattern(pattern) => {
                pattern.prefix.len() + pattern.names.iter().map(|(_, literal)| literal.len()).sum::<usize>()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn val_05_a_template_matches_whole_segments() {
        for (template, path, expected) in [
            ("/", "/", Some(vec![])),
            ("/orders", "/orders", Some(vec![])),
            ("/orders", "/%6Frders", Some(vec![])),
            ("/orders", "/Orders", None),
            ("/orders", "/orders/", None),
            ("/orders/", "/orders/", Some(vec![])),
            ("/orders/{id}", "/orders/7", Some(vec!["7"])),
            ("/orders/{id}", "/orders/a%2Fb", Some(vec!["a%2Fb"])),
            ("/orders/{id}", "/orders/", None),
            ("/orders/{id}", "/orders/7/", None),
            ("/orders/{id}", "/orders/7/lines", None),
            ("/f/{name}.json", "/f/a.b.json", Some(vec!["a.b"])),
            ("/f/{name}.json", "/f/.json", None),
            ("/f/v{a}-{b}", "/f/v1-2-3", Some(vec!["1", "2-3"])),
            ("/f/{a}-{b}.x", "/f/--.x", None),
            ("/f/{a}-{b}.x", "/f/---.x", Some(vec!["-", "-"])),
            ("/{a}/{b}", "/ü/%C3%BC", Some(vec!["ü", "%C3%BC"])),
        ] {
            assert_eq!(Template::parse(template).unwrap().captures(path), expected, "{template} {path}");
        }
    }

    #[test]
    fn lay_06_what_is_no_template_is_refused() {
        for (text, expected) in [
            ("orders", TemplateError::NoSlash),
            ("", TemplateError::NoSlash),
            ("/{", TemplateError::Braces),
            ("/}", TemplateError::Braces),
            ("/a}b{c}", TemplateError::Braces),
            ("/{}", TemplateError::Braces),
            ("/{a{b}}", TemplateError::Braces),
            ("/{a}}", TemplateError::Braces),
            ("/{a}/{a}", TemplateError::NameTwice),
            ("/{a}{b}", TemplateError::Adjacent),
            ("/%zz", TemplateError::Encoding),
        ] {
            assert_eq!(Template::parse(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn val_05_any_path_is_matched_without_a_panic() {
        let template = Template::parse("/x/{a}-{b}.json/{c}").unwrap();
        bolero::check!().with_type::<String>().for_each(|path| {
            let _ = template.captures(path);
            let _ = template.captures(&format!("/x/{path}/c"));
            let _ = Template::parse(path);
        });
    }
}
