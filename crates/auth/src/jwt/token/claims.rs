//! The claims of a token (RFC 7519 section 4, RFC 9068 section 2.2), read once.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

use super::members::{Ignored, Names, Text, place_text};
use crate::{Failure, pop::Confirmation};

/// The claims that decide, and those that say who the caller is. Borrowed from the token where they can be.
#[derive(Debug, Default)]
pub(crate) struct Claims<'a> {
    pub(crate) issuer: Option<Cow<'a, str>>,
    pub(crate) subject: Option<Cow<'a, str>>,
    pub(crate) audience: Many<'a>,
    pub(crate) expires_at: Option<Duration>,
    pub(crate) not_before: Option<Duration>,
    pub(crate) issued_at: Option<Duration>,
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) client: Option<Cow<'a, str>>,
    /// `azp`, where there is no `client_id`.
    pub(crate) authorized_party: Option<Cow<'a, str>>,
    pub(crate) scope: Option<Many<'a>>,
    /// `scp`, where there is no `scope`.
    pub(crate) scp: Option<Many<'a>>,
    pub(crate) roles: Many<'a>,
    pub(crate) tenant: Option<Cow<'a, str>>,
    pub(crate) tier: Option<Cow<'a, str>>,
    /// `cnf`.
    pub(crate) confirmation: Confirmation,
    /// A claim that only an ID token or a logout token has.
    pub(crate) is_no_access_token: bool,
}

/// Where an issuer puts what no standard names.
#[derive(Clone, Debug)]
pub(crate) struct ClaimNames {
    pub(crate) roles: Box<str>,
    pub(crate) tenant: Option<Box<str>>,
    pub(crate) tier: Option<Box<str>>,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self { roles: "roles".into(), tenant: None, tier: None }
    }
}

impl<'a> Claims<'a> {
    /// Reads claims, of which there are none yet, to where they stay.
    ///
    /// # Errors
    ///
    /// When it is not one JSON object without repetitions, or a claim is of the wrong type.
    pub(crate) fn fill(&mut self, json: &'a str, names: &ClaimNames) -> Result<(), Failure> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let into = ReadInto { claims: self, names };
        into.deserialize(&mut deserializer).map_err(|error| failure(&error))?;
        deserializer.end().map_err(|error| failure(&error))
    }

    #[cfg(test)]
    pub(crate) fn read(json: &'a str, names: &ClaimNames) -> Result<Self, Failure> {
        let mut claims = Self::default();
        claims.fill(json, names).map(|()| claims)
    }

    /// What the token was granted: `scope`, else `scp`.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &str> {
        let granted = self.scope.as_ref().or(self.scp.as_ref());
        granted
            .into_iter()
            .flat_map(Many::iter)
            .flat_map(|scope| scope.split(' '))
            .filter(|one| !one.is_empty())
    }
}

fn failure(error: &serde_json::Error) -> Failure {
    if error.is_data() { Failure::InvalidClaims } else { Failure::Malformed }
}

/// Reads claims to where they stay: they are large, and each step of a parser would move them.
struct ReadInto<'c, 'de> {
    claims: &'c mut Claims<'de>,
    names: &'c ClaimNames,
}

impl<'de> DeserializeSeed<'de> for ReadInto<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ReadInto<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let Self { claims, names: places } = self;
        let mut names = Names::new();
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "iss" => place_text(&mut members, &mut names, &mut claims.issuer)?,
                "sub" => place_text(&mut members, &mut names, &mut claims.subject)?,
                "exp" => place_date(&mut members, &mut names, &mut claims.expires_at)?,
                "nbf" => place_date(&mut members, &mut names, &mut claims.not_before)?,
                "iat" => place_date(&mut members, &mut names, &mut claims.issued_at)?,
                "jti" => place_text(&mut members, &mut names, &mut claims.id)?,
                "client_id" => place_text(&mut members, &mut names, &mut claims.client)?,
                "azp" => place_text(&mut members, &mut names, &mut claims.authorized_party)?,
                "scope" => place_many(&mut members, &mut names, &mut claims.scope)?,
                "scp" => place_many(&mut members, &mut names, &mut claims.scp)?,
                other => {
                    names.add(other)?;
                    claims.read_other(other, places, &mut members)?;
                }
            }
        }
        Ok(())
    }
}

impl<'de> Claims<'de> {
    /// Those whose places do not tell whether they were there before.
    fn read_other<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        places: &ClaimNames,
        members: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            "aud" => members.next_value_seed(&mut self.audience)?,
            "cnf" => self.confirmation = members.next_value()?,
            "at_hash" | "c_hash" | "s_hash" | "events" => {
                members.next_value::<Ignored>()?;
                self.is_no_access_token = true;
            }
            // Keycloak's tokens say so: `Bearer`, `ID`, `Refresh`, `Offline`, `Logout`.
            "typ" => {
                const OTHERS: [&str; 4] = ["ID", "Refresh", "Offline", "Logout"];
                let typ = members.next_value::<Text<'de>>()?.0;
                self.is_no_access_token |= OTHERS.iter().any(|other| typ.eq_ignore_ascii_case(other));
            }
            name if name == &*places.roles => members.next_value_seed(&mut self.roles)?,
            name if Some(name) == places.tenant.as_deref() => {
                self.tenant = Some(members.next_value::<Text<'de>>()?.0);
            }
            name if Some(name) == places.tier.as_deref() => {
                self.tier = Some(members.next_value::<Text<'de>>()?.0);
            }
            _ => {
                members.next_value::<Ignored>()?;
            }
        }
        Ok(())
    }
}

fn place_date<'de, A: MapAccess<'de>>(
    members: &mut A,
    names: &mut Names,
    place: &mut Option<Duration>,
) -> Result<(), A::Error> {
    names.add_placed(place.is_some())?;
    *place = Some(members.next_value::<NumericDate>()?.0);
    Ok(())
}

fn place_many<'de, A: MapAccess<'de>>(
    members: &mut A,
    names: &mut Names,
    place: &mut Option<Many<'de>>,
) -> Result<(), A::Error> {
    names.add_placed(place.is_some())?;
    members.next_value_seed(place.insert(Many::default()))
}

/// Seconds since 1970, which may have a fraction (RFC 7519 section 2), and no sign.
struct NumericDate(Duration);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DateVisitor;

        impl Visitor<'_> for DateVisitor {
            type Value = NumericDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds since 1970")
            }

            fn visit_u64<E>(self, seconds: u64) -> Result<Self::Value, E> {
                Ok(NumericDate(Duration::from_secs(seconds)))
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Self::Value, E> {
                Duration::try_from_secs_f64(seconds)
                    .map(NumericDate)
                    .map_err(|_| E::custom("not a time that a token can have"))
            }
        }

        // Not any: with serde_json's `arbitrary_precision`, which whoever else is in the build can turn on, a fraction is
        // then a map. Whole seconds come as such all the same.
        deserializer.deserialize_f64(DateVisitor)
    }
}

/// One string, or an array of them.
#[derive(Debug, Default)]
pub(crate) struct Many<'a> {
    few: [Option<Cow<'a, str>>; 4],
    more: Vec<Cow<'a, str>>,
}

impl<'a> Many<'a> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.few.iter().flatten().chain(&self.more).map(|text| &**text)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.few[0].is_none()
    }

    fn push(&mut self, text: Cow<'a, str>) {
        match self.few.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(text),
            None => self.more.push(text),
        }
    }
}

/// To where it stays, as the claims are.
impl<'de> DeserializeSeed<'de> for &mut Many<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Many<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        self.push(text.into());
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        self.push(text.to_owned().into());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while let Some(Text(text)) = items.next_element()? {
            self.push(text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Claims<'_>, Failure> {
        Claims::read(json, &ClaimNames::default())
    }

    #[test]
    fn jwt_07_claims_are_one_object_without_repetitions() {
        assert!(read(" {\"sub\":\"a\"} ").is_ok());
        for json in ["", "null", "[]", "{}{}", "{} x", r#"{"sub":"a","#, "\u{feff}{}", "'{}'"] {
            assert!(read(json).is_err(), "{json}");
        }
        for json in [r#"{"sub":"a","sub":"a"}"#, r#"{"sub":"a","\u0073ub":"b"}"#, r#"{"x":{"y":1,"y":1}}"#] {
            assert_eq!(read(json).unwrap_err(), Failure::InvalidClaims, "{json}");
        }
        let texts = ["iss", "sub", "aud", "jti", "client_id", "azp", "scope", "scp", "roles", "at_hash", "x"];
        let all =
            texts.map(|name| (name, "\"\"")).into_iter().chain(["exp", "nbf", "iat"].map(|name| (name, "0")));
        for (name, value) in all {
            let once = format!(r#""{name}":{value}"#);
            assert!(read(&format!("{{{once}}}")).is_ok(), "{name}");
            let json = format!(r#"{{{once},"y":1,{once}}}"#);
            assert_eq!(read(&json).unwrap_err(), Failure::InvalidClaims, "{name}");
        }
    }

    #[test]
    fn jwt_10_a_date_is_a_number_that_is_a_time() {
        let exp =
            |value: &str| read(&format!(r#"{{"exp":{value}}}"#)).map(|claims| claims.expires_at.unwrap());
        assert_eq!(exp("1"), Ok(Duration::from_secs(1)));
        assert_eq!(exp("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(exp("1e3"), Ok(Duration::from_secs(1000)));
        assert_eq!(exp("18446744073709551615"), Ok(Duration::from_secs(u64::MAX)));
        for value in
            ["-1", "-0.5", "1e400", "1e300", "\"1\"", "null", "true", "[1]", "{}", "NaN", "Infinity", "0x1"]
        {
            assert!(exp(value).is_err(), "{value}");
        }
    }

    #[test]
    fn jwt_10_a_fraction_is_read_whatever_else_a_build_asks_of_serde_json() {
        use serde::de::value::{Error, MapDeserializer};

        /// As serde_json is with `arbitrary_precision`.
        struct Arbitrary(f64);

        impl<'de> Deserializer<'de> for Arbitrary {
            type Error = Error;

            fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                let number = [("$serde_json::private::Number", self.0.to_string())];
                visitor.visit_map(MapDeserializer::new(number.into_iter()))
            }

            fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                visitor.visit_f64(self.0)
            }

            serde::forward_to_deserialize_any! {
                bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 char str string bytes byte_buf option unit
                unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
            }
        }

        let read_date = |number| NumericDate::deserialize(Arbitrary(number)).map(|date| date.0);
        assert_eq!(read_date(1.5), Ok(Duration::from_millis(1500)));
        assert!(read_date(-1.5).is_err() && read_date(f64::INFINITY).is_err());
        assert!(read(r#"{"x":1.5,"y":[1.5,{"z":1.5}]}"#).is_ok(), "nor does a claim that nobody looks at");
    }

    #[test]
    fn jwt_15_scopes_come_in_three_shapes() {
        for json in [
            r#"{"scope":"a b"}"#,
            r#"{"scope":" a  b "}"#,
            r#"{"scope":["a","b"]}"#,
            r#"{"scp":["a","b"]}"#,
            r#"{"scp":"a b"}"#,
            r#"{"scp":"c","scope":"a b"}"#,
            r#"{"scp":"c","scope":"\u0061 b"}"#,
        ] {
            assert_eq!(read(json).unwrap().scopes().collect::<Vec<_>>(), ["a", "b"], "{json}");
        }
        assert_eq!(read(r#"{"scope":""}"#).unwrap().scopes().count(), 0);
        assert_eq!(
            read(r#"{"scope":"","scp":"a"}"#).unwrap().scopes().count(),
            0,
            "nothing granted is nothing"
        );
        for json in [r#"{"scope":1}"#, r#"{"scope":[1]}"#, r#"{"scope":null}"#, r#"{"scope":{"a":1}}"#] {
            assert_eq!(read(json).unwrap_err(), Failure::InvalidClaims, "{json}");
        }
    }

    #[test]
    fn jwt_12_an_audience_is_a_string_or_an_array_of_any_length() {
        let many: Vec<_> = (0..9).map(|index| index.to_string()).collect();
        let json = serde_json::json!({"aud": many}).to_string();
        assert_eq!(read(&json).unwrap().audience.iter().collect::<Vec<_>>(), many);
        assert!(read(r#"{"aud":[]}"#).unwrap().audience.is_empty());
        assert!(read(r#"{"aud":"a"}"#).unwrap().audience.iter().eq(["a"]));
        assert_eq!(read(r#"{"aud":[["a"]]}"#).unwrap_err(), Failure::InvalidClaims);
    }

    #[test]
    fn jwt_07_any_claims_are_read_without_a_panic() {
        bolero::check!().with_type::<String>().for_each(|text| {
            let _ = read(text).map(|claims| claims.scopes().count());
            let quoted = serde_json::to_string(text).unwrap();
            let json = format!(r#"{{"sub":{quoted},"aud":[{quoted}],"scope":{quoted}}}"#);
            let claims = read(&json).unwrap();
            assert_eq!(claims.subject.as_deref(), Some(text.as_str()));
            assert!(claims.audience.iter().eq([text.as_str()]));
        });
    }
}
