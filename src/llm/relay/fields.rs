//! A JSON object and a JSON list, with their values as they are written.

use std::{fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::body::InvalidBody;

/// Fields of a request; the API has some forty.
const MOST_FIELDS: usize = 256;
/// Messages of a request, or texts to be embedded.
pub(super) const MOST_ITEMS: usize = 16_384;
/// Fields that are looked at.
const KNOWN: [&str; 15] = [
    "model",
    "messages",
    "input",
    "prompt",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n",
    "background",
    "previous_response_id",
    "conversation",
    "user",
    "safety_identifier",
];

/// Refuses what upstreams may read differently: a name twice, also in other letters, and what is nearly a known one.
pub(super) fn check_names(fields: &[(String, Range<usize>)]) -> Result<(), InvalidBody> {
    // As languages fold that compare names without case: the long s and the Kelvin sign are letters too.
    let fold = |name: &str| -> String {
        let fold = |c: char| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        };
        name.chars().map(fold).collect()
    };
    let mut folded: Vec<(String, &str)> = fields.iter().map(|(name, _)| (fold(name), name.as_str())).collect();
    if let Some((known, _)) = folded.iter().find(|(folded, name)| folded != name && KNOWN.contains(&folded.as_str())) {
        return Err(InvalidBody { field: None, message: format!("'{known}' must be written so, in small letters") });
    }
    folded.sort_unstable();
    match folded.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        true => Err(InvalidBody { field: None, message: "a field is there twice".to_owned() }),
        false => Ok(()),
    }
}

/// An object, with its values as they are written.
pub(super) struct Fields<'j>(pub(super) Vec<(String, &'j RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, &'de RawValue>()? {
                    if fields.len() == MOST_FIELDS {
                        return Err(A::Error::custom(format!("more than {MOST_FIELDS} fields")));
                    }
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// A list, with its items as they are written.
pub(super) struct Items<'j>(pub(super) Vec<&'j RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element::<&'de RawValue>()? {
                    if items.len() == MOST_ITEMS {
                        return Err(A::Error::custom("too many"));
                    }
                    items.push(item);
                }
                if items.is_empty() { Err(A::Error::custom("none")) } else { Ok(Items(items)) }
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}
