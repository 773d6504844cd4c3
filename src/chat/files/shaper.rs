//! Makes reply parts of an answer, and keeps the files among them.

use bytes::Bytes;

use super::{Look, NewFile, Piece, compose, name, read::headings};
use crate::{
    chat::{persist::persist, render::render, texts::Text},
    clock::Clock,
    config,
    model::reply::{Attachment, AttachmentKind, Format, ReplyPart},
    store::{LeaseLost, Store, inbox::Inbound},
};

/// What shaping an answer needs.
#[derive(Clone, Debug)]
pub struct Shaper {
    store: Store,
    clock: Clock,
    /// Lines of a bubble that a block may take; 0: any number.
    most_lines: usize,
    /// Messages that an answer may take; 0: any number.
    most_parts: usize,
}

impl Shaper {
    /// By the settings of the chat.
    pub const fn new(store: Store, clock: Clock, settings: &config::Chat) -> Self {
        Self { store, clock, most_lines: settings.file_lines, most_parts: settings.file_messages }
    }

    /// Whether an answer of which so many parts have been said is so long that the rest waits until all of it is there.
    pub fn is_long(&self, parts: u32) -> bool {
        self.most_parts != 0 && parts as usize >= self.most_parts
    }

    /// The parts of a piece of an answer, behind what has been `said` of it. Its files are on the disk when this returns.
    ///
    /// # Errors
    /// [`LeaseLost`]: the member was erased meanwhile.
    pub async fn parts(
        &self,
        claim: &Inbound,
        said: &str,
        markdown: &str,
        look: Look,
    ) -> Result<Vec<ReplyPart>, LeaseLost> {
        self.keep(claim, compose(said, markdown, look, self.most_lines)).await
    }

    /// The parts of the rest of an answer, of which `said` has been said in `parts` parts. Where all of it together would
    /// be more messages than anybody wants to scroll, the first of them are said, and the whole follows as a file.
    ///
    /// # Errors
    /// [`LeaseLost`]: the member was erased meanwhile.
    pub async fn last_parts(
        &self,
        claim: &Inbound,
        said: &str,
        parts: u32,
        rest: &str,
        look: Look,
    ) -> Result<Vec<ReplyPart>, LeaseLost> {
        let mut pieces = compose(said, rest, look, self.most_lines);
        let room = self.most_parts.saturating_sub(parts as usize);
        // One message more is less trouble than a file.
        if self.most_parts != 0 && pieces.len() > room + 1 {
            pieces.truncate(room);
            let content = format!("{said}{rest}");
            let name = name::of_answer(headings(&content).next().as_deref(), look.language);
            let sentence = Text::AnswerFile { name: name.as_str() }.render(look.language);
            pieces.extend(render(&sentence, Format::Text).into_iter().map(Piece::Words));
            pieces.push(Piece::File(NewFile { name, media_type: "text/markdown", content }));
        }
        self.keep(claim, pieces).await
    }

    /// Makes parts of the pieces. Words alone are parts at once: a turn carries nothing along for files that it has not.
    async fn keep(&self, claim: &Inbound, pieces: Vec<Piece>) -> Result<Vec<ReplyPart>, LeaseLost> {
        if pieces.iter().any(|piece| matches!(piece, Piece::File(_))) {
            return Box::pin(self.keep_files(claim, pieces)).await;
        }
        let words = |piece| if let Piece::Words(part) = piece { Some(part) } else { None };
        Ok(pieces.into_iter().filter_map(words).collect())
    }

    async fn keep_files(&self, claim: &Inbound, pieces: Vec<Piece>) -> Result<Vec<ReplyPart>, LeaseLost> {
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            parts.push(match piece {
                Piece::Words(part) => part,
                Piece::File(file) => self.keep_file(claim, file).await?,
            });
        }
        Ok(parts)
    }

    async fn keep_file(&self, claim: &Inbound, file: NewFile) -> Result<ReplyPart, LeaseLost> {
        let NewFile { name, media_type, content } = file;
        let content = Bytes::from(content);
        let keep = || self.store.keep_media(claim, media_type, content.clone(), self.clock.now());
        let media = persist(&self.clock, keep).await?;
        Ok(ReplyPart::Attachment(Attachment { kind: AttachmentKind::File, media, name }))
    }
}
