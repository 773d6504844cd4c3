//! A turn that ends in a picture: made by a model, kept, and shown.

use bytes::Bytes;
use tracing::{info, warn};

use super::Turns;
use crate::{
    alert::observation::End,
    chat::{
        cause::chain,
        persist::persist,
        question::Question,
        texts::{Failure, Text},
    },
    config::chat::Language,
    llm::{self, images::Painted},
    media::picture::{self, Unusable},
    meter::{Charge, Purpose, allowances::Refusal},
    metrics::TurnResult,
    model::{
        conversation::{Exchange, TurnState, Unfinished},
        file_name::FileName,
        id::TurnId,
        media::MediaId,
        reply::{Attachment, AttachmentKind, ReplyPart},
    },
    store::{
        conversation::TurnRecord,
        inbox::{Ending, Inbound},
    },
};

/// Bytes that WeCom shows as a picture (page 90253).
const SHOWN_BYTES: usize = 10 * 1024 * 1024;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum Undrawn {
    /// The member may not use more for now.
    #[error("quota exceeded: {0}")]
    Quota(Refusal),
    /// The model failed, or may not.
    #[error("the picture could not be made")]
    Model(#[source] llm::error::Error),
    /// What came is no picture.
    #[error("what the model made is no picture")]
    Unusable(#[source] Unusable),
    /// The picture lies at an address that is not the model's.
    #[error("the picture lies elsewhere, and is not fetched from there")]
    Elsewhere,
    /// Our own fault.
    #[error("the picture could not be kept")]
    Broken,
}

impl Undrawn {
    const fn result(&self) -> TurnResult {
        match self {
            Self::Quota(_) => TurnResult::Quota,
            Self::Model(llm::error::Error::ContentFiltered) => TurnResult::Filtered,
            Self::Model(llm::error::Error::Withheld) => TurnResult::Withheld,
            Self::Model(_) | Self::Unusable(_) | Self::Elsewhere => TurnResult::Model,
            Self::Broken => TurnResult::Internal,
        }
    }
}

/// A picture that is kept, and what it cost.
struct Drawn {
    media: MediaId,
    charge: Charge,
}

impl Turns {
    /// Makes the picture that `wish` describes, and shows it. What is paid for is kept before it is shown, so that a
    /// crash between the two shows that one.
    pub(in crate::chat) async fn draw(&self, claim: &Inbound, wish: &str) {
        let _running = self.lately.turn_begins();
        let unfinished = match claim.claims {
            1 => None,
            _ => persist(&self.clock, || self.store.find_unfinished(claim.seq)).await,
        };
        let preferences = self.offered(claim).await;
        let conversation = persist(&self.clock, || self.memory.current(claim)).await;
        let running = self.stops.begin(&claim.lane, claim.seq);
        let mut turn = TurnRecord {
            id: unfinished.as_ref().map_or_else(TurnId::generate, |unfinished| unfinished.id),
            conversation: conversation.id,
            exchange: Exchange { question: Question::of(&claim.event.kind).text, ..Exchange::default() },
            through: claim.seq,
            parts: 0,
            state: TurnState::Running,
            used: None,
        };
        let drawn = match self.kept(unfinished).await {
            Some(drawn) => Some(Ok(drawn)),
            None => {
                let paint = Box::pin(self.paint(claim, &mut turn, wish));
                self.answerer.before(claim, &preferences, &running, paint).await
            }
        };
        drop(running);
        let ms = self.clock.now().since(claim.received_at).as_millis();
        let (id, reference, member) = (turn.id, turn.id.reference(), &claim.event.from);
        let language = preferences.language(self.settings.language);
        let (parts, result) = match drawn {
            Some(Ok(Drawn { media, charge })) => {
                let usage = charge.usage();
                info!(turn.id = %id, turn.reference = %reference, inbox.seq = claim.seq, tokens.input = usage.input,
                    tokens.output = usage.output, "drew a picture for {member} in {ms} ms");
                turn.exchange.answer = Text::Drawn.render(language);
                turn.state = TurnState::Answered { usage };
                turn.used = charge.used();
                self.lately.question_ended(End::Answered);
                (vec![picture_part(media, language)], TurnResult::Answered)
            }
            Some(Err(undrawn)) => {
                let reason = chain(&undrawn);
                warn!(turn.id = %id, turn.reference = %reference, inbox.seq = claim.seq, %reason,
                    "could not draw a picture for {member} after {ms} ms");
                turn.state = TurnState::Failed { reason: reason.clone(), usage: Charge::NOTHING.usage() };
                if let Undrawn::Model(error) = &undrawn {
                    self.lately.model_failed(error.kind(), reason);
                }
                let said = match &undrawn {
                    Undrawn::Quota(refusal) => self.not_allowed(refusal, &preferences),
                    _ => self.own_words(claim, Text::Failed(Failure::Undrawn(&undrawn), id)).await,
                };
                (said, undrawn.result())
            }
            None => {
                info!(turn.id = %id, inbox.seq = claim.seq, "{member} stopped a picture after {ms} ms");
                turn.state = TurnState::Stopped { usage: Charge::NOTHING.usage() };
                (Vec::new(), TurnResult::Stopped)
            }
        };
        turn.parts = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let says_something = !parts.is_empty();
        self.memory.add(claim, &conversation, turn.exchange.clone(), self.clock.now()).await;
        self.finish(claim, Ending::Turn { turn, first_part: 0, parts }).await;
        if says_something {
            self.lately.first_part(claim.received_at);
        }
        self.lately.turn_ended(result, claim.received_at);
    }

    /// The picture that was made before a crash, where it was kept.
    async fn kept(&self, unfinished: Option<Unfinished>) -> Option<Drawn> {
        let (usage, media) = unfinished?.sealed?;
        let media = media?;
        let there = persist(&self.clock, || self.store.read_media(&media)).await.is_some();
        there.then(|| Drawn { media, charge: Charge::saved(usage) })
    }

    async fn paint(&self, claim: &Inbound, turn: &mut TurnRecord, wish: &str) -> Result<Drawn, Undrawn> {
        let reservation = self
            .answerer
            .reserve(claim, Purpose::Question, llm::tokens::estimate(wish))
            .await
            .map_err(Undrawn::Quota)?;
        let (painted, charge) = reservation.paint(wish).await.map_err(Undrawn::Model)?;
        let file = match painted {
            Painted::File(file) => file,
            Painted::At(_) => return Err(Undrawn::Elsewhere),
        };
        let file = tokio::task::spawn_blocking(move || shown(file)).await.map_err(|_| Undrawn::Broken)?;
        let (media_type, file) = file.map_err(Undrawn::Unusable)?;
        let media = MediaId::of(&file);
        // From here on this picture is the one that is shown, whatever happens: it is paid for.
        turn.state = TurnState::Sealed { usage: charge.usage(), made: Some(media) };
        let seal = || self.store.append(claim, turn.clone(), 0, Vec::new(), self.clock.now());
        persist(&self.clock, seal).await.map_err(|_| Undrawn::Broken)?;
        let keep = || self.store.keep_media(claim, media_type, file.clone(), self.clock.now());
        let kept = persist(&self.clock, keep).await.map_err(|_| Undrawn::Broken)?;
        Ok(Drawn { media: kept, charge })
    }
}

/// The picture in a form that WeCom shows: as it came where it can, or encoded anew.
fn shown(file: Vec<u8>) -> Result<(&'static str, Bytes), Unusable> {
    let is_png = file.starts_with(b"\x89PNG\r\n\x1a\n");
    let is_jpeg = file.starts_with(&[0xff, 0xd8, 0xff]);
    if file.len() <= SHOWN_BYTES && (is_png || is_jpeg) {
        return Ok((if is_png { "image/png" } else { "image/jpeg" }, file.into()));
    }
    let picture = picture::prepare(std::io::Cursor::new(&file))?;
    Ok((picture.media_type, picture.bytes.into()))
}

fn picture_part(media: MediaId, language: Language) -> ReplyPart {
    let name = match language {
        Language::Chinese => "图片",
        Language::English => "picture",
    };
    ReplyPart::Attachment(Attachment { kind: AttachmentKind::Image, media, name: FileName::make(name, "png") })
}
