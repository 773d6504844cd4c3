//! The body of `message/send` (page 90236). Knows the wire's names and nothing of the sending.
//!
//! To send another kind of message, add a variant to [`Content`].

use serde::Serialize;

use crate::model::{outbound::Outbound, reply::Format};

/// Seconds within which WeCom does not show the same message twice: four hours, the most it offers. So a call that is
/// repeated because its answer was lost does no harm.
const DUPLICATE_CHECK_INTERVAL: u32 = 14_400;

/// What is posted. Two of one [`Outbound`] are equal to the byte, because the duplicate check compares.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    touser: &'a str,
    /// A JSON number: WeCom refuses a string (40056).
    agentid: u64,
    #[serde(flatten)]
    content: Content,
    enable_duplicate_check: u8,
    duplicate_check_interval: u32,
}

/// What is said, under the key that `msgtype` names.
#[derive(Debug, Serialize)]
#[serde(tag = "msgtype", rename_all = "snake_case")]
enum Content {
    Text { text: Words },
    Markdown { markdown: Words },
}

#[derive(Debug, Serialize)]
struct Words {
    content: String,
}

impl<'a> From<&'a Outbound> for Message<'a> {
    fn from(outbound: &'a Outbound) -> Self {
        let words = Words { content: outbound.content() };
        Self {
            touser: outbound.to.as_str(),
            agentid: outbound.agent.get(),
            content: match outbound.format() {
                Format::Text => Content::Text { text: words },
                Format::Markdown => Content::Markdown { markdown: words },
            },
            enable_duplicate_check: 1,
            duplicate_check_interval: DUPLICATE_CHECK_INTERVAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        id::{AgentId, CorpId, MemberId},
        reply::ReplyPart,
    };

    #[test]
    fn the_body_is_what_wecom_documents_in_raw_utf8() {
        let body = |format, repetition| {
            let part = ReplyPart::new(format, "你好\n<3").expect("part");
            let to = MemberId::parse("ZhangSan").expect("member");
            let corp = CorpId::parse("ww1").expect("corp id");
            let outbound = Outbound::new(corp, AgentId::new(1_000_002), to, part, repetition);
            serde_json::to_string(&Message::from(&outbound)).expect("serializes")
        };
        let check = r#""enable_duplicate_check":1,"duplicate_check_interval":14400}"#;
        let to = r#"{"touser":"ZhangSan","agentid":1000002,"#;
        assert_eq!(body(Format::Text, 0), format!(r#"{to}"msgtype":"text","text":{{"content":"你好\n<3"}},{check}"#));
        assert_eq!(
            body(Format::Markdown, 1),
            format!("{to}\"msgtype\":\"markdown\",\"markdown\":{{\"content\":\"你好\\n<3\u{200C}\"}},{check}")
        );
    }
}
