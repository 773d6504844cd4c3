//! The body of `message/send` (page 90236). Knows the wire's names and nothing of the sending.
//!
//! To send another kind of message, add a variant to `Kind`.

use serde::Serialize;
use serde_json::Value;

use super::upload::Uploaded;
use crate::model::{
    id::{AgentId, MemberId},
    reply::{AttachmentKind, Card, Format},
};

/// Seconds within which WeCom does not show the same message twice: four hours, the most it offers. So a call that is
/// repeated because its answer was lost does no harm.
const DUPLICATE_CHECK_INTERVAL: u32 = 14_400;

/// What is posted. Two of one message are equal to the byte, because the duplicate check compares.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    touser: &'a str,
    /// A JSON number: WeCom refuses a string (40056).
    agentid: u64,
    #[serde(flatten)]
    content: &'a Content<'a>,
    enable_duplicate_check: u8,
    duplicate_check_interval: u32,
}

/// What is said, under the key that `msgtype` names.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Content<'a>(Kind<'a>);

#[derive(Debug, Serialize)]
#[serde(tag = "msgtype", rename_all = "snake_case")]
enum Kind<'a> {
    Text { text: Words },
    Markdown { markdown: Words },
    Image { image: Media<'a> },
    Voice { voice: Media<'a> },
    File { file: Media<'a> },
    TemplateCard { template_card: &'a Value },
}

#[derive(Debug, Serialize)]
struct Words {
    content: String,
}

#[derive(Debug, Serialize)]
struct Media<'a> {
    media_id: &'a str,
}

impl<'a> Content<'a> {
    /// Words.
    pub fn words(format: Format, content: impl Into<String>) -> Self {
        let words = Words { content: content.into() };
        Self(match format {
            Format::Text => Kind::Text { text: words },
            Format::Markdown => Kind::Markdown { markdown: words },
        })
    }

    /// What was uploaded, as what it was uploaded.
    pub fn uploaded(uploaded: &'a Uploaded) -> Self {
        let media = Media { media_id: &uploaded.media_id };
        Self(match uploaded.kind {
            AttachmentKind::Image => Kind::Image { image: media },
            AttachmentKind::Voice => Kind::Voice { voice: media },
            AttachmentKind::File => Kind::File { file: media },
        })
    }

    /// A template card.
    pub const fn card(card: &'a Card) -> Self {
        Self(Kind::TemplateCard { template_card: card.card() })
    }
}

impl<'a> Message<'a> {
    /// `content` for `to`, in the name of `agent`.
    pub(super) fn new(agent: AgentId, to: &'a MemberId, content: &'a Content<'a>) -> Self {
        Self {
            touser: to.as_str(),
            agentid: agent.get(),
            content,
            enable_duplicate_check: 1,
            duplicate_check_interval: DUPLICATE_CHECK_INTERVAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_what_wecom_documents_in_raw_utf8() {
        let to = MemberId::parse("ZhangSan").expect("member");
        let body =
            |content| serde_json::to_string(&Message::new(AgentId::new(1_000_002), &to, &content)).expect("serializes");
        let check = r#""enable_duplicate_check":1,"duplicate_check_interval":14400}"#;
        let head = r#"{"touser":"ZhangSan","agentid":1000002,"#;
        let [image, voice, file] = [AttachmentKind::Image, AttachmentKind::Voice, AttachmentKind::File]
            .map(|kind| Uploaded { kind, media_id: "M1".to_owned() });
        let card = Card::new("t1", serde_json::json!({"card_type": "text_notice"})).expect("card");
        let cases = [
            (Content::words(Format::Text, "你好\n<3"), r#""msgtype":"text","text":{"content":"你好\n<3"}"#),
            (Content::words(Format::Markdown, "# 你"), r##""msgtype":"markdown","markdown":{"content":"# 你"}"##),
            (Content::uploaded(&image), r#""msgtype":"image","image":{"media_id":"M1"}"#),
            (Content::uploaded(&voice), r#""msgtype":"voice","voice":{"media_id":"M1"}"#),
            (Content::uploaded(&file), r#""msgtype":"file","file":{"media_id":"M1"}"#),
            (
                Content::card(&card),
                r#""msgtype":"template_card","template_card":{"card_type":"text_notice","task_id":"t1"}"#,
            ),
        ];
        for (content, expected) in cases {
            assert_eq!(body(content), format!("{head}{expected},{check}"));
        }
    }
}
