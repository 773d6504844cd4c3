//! How a part stands in its row: `format` says what `content` is.

use serde_json::{Value, json};

use crate::model::reply::{Attachment, Card, Format, ReplyPart};

/// What a card is called in the column.
const CARD: &str = "card";

/// The columns `format` and `content` of a part.
pub(super) fn columns(part: &ReplyPart) -> (&'static str, String) {
    match part {
        ReplyPart::Words(words) => (words.format().as_str(), words.content().to_owned()),
        ReplyPart::Attachment(Attachment { kind, media, name }) => {
            (kind.as_str(), json!({ "media": media, "name": name }).to_string())
        }
        ReplyPart::Card(card) => (CARD, json!({ "task_id": card.task_id(), "card": card.card() }).to_string()),
    }
}

/// The part that was put into these columns. `None`: nothing that this version writes.
pub(super) fn part(format: &str, content: String) -> Option<ReplyPart> {
    let format = match format {
        "text" => Format::Text,
        "markdown" => Format::Markdown,
        CARD => {
            let mut card: Value = serde_json::from_str(&content).ok()?;
            let task_id = card.get("task_id")?.as_str()?.to_owned();
            return Some(ReplyPart::Card(Box::new(Card::new(task_id, card.get_mut("card")?.take()).ok()?)));
        }
        kind => {
            let mut attachment: Value = serde_json::from_str(&content).ok()?;
            attachment.as_object_mut()?.insert("kind".to_owned(), kind.into());
            return Some(ReplyPart::Attachment(serde_json::from_value(attachment).ok()?));
        }
    };
    ReplyPart::new(format, content).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{file_name::FileName, media::MediaId, reply::AttachmentKind};

    #[test]
    fn every_part_is_read_as_it_was_written() {
        let attachment = |kind| {
            let (media, name) = (MediaId::of(b"bytes"), FileName::make("订单", "csv"));
            ReplyPart::Attachment(Attachment { kind, media, name })
        };
        let card = Card::new("t-1", json!({"card_type": "button_interaction", "main_title": {"title": "选一个"}}));
        let parts = [
            ReplyPart::new(Format::Text, "你好").expect("part"),
            ReplyPart::new(Format::Markdown, "# 你好").expect("part"),
            attachment(AttachmentKind::Image),
            attachment(AttachmentKind::Voice),
            attachment(AttachmentKind::File),
            ReplyPart::Card(Box::new(card.expect("card"))),
        ];
        for written in parts {
            let (format, content) = columns(&written);
            assert_eq!(part(format, content), Some(written), "{format}");
        }
    }

    #[test]
    fn what_this_version_does_not_know_is_no_part() {
        let hash = MediaId::of(b"").to_string();
        let cases = [
            ("hologram", "{}".to_owned()),
            ("hologram", json!({"media": hash, "name": "a.txt"}).to_string()),
            ("file", "not json".to_owned()),
            ("file", "[]".to_owned()),
            ("file", json!({"media": "../../etc/passwd", "name": "a.txt"}).to_string()),
            ("file", json!({"media": hash, "name": "../a.txt"}).to_string()),
            ("card", json!({"task_id": "t", "card": 1}).to_string()),
            ("text", " ".to_owned()),
        ];
        for (format, content) in cases {
            assert_eq!(part(format, content.clone()), None, "{format} {content}");
        }
    }
}
