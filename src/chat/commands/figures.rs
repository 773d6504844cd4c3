//! What members look at: what they used, what they asked, and the whole conversation to keep.

use bytes::Bytes;
use tracing::debug;

use super::words::Words;
use crate::{
    chat::{persist::persist, render::plain, turn::Turns},
    model::{
        file_name::FileName,
        language::Language,
        reply::{Attachment, AttachmentKind, ReplyPart},
    },
    store::inbox::{Ending, Inbound},
};

/// How many questions the history shows.
const HISTORY: usize = 10;
/// How much of a conversation is exported, in bytes of text, the newest first.
const EXPORTED: usize = 1024 * 1024;

impl Turns {
    pub(super) async fn show_usage(&self, claim: &Inbound) {
        let (now, zone) = (self.clock.now(), &self.settings.time_zone);
        let (day, month) = (zone.start_of_day(now), zone.start_of_month(now));
        let used = persist(&self.clock, || self.store.usage(&claim.lane, day, month)).await;
        let language = self.language(claim).await;
        let figures = Words::Usage { used, days: self.settings.keep_days() }.render(language);
        let text = match self.limits_of(claim, language).await {
            Some(limits) => format!("{figures}\n\n{limits}"),
            None => figures,
        };
        self.finish(claim, Ending::Says(plain(&text))).await;
    }

    pub(super) async fn show_history(&self, claim: &Inbound) {
        let asked = persist(&self.clock, || self.store.last_questions(&claim.lane, HISTORY)).await;
        let asked: Vec<_> =
            asked.into_iter().map(|(at, question)| (self.settings.time_zone.local(at), question)).collect();
        self.reply(claim, Words::History(&asked)).await;
    }

    /// The conversation as a file of Markdown, which is on the disk before it is promised.
    pub(super) async fn export(&self, claim: &Inbound) {
        let said = persist(&self.clock, || self.store.transcript(&claim.lane, EXPORTED)).await;
        if said.is_empty() {
            return self.reply(claim, Words::NothingToExport).await;
        }
        let language = self.language(claim).await;
        let (you, me, stem) = match language {
            Language::Chinese => ("我", "企伴", "对话"),
            Language::English => ("Me", "Qimate", "Conversation"),
        };
        let mut text = String::new();
        for (at, exchange) in &said {
            let at = self.settings.time_zone.local(*at);
            text.push_str(&format!("## {you} · {at}\n\n{}\n\n## {me}\n\n{}\n\n", exchange.question, exchange.answer));
        }
        let mut parts = plain(&Words::Exported.render(language));
        let now = self.clock.now();
        let day: String = self.settings.time_zone.local(now).to_string().chars().take(10).collect();
        let content = Bytes::from(text);
        let keep = || self.store.keep_media(claim, "text/markdown", content.clone(), now);
        let Ok(media) = persist(&self.clock, keep).await else {
            return debug!(inbox.seq = claim.seq, "the member was erased meanwhile: nothing is exported");
        };
        let name = FileName::make(&format!("{stem} {day}"), "md");
        parts.push(ReplyPart::Attachment(Attachment { kind: AttachmentKind::File, media, name }));
        self.finish(claim, Ending::Says(parts)).await;
    }
}
