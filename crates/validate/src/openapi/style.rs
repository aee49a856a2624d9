//! How a parameter's value is written: the styles of OpenAPI, most of them of RFC 6570.

use std::borrow::Cow;

use bartizan_core::Location;
use serde_json::{Map, Value};

use crate::params::{MAX_DEPTH, Pairs, Plus, Prefer, Shape, Types, decode};

/// A style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
}

impl Style {
    pub(super) fn default_of(location: Location) -> Self {
        match location {
            Location::Path | Location::Header => Self::Simple,
            _ => Self::Form,
        }
    }

    /// The style of this name, if parameters of this location may have it.
    pub(super) fn named(name: &str, location: Location) -> Option<Self> {
        let style = match name {
            "simple" => Self::Simple,
            "label" => Self::Label,
            "matrix" => Self::Matrix,
            "form" => Self::Form,
            "spaceDelimited" => Self::SpaceDelimited,
            "pipeDelimited" => Self::PipeDelimited,
            "deepObject" => Self::DeepObject,
            _ => return None,
        };
        let fits = match location {
            Location::Path => matches!(style, Self::Simple | Self::Label | Self::Matrix),
            Location::Header => style == Self::Simple,
            Location::Cookie => style == Self::Form,
            _ => !matches!(style, Self::Simple | Self::Label | Self::Matrix),
        };
        fits.then_some(style)
    }
}

/// What is wrong with how a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not decodable.
    Encoding,
    /// It is there twice.
    Repeated,
    /// It is not of its style.
    Syntax,
}

/// What a text may be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Object,
    List,
    Scalar,
}

/// Where a parameter's value is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// In one text: a part of the path, a header.
    Text(&'a str),
    /// Among others: a query, cookies, a form.
    Pairs(&'a Pairs<'a>),
}

/// How one parameter's value is written.
#[derive(Clone, Debug)]
pub(super) struct Codec {
    pub(super) name: String,
    pub(super) style: Style,
    pub(super) explode: bool,
    pub(super) shape: Shape,
    /// Names that belong to other parameters, which an object of any members must leave alone.
    pub(super) taken: Vec<String>,
    /// How texts are encoded; `None` where they are not.
    pub(super) plus: Option<Plus>,
}

/// A value in pieces that are not decoded.
enum Raw<'a> {
    Scalar(&'a str),
    List(Vec<&'a str>),
    Object(Vec<(Cow<'a, str>, &'a str)>),
    /// Members within members.
    Deep(Vec<(Vec<String>, &'a str)>),
}

impl Codec {
    /// What the value may be read as, the most telling first.
    pub(super) fn wants(&self) -> impl Iterator<Item = Want> + use<> {
        let types = self.shape.types;
        let untyped = types == Types::ANY;
        let deep = self.style == Style::DeepObject;
        let wants = if untyped {
            [(!deep, Want::Scalar), (!deep, Want::List), (deep, Want::Object)]
        } else {
            [
                (types.has(Types::OBJECT), Want::Object),
                (types.has(Types::ARRAY) && !deep, Want::List),
                (types.has(Types::SCALAR) && !deep, Want::Scalar),
            ]
        };
        wants.into_iter().filter_map(|(may, want)| may.then_some(want))
    }

    /// The value, read as `want`; `None` when there is none.
    pub(super) fn read(
        &self,
        source: Source<'_>,
        want: Want,
        prefer: Prefer,
    ) -> Result<Option<Value>, Fault> {
        let raw = match source {
            Source::Text(text) => Some(self.split_text(text, want)?),
            Source::Pairs(pairs) => self.split_pairs(pairs, want)?,
        };
        raw.map(|raw| self.value(raw, prefer)).transpose()
    }

    /// Whether a pair of this name belongs to this parameter.
    pub(super) fn claims(&self, name: &str) -> bool {
        if self.style == Style::DeepObject {
            return name.strip_prefix(self.name.as_str()).is_some_and(|rest| rest.starts_with('['));
        }
        self.name == name || (self.is_exploded_object() && self.claims_member(name))
    }

    fn is_exploded_object(&self) -> bool {
        self.explode && self.shape.types != Types::ANY && self.shape.types.has(Types::OBJECT)
    }

    fn claims_member(&self, name: &str) -> bool {
        self.shape.names(name) || (self.shape.is_open() && !self.taken.iter().any(|taken| taken == name))
    }

    fn split_text<'a>(&self, text: &'a str, want: Want) -> Result<Raw<'a>, Fault> {
        let (text, between) = match self.style {
            Style::Label => {
                let text = text.strip_prefix('.').ok_or(Fault::Syntax)?;
                // Versions before 3.0.4 and 3.1.1 show dots here, RFC 6570 commas.
                (text, if self.explode || !text.contains(',') { '.' } else { ',' })
            }
            Style::Matrix => return self.split_matrix(text, want),
            _ => (text, ','),
        };
        Ok(match want {
            Want::Scalar => Raw::Scalar(text),
            Want::List => Raw::List(pieces(text, between)),
            Want::Object if self.explode => Raw::Object(equations(pieces(text, between))?),
            Want::Object => Raw::Object(couples(&pieces(text, between))?),
        })
    }

    /// `;name=value`, and for what is exploded one such for each item or member.
    fn split_matrix<'a>(&self, text: &'a str, want: Want) -> Result<Raw<'a>, Fault> {
        let text = text.strip_prefix(';').ok_or(Fault::Syntax)?;
        let value = |piece: &'a str| {
            let rest = piece.strip_prefix(self.name.as_str()).ok_or(Fault::Syntax)?;
            // An empty value has no `=` (RFC 6570 section 3.2.7).
            if rest.is_empty() { Ok(rest) } else { rest.strip_prefix('=').ok_or(Fault::Syntax) }
        };
        Ok(match want {
            Want::Scalar => Raw::Scalar(value(text)?),
            Want::List if self.explode => Raw::List(text.split(';').map(value).collect::<Result<_, _>>()?),
            Want::List => Raw::List(pieces(value(text)?, ',')),
            Want::Object if self.explode => Raw::Object(equations(text.split(';').collect())?),
            Want::Object => Raw::Object(couples(&pieces(value(text)?, ','))?),
        })
    }

    fn split_pairs<'a>(&self, pairs: &'a Pairs<'a>, want: Want) -> Result<Option<Raw<'a>>, Fault> {
        if self.style == Style::DeepObject {
            return self.split_deep(pairs);
        }
        if want == Want::Object && self.explode {
            let own: Vec<_> = pairs
                .iter()
                .filter(|(name, _)| self.claims_member(name))
                .map(|(name, value)| (Cow::Borrowed(name), value))
                .collect();
            return Ok((!own.is_empty()).then_some(Raw::Object(own)));
        }
        let mut values = pairs.values(&self.name);
        let Some(first) = values.next() else { return Ok(None) };
        if want == Want::List && self.explode {
            let values: Vec<_> = std::iter::once(first).chain(values).collect();
            let none = values == [""] && !self.shape.item().types.has(Types::STRING);
            return Ok(Some(Raw::List(if none { Vec::new() } else { values })));
        }
        if values.next().is_some() {
            return Err(Fault::Repeated);
        }
        Ok(Some(match want {
            Want::Scalar => Raw::Scalar(first),
            Want::List => Raw::List(self.delimited(first)),
            Want::Object => Raw::Object(couples(&self.delimited(first))?),
        }))
    }

    /// What stands between the delimiters of the style. A space and a bar are encoded, as nothing else can be in a
    /// query; a comma that is encoded is data.
    fn delimited<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let delimiters: &[&str] = match self.style {
            Style::SpaceDelimited => &["%20", "+"],
            Style::PipeDelimited => &["|", "%7C", "%7c"],
            _ => &[","],
        };
        let mut found = Vec::new();
        let (mut start, mut at) = (0, 0);
        while at < text.len() && !text.is_empty() {
            let rest = &text.as_bytes()[at..];
            match delimiters.iter().find(|delimiter| rest.starts_with(delimiter.as_bytes())) {
                Some(delimiter) => {
                    found.push(&text[start..at]);
                    at += delimiter.len();
                    start = at;
                }
                None => at += 1,
            }
        }
        if !text.is_empty() {
            found.push(&text[start..]);
        }
        found
    }

    /// `name[member]=value`, and members within members.
    fn split_deep<'a>(&self, pairs: &'a Pairs<'a>) -> Result<Option<Raw<'a>>, Fault> {
        let mut found = Vec::new();
        for (name, value) in pairs.iter() {
            let Some(mut rest) = name.strip_prefix(self.name.as_str()).filter(|rest| rest.starts_with('['))
            else {
                continue;
            };
            let mut path = Vec::new();
            while !rest.is_empty() {
                let (member, after) =
                    rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or(Fault::Syntax)?;
                if path.len() == MAX_DEPTH {
                    return Err(Fault::Syntax);
                }
                path.push(member.to_owned());
                rest = after;
            }
            found.push((path, value));
        }
        Ok((!found.is_empty()).then_some(Raw::Deep(found)))
    }

    fn text<'a>(&self, raw: &'a str) -> Result<Cow<'a, str>, Fault> {
        match self.plus {
            Some(plus) => decode(raw, plus).map_err(|_| Fault::Encoding),
            None => Ok(Cow::Borrowed(raw.trim())),
        }
    }

    fn value(&self, raw: Raw<'_>, prefer: Prefer) -> Result<Value, Fault> {
        match raw {
            Raw::Scalar(raw) => Ok(self.shape.scalar(&self.text(raw)?, prefer)),
            Raw::List(items) => {
                let shape = self.shape.item();
                let item = |raw: &str| Ok(shape.scalar(&self.text(raw)?, prefer));
                items.into_iter().map(item).collect::<Result<_, _>>().map(Value::Array)
            }
            Raw::Object(members) => {
                let mut object = Map::new();
                for (name, raw) in members {
                    let name = match name {
                        // Names of pairs are decoded already.
                        name if self.explode && self.style == Style::Form => name,
                        name => Cow::Owned(self.text(&name)?.into_owned()),
                    };
                    self.insert(&mut object, &self.shape, &name, raw, prefer)?;
                }
                Ok(Value::Object(object))
            }
            Raw::Deep(members) => {
                let mut object = Map::new();
                for (path, raw) in members {
                    self.insert_deep(&mut object, &self.shape, &path, raw, prefer)?;
                }
                Ok(Value::Object(object))
            }
        }
    }

    /// One more member: of one that may be an array, one more item.
    fn insert(
        &self,
        object: &mut Map<String, Value>,
        shape: &Shape,
        name: &str,
        raw: &str,
        prefer: Prefer,
    ) -> Result<(), Fault> {
        let any = Shape::any();
        let shape = shape.member(name).unwrap_or(&any);
        let text = self.text(raw)?;
        let is_list = shape.types != Types::ANY && shape.types.has(Types::ARRAY);
        if !is_list {
            let value = shape.scalar(&text, prefer);
            return if object.insert(name.to_owned(), value).is_none() {
                Ok(())
            } else {
                Err(Fault::Repeated)
            };
        }
        let item = shape.item().scalar(&text, prefer);
        match object.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(items) => items.push(item),
            _ => return Err(Fault::Syntax),
        }
        Ok(())
    }

    fn insert_deep(
        &self,
        object: &mut Map<String, Value>,
        shape: &Shape,
        path: &[String],
        raw: &str,
        prefer: Prefer,
    ) -> Result<(), Fault> {
        match path {
            [] => Err(Fault::Syntax),
            [name] => self.insert(object, shape, name, raw, prefer),
            // `name[]=value`, as many write an item.
            [name, last] if last.is_empty() => self.insert(object, shape, name, raw, prefer),
            [name, rest @ ..] => {
                let any = Shape::any();
                let shape = shape.member(name).unwrap_or(&any);
                match object.entry(name).or_insert_with(|| Value::Object(Map::new())) {
                    Value::Object(inner) => self.insert_deep(inner, shape, rest, raw, prefer),
                    _ => Err(Fault::Syntax),
                }
            }
        }
    }
}

/// An empty text has no pieces.
fn pieces(text: &str, between: char) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split(between).collect() }
}

/// `name=value` in each piece.
fn equations(pieces: Vec<&str>) -> Result<Vec<(Cow<'_, str>, &str)>, Fault> {
    let equation = |(name, value)| (Cow::Borrowed(name), value);
    pieces.into_iter().map(|piece| piece.split_once('=').map(equation).ok_or(Fault::Syntax)).collect()
}

/// A name, its value, a name and so on.
fn couples<'a>(pieces: &[&'a str]) -> Result<Vec<(Cow<'a, str>, &'a str)>, Fault> {
    let couples = pieces.chunks_exact(2);
    if !couples.remainder().is_empty() {
        return Err(Fault::Syntax);
    }
    Ok(couples.map(|couple| (Cow::Borrowed(couple[0]), couple[1])).collect())
}
