//! Reads a payload into a type, and reports what does not fit without a word of the payload.
//!
//! The errors of serde_json quote what they find, so they are not used. The deserializer here has an error of its
//! own, which can hold nothing but what the code names: the fields of our types (`&'static str`), the places in lists,
//! the kind of the JSON value that was found, and what was expected in its place.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde_json::{Map, Value};

/// Names longer than this are not compared.
const MAX_NAME_BYTES: usize = 64;

/// The kind of a JSON value, in words for an error.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The name of the list that `key` most likely stands for: the same but for case and separators, or one or two
/// letters away.
pub fn near_miss<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.replace(['_', '-', ' '], "").to_lowercase();
    let key = Some(key).filter(|key| key.len() <= MAX_NAME_BYTES).map(plain)?;
    let distance = |name: &str| strsim::osa_distance(&key, &plain(name));
    let (distance, name) = known.iter().map(|name| (distance(name), *name)).min_by_key(|(distance, _)| *distance)?;
    (distance <= (name.len() + 2) / 4).then_some(name)
}

/// What is wrong with a field whose name is not known: with the name that was meant, if that is known. The
/// unknown name itself may be anything, and is not shown.
pub fn unknown_field(key: &str, known: &[&str]) -> String {
    match near_miss(key, known) {
        Some(name) => format!("has an unknown field: did you mean {name}? Names have to match exactly, case included"),
        None => format!("has an unknown field; it takes {}", known.join(", ")),
    }
}

/// Reads `value` as a `T`.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    T::deserialize(Node(value))
}

/// Why a payload does not fit.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    /// The way to the place, from the inside out.
    path: Vec<Place>,
    what: What,
}

#[derive(Debug, PartialEq)]
enum Place {
    Field(&'static str),
    Item(usize),
    /// A key that is none of our names.
    Key,
}

#[derive(Debug, PartialEq)]
enum What {
    Missing(&'static str),
    Twice(&'static str),
    /// The whole sentence, made by [`unknown_field`].
    Unknown(String),
    Unexpected {
        found: &'static str,
        expected: String,
    },
    Unfit,
}

impl Fault {
    fn new(what: What) -> Self {
        Self { path: Vec::new(), what }
    }

    fn unexpected(found: &'static str, expected: &dyn Expected) -> Self {
        Self::new(What::Unexpected { found, expected: in_words(&expected.to_string()) })
    }

    fn at(mut self, place: Place) -> Self {
        self.path.push(place);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        for place in self.path.iter().rev() {
            match place {
                Place::Field(name) if path.is_empty() => path.push_str(name),
                Place::Field(name) => path.push_str(&format!(".{name}")),
                Place::Item(index) => path.push_str(&format!("[{index}]")),
                Place::Key => path.push_str("[a key]"),
            }
        }
        let inside = if path.is_empty() { String::new() } else { format!("{path}.") };
        let it = if path.is_empty() { "it" } else { &path };
        match &self.what {
            What::Missing(name) => write!(f, "{inside}{name} is missing"),
            What::Twice(name) => write!(f, "{inside}{name} is given twice"),
            What::Unknown(what) => write!(f, "{it} {what}"),
            What::Unexpected { found, expected } => write!(f, "{it} is {found}; it has to be {expected}"),
            What::Unfit => write!(f, "{it} holds a value that is not valid"),
        }
    }
}

impl std::error::Error for Fault {}

/// What a type of ours expects, in words for people.
fn in_words(expected: &str) -> String {
    match expected {
        "a string" | "string" | "str" => "text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => "a whole number from 0".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other => other.to_owned(),
    }
}

fn found(unexpected: Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) => "text",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        _ => "a value of another kind",
    }
}

impl de::Error for Fault {
    // A text that somebody else's code makes may quote the value.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::new(What::Unfit)
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unexpected(found(unexpected), expected)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found(unexpected) {
            "a number" => "a number out of range",
            "text" => "another text",
            other => other,
        };
        Self::unexpected(found, expected)
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::unexpected("a list of another length", expected)
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::Unexpected { found: "another text", expected: format!("one of {}", known.join(", ")) })
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::Unknown(unknown_field(field, known)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(What::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(What::Twice(field))
    }
}

/// A JSON value whose errors are [`Fault`]s.
struct Node(Value);

impl IntoDeserializer<'_, Fault> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(Items { items: items.into_iter(), index: 0 }),
            Value::Object(fields) => visitor.visit_map(Fields::new(fields, &[])),
            Value::Number(number) => {
                if let Some(number) = number.as_u64() {
                    return visitor.visit_u64(number);
                }
                if let Some(number) = number.as_i64() {
                    return visitor.visit_i64(number);
                }
                // serde_json knows how to pass on a number with all of its digits; its errors say less than ours.
                let expected = in_words(&(&visitor as &dyn Expected).to_string());
                let wrong = |_| Fault::new(What::Unexpected { found: "a number", expected });
                number.deserialize_any(visitor).map_err(wrong)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Object(map) => visitor.visit_map(Fields::new(map, fields)),
            // serde takes a list for a struct, field by field: in a payload it is a mistake.
            other => Err(Fault::unexpected(kind(&other), &visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(IntoDeserializer::<Fault>::into_deserializer(text)),
            Value::Object(map) => visitor.visit_enum(MapAccessDeserializer::new(Fields::new(map, &[]))),
            other => Err(Fault::unexpected(kind(&other), &visitor)),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.as_f64() {
            Some(number) => visitor.visit_f64(number),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Items {
    items: std::vec::IntoIter<Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Node(item)).map(Some).map_err(|fault| fault.at(Place::Item(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Fields {
    fields: serde_json::map::IntoIter,
    known: &'static [&'static str],
    value: Option<(Place, Value)>,
}

impl Fields {
    fn new(fields: Map<String, Value>, known: &'static [&'static str]) -> Self {
        Self { fields: fields.into_iter(), known, value: None }
    }
}

impl<'de> MapAccess<'de> for Fields {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((key, value)) = self.fields.next() else { return Ok(None) };
        // A name of the code, never the key: what an error says of the place cannot come from the payload.
        let place = self.known.iter().find(|name| **name == key).map_or(Place::Key, |name| Place::Field(name));
        self.value = Some((place, value));
        seed.deserialize(StringDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let (place, value) = self.value.take().unwrap_or((Place::Key, Value::Null));
        seed.deserialize(Node(value)).map_err(|fault| fault.at(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it parses is of interest")]
    struct Request {
        procedure: String,
        #[serde(default)]
        dry_run: bool,
        timeout_seconds: Option<u32>,
        #[serde(default)]
        items: Vec<Item>,
        state: Option<State>,
        #[serde(default)]
        counts: BTreeMap<String, u8>,
        any: Option<Value>,
        share: Option<f64>,
        #[serde(default, deserialize_with = "picky")]
        checked: (),
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    #[expect(dead_code, reason = "only whether it parses is of interest")]
    struct Item {
        name: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    enum State {
        Ended,
    }

    fn picky<'de, D: Deserializer<'de>>(from: D) -> Result<(), D::Error> {
        let text = String::deserialize(from)?;
        Err(de::Error::custom(format!("{text} is not right")))
    }

    #[test]
    fn a_fault_names_the_field_the_kind_and_what_was_expected() {
        for (payload, said) in [
            (json!({}), "Procedure is missing"),
            (json!({"Procedure": 7}), "Procedure is a number; it has to be text"),
            (json!({"Procedure": ["hunter2"]}), "Procedure is a list; it has to be text"),
            (json!({"Procedure": null}), "Procedure is null; it has to be text"),
            (json!({"DryRun": "hunter2, expected b"}), "DryRun is text; it has to be true or false"),
            (
                json!({"TimeoutSeconds": "x`y, expected hunter2"}),
                "TimeoutSeconds is text; it has to be a whole number from 0 to 4294967295",
            ),
            (
                json!({"TimeoutSeconds": -1}),
                "TimeoutSeconds is a number out of range; it has to be a whole number from 0 to 4294967295",
            ),
            (
                json!({"TimeoutSeconds": 1.5}),
                "TimeoutSeconds is a number; it has to be a whole number from 0 to 4294967295",
            ),
            (json!({"Items": [{"Name": "a"}, {}]}), "Items[1].Name is missing"),
            (json!({"Items": [{"Name": {"hunter2": 1}}]}), "Items[0].Name is an object; it has to be text"),
            (json!({"Items": [["hunter2"]]}), "Items[0] is a list; it has to be an object"),
            (json!({"Items": "hunter2"}), "Items is text; it has to be a list"),
            (json!({"State": "hunter2"}), "State is another text; it has to be one of ENDED"),
            (
                json!({"Counts": {"hunter2": "hunter2"}}),
                "Counts[a key] is text; it has to be a whole number from 0 to 255",
            ),
            (json!({"Checked": "hunter2"}), "Checked holds a value that is not valid"),
            (
                json!({"dryRun": true}),
                "it has an unknown field: did you mean DryRun? Names have to match exactly, case included",
            ),
            (
                json!({"timeout_second": 1}),
                "it has an unknown field: did you mean TimeoutSeconds? Names have to match exactly, case included",
            ),
            (
                json!({"hunter2": 1}),
                "it has an unknown field; it takes Procedure, DryRun, TimeoutSeconds, Items, State, Counts, Any, Share, Checked",
            ),
        ] {
            let fault = read::<Request>(payload.clone()).expect_err(&payload.to_string());
            assert_eq!(fault.to_string(), said, "{payload}");
            assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        }
    }

    #[test]
    fn what_fits_is_read_with_all_its_digits() {
        let text = r#"{"Procedure": "p", "State": "ENDED", "Share": 2, "Counts": {"a": 1}, "TimeoutSeconds": null,
                       "Any": [12345678901234567890123, 0.10, -0.0, 1e+5, {"a": null}, 1e+400]}"#;
        let read: Request = read(serde_json::from_str(text).expect("JSON")).expect("fits");
        assert_eq!(read.share, Some(2.0));
        let any = read.any.expect("there").to_string();
        assert_eq!(any, r#"[12345678901234567890123,0.10,-0.0,1e+5,{"a":null},1e+400]"#);
    }

    #[test]
    fn a_near_miss_finds_the_name_that_was_meant() {
        let known = &["Procedure", "Procedures", "DryRun", "Sql", "MaxAttempts"];
        for (key, name) in [
            ("dryRun", Some("DryRun")),
            ("dry_run", Some("DryRun")),
            ("DRYRUN", Some("DryRun")),
            ("procedures", Some("Procedures")),
            ("procedure", Some("Procedure")),
            ("Prcoedures", Some("Procedures")),
            ("MaxAttempt", Some("MaxAttempts")),
            ("SQL", Some("Sql")),
            ("hunter2", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(near_miss(key, known), name, "{key}");
        }
        assert_eq!(near_miss(&"DryRun".repeat(100), known), None);
    }
}
