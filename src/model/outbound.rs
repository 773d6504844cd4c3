//! A message on its way to a member.

use super::{
    id::{AgentId, CorpId, MemberId},
    reply::{Attachment, Card, Format, ReplyPart, Words},
};

/// How many equal messages can be told apart. Far more than the pace lets a member get while WeCom's duplicate check
/// remembers (four hours).
pub const REPETITIONS: u32 = 1 << 15;

/// What one `message/send` call says, to whom. Every attempt says exactly the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// The enterprise.
    pub corp: CorpId,
    /// The application that speaks.
    pub agent: AgentId,
    /// Who is spoken to.
    pub to: MemberId,
    /// What is said.
    part: ReplyPart,
    /// Its number among equal messages to the same member.
    repetition: u32,
}

impl Outbound {
    /// Puts a message together. `repetition` numbers the equal messages that the member got within WeCom's duplicate
    /// check, below [`REPETITIONS`]; 0 for the first.
    pub const fn new(corp: CorpId, agent: AgentId, to: MemberId, part: ReplyPart, repetition: u32) -> Self {
        Self { corp, agent, to, part, repetition }
    }

    /// What WeCom is given to show.
    pub fn said(&self) -> Said<'_> {
        match &self.part {
            ReplyPart::Words(words) => Said::Words { format: words.format(), content: self.marked(words) },
            ReplyPart::Attachment(attachment) => Said::Attachment { attachment, repetition: self.repetition },
            ReplyPart::Card(card) => Said::Card(card),
        }
    }

    /// The words and, from the first honest repetition on, an invisible mark behind them.
    ///
    /// WeCom's duplicate check compares content, so a repeated attempt of one message is shown once, which is what we
    /// want; but two questions that are both answered with "2" must show two answers. The mark is the repetition's
    /// number in zero-width characters (U+200B for 0, U+200C for 1), so that each is different and all look the same.
    fn marked(&self, words: &Words) -> String {
        let mut content = words.content().to_owned();
        let bits = u32::BITS - self.repetition.leading_zeros();
        for bit in (0..bits).rev() {
            content.push(if self.repetition >> bit & 1 == 0 { '\u{200B}' } else { '\u{200C}' });
        }
        content
    }
}

/// What a message shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// Words, with the mark of their repetition.
    Words {
        /// How they are to be shown.
        format: Format,
        /// The words.
        content: String,
    },
    /// Bytes, which WeCom is given beforehand.
    Attachment {
        /// Which, and as what.
        attachment: &'a Attachment,
        /// Its number among equal messages: each is uploaded for itself, so that the duplicate check, which compares
        /// the id of the upload, shows every honest repetition, and a repeated attempt once.
        repetition: u32,
    },
    /// A card; its task tells it from every other.
    Card(&'a Card),
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::{pace::PER_HOUR, reply::PART_LIMIT};

    #[test]
    fn numbers_do_not_come_round_while_wecom_remembers() {
        assert!(REPETITIONS as usize > 4 * PER_HOUR);
    }

    const LAST: u32 = REPETITIONS - 1;

    fn content(text: &str, repetition: u32) -> String {
        let part = ReplyPart::new(Format::Text, text).expect("part");
        let member = MemberId::parse("zhangsan").expect("member");
        let outbound = Outbound::new(CorpId::parse("ww1").expect("corp"), AgentId::new(1), member, part, repetition);
        match outbound.said() {
            Said::Words { content, .. } => content,
            other => panic!("words, not {other:?}"),
        }
    }

    #[test]
    fn the_first_is_sent_as_it_is_and_each_repetition_differs_invisibly() {
        assert_eq!(content("2", 0), "2");
        let all: HashSet<_> = (0..REPETITIONS).map(|n| content("2", n)).collect();
        assert_eq!(all.len(), REPETITIONS as usize);
        assert!(all.iter().all(|text| text.trim_end_matches(['\u{200B}', '\u{200C}']) == "2"));
    }

    #[test]
    fn the_mark_fits_beside_the_longest_part() {
        assert!(content(&"a".repeat(PART_LIMIT), LAST).len() <= 2048);
    }
}
