//! One message of a conversation, as it is sent: a plain string where it is text, parts where it has pictures.

use std::fmt;

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeMap};

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whose it is.
    pub role: Role,
    /// Its text.
    pub content: String,
    /// What is shown with it, before the text. Only models that have vision take any.
    pub pictures: Vec<Picture>,
}

/// Whose a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The house's instructions.
    System,
    /// The member's question.
    User,
    /// What the model answered.
    Assistant,
}

/// A picture as a model takes it. Clones share the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// `image/jpeg` or `image/png`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Bytes,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

impl Message {
    /// The house's instructions.
    pub fn system(content: impl Into<String>) -> Self {
        Self::plain(Role::System, content.into())
    }

    /// What the member asks.
    pub fn user(content: impl Into<String>) -> Self {
        Self::plain(Role::User, content.into())
    }

    /// What the model answered.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::plain(Role::Assistant, content.into())
    }

    /// The same with pictures.
    pub fn with_pictures(self, pictures: Vec<Picture>) -> Self {
        Self { pictures, ..self }
    }

    const fn plain(role: Role, content: String) -> Self {
        Self { role, content, pictures: Vec::new() }
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut message = serializer.serialize_map(None)?;
        message.serialize_entry("role", &self.role)?;
        if self.pictures.is_empty() {
            message.serialize_entry("content", &self.content)?;
        } else {
            message.serialize_entry("content", &Parts(self))?;
        }
        message.end()
    }
}

/// The content of a message with pictures.
struct Parts<'a>(&'a Message);

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Message { content, pictures, .. } = self.0;
        let pictures = pictures.iter().map(|picture| Part::ImageUrl { image_url: Url { url: DataUrl(picture) } });
        let text = (!content.is_empty()).then_some(Part::Text { text: content });
        serializer.collect_seq(pictures.chain(text))
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: Url<'a> },
}

#[derive(Serialize)]
struct Url<'a> {
    url: DataUrl<'a>,
}

/// Written straight into the body, so that a picture is in memory once as it is and once as it is sent.
struct DataUrl<'a>(&'a Picture);

impl Serialize for DataUrl<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Picture { media_type, bytes } = self.0;
        serializer.collect_str(&format_args!("data:{media_type};base64,{}", Base64Display::new(bytes, &STANDARD)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_a_string_and_pictures_are_parts_before_it() {
        let json = |message: &Message| serde_json::to_value(message).expect("json");
        assert_eq!(serde_json::to_string(&Message::user("在吗")).expect("json"), r#"{"role":"user","content":"在吗"}"#);
        let picture = Picture { media_type: "image/png", bytes: Bytes::from_static(b"\x89PNG?") };
        let seen = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORz8=" } });
        let asked = Message::user("左边是什么？").with_pictures(vec![picture.clone(), picture.clone()]);
        assert_eq!(
            json(&asked),
            json!({ "role": "user", "content": [seen, seen, { "type": "text", "text": "左边是什么？" }] })
        );
        let wordless = Message::user("").with_pictures(vec![picture]);
        assert_eq!(json(&wordless), json!({ "role": "user", "content": [seen] }));
        assert!(!format!("{wordless:?}").contains("137"), "a picture's bytes are in no log");
    }
}
