//! JSON objects in which no name occurs twice (JWT-07).

use std::{borrow::Cow, fmt, hash::BuildHasher, sync::LazyLock};

use foldhash::fast::RandomState;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// The most members of one object.
const MAX_MEMBERS: usize = 256;

/// How many are remembered without an allocation: more than most tokens have.
const FEW: usize = 24;

/// The names of one object so far, as hashes under a random seed. That two names of a token have one hash is as
/// likely as that its signature was guessed.
pub(crate) struct Names {
    /// How many members there are, with those whose names are not hashed.
    count: usize,
    few: [u64; FEW],
    len: usize,
    more: Vec<u64>,
}

impl Names {
    pub(crate) fn new() -> Self {
        Self { count: 0, few: [0; FEW], len: 0, more: Vec::new() }
    }

    /// # Errors
    ///
    /// When the name was there before, or there are too many.
    pub(crate) fn add<E: Error>(&mut self, name: &str) -> Result<(), E> {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);
        let hash = SEED.hash_one(name);
        if self.few[..self.len].contains(&hash) || self.more.contains(&hash) {
            return Err(E::custom("a member occurs twice"));
        }
        self.count_one()?;
        match self.few.get_mut(self.len) {
            Some(place) => {
                *place = hash;
                self.len += 1;
            }
            None => self.more.push(hash),
        }
        Ok(())
    }

    /// The same for a name whose value has a place of its own: one that is taken tells a repetition, without a hash.
    pub(crate) fn add_placed<E: Error>(&mut self, is_taken: bool) -> Result<(), E> {
        if is_taken {
            return Err(E::custom("a member occurs twice"));
        }
        self.count_one()
    }

    fn count_one<E: Error>(&mut self) -> Result<(), E> {
        if self.count == MAX_MEMBERS {
            return Err(E::custom("too many members"));
        }
        self.count += 1;
        Ok(())
    }
}

/// A name, borrowed wherever it is written without an escape.
pub(crate) struct Text<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(text.to_owned().into()))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// Reads the text of a member to its place, where there is none yet.
pub(super) fn place_text<'de, A: MapAccess<'de>>(
    members: &mut A,
    names: &mut Names,
    place: &mut Option<Cow<'de, str>>,
) -> Result<(), A::Error> {
    names.add_placed(place.is_some())?;
    *place = Some(members.next_value::<Text<'de>>()?.0);
    Ok(())
}

/// A value that nobody looks at, but for names that occur twice in it.
pub(crate) struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Ignored {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = Names::new();
        while let Some(Text(name)) = members.next_key()? {
            names.add(&name)?;
            members.next_value::<Self>()?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(json: &str) -> bool {
        serde_json::from_str::<Ignored>(json).is_ok()
    }

    #[test]
    fn jwt_07_a_name_that_occurs_twice_is_found_at_any_depth_and_in_any_spelling() {
        for json in
            [r#"{"a":1,"b":{"a":[{"a":1},{"a":1}]}}"#, "[1,-1,0.5,null,true,\"\"]", r#"{"a":1,"A":1}"#]
        {
            assert!(passes(json), "{json}");
        }
        for json in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":1}"#, r#"[{"b":{"a":1,"c":2,"a":3}}]"#] {
            assert!(!passes(json), "{json}");
        }
    }

    #[test]
    fn jwt_07_many_members_cost_a_bounded_amount() {
        let object = |count: usize| {
            let members: Vec<_> = (0..count).map(|index| format!("\"{index}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(passes(&object(MAX_MEMBERS)) && !passes(&object(MAX_MEMBERS + 1)));
        let twice = object(100).replace("\"99\"", "\"3\"");
        assert!(!passes(&twice));
        assert!(!passes(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))), "depth is bounded, too");
    }
}
