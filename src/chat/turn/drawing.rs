//! A turn that ends in a picture: made by a model, kept, and shown.

use std::time::Duration;

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
    meter::{Charge, Medium, allowances::Refusal},
    metrics::TurnResult,
    model::{
        conversation::{Exchange, Made, TurnState, Unfinished},
        file_name::FileName,
        id::TurnId,
        media::MediaId,
        reply::{Attachment, AttachmentKind, ReplyPart},
    },
    net::fetch::{FetchError, Fetcher},
    store::{
        conversation::TurnRecord,
        inbox::{Ending, Inbound},
    },
};

/// Bytes that WeCom shows as a picture (page 90253).
const SHOWN_BYTES: usize = 10 * 1024 * 1024;

/// How long a server of pictures that stumbled is left alone, each time.
const PAUSES: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(9)];

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
    /// The model gave an address instead of the picture, and nothing came from there.
    #[error("the picture lies at {host} and could not be fetched from there")]
    Unfetched {
        /// Which host. The rest of the address may be what opens the file.
        host: String,
        /// Why not.
        source: FetchError,
    },
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
            Self::Model(_) | Self::Unusable(_) | Self::Unfetched { .. } => TurnResult::Model,
            Self::Broken => TurnResult::Internal,
        }
    }
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
        let mut spent = Charge::NOTHING;
        let drawing = Box::pin(self.drawn(claim, &mut turn, wish, unfinished, &mut spent));
        let drawn = self.answerer.before(claim, &preferences, &running, drawing).await;
        drop(running);
        let usage = spent.usage();
        turn.used = spent.used();
        let ms = self.clock.now().since(claim.received_at).as_millis();
        let (id, reference, member) = (turn.id, turn.id.reference(), &claim.event.from);
        let language = preferences.language(self.settings.language);
        let (parts, result) = match drawn {
            Some(Ok(media)) => {
                info!(turn.id = %id, turn.reference = %reference, inbox.seq = claim.seq, tokens.input = usage.input,
                    tokens.output = usage.output, "drew a picture for {member} in {ms} ms");
                turn.exchange.answer = Text::Drawn.render(language);
                turn.state = TurnState::Answered { usage };
                self.lately.question_ended(End::Answered);
                (vec![picture_part(media, language)], TurnResult::Answered)
            }
            Some(Err(undrawn)) => {
                let reason = chain(&undrawn);
                warn!(turn.id = %id, turn.reference = %reference, inbox.seq = claim.seq, %reason,
                    "could not draw a picture for {member} after {ms} ms");
                turn.state = TurnState::Failed { reason: reason.clone(), usage };
                if let Undrawn::Model(error) = &undrawn {
                    self.lately.model_failed(error.kind(), reason);
                }
                let said = match &undrawn {
                    Undrawn::Quota(refusal) => Box::pin(self.not_allowed(claim, refusal, &preferences)).await,
                    _ => self.own_words(claim, Text::Failed(Failure::Undrawn(&undrawn), id)).await,
                };
                (said, undrawn.result())
            }
            None => {
                info!(turn.id = %id, inbox.seq = claim.seq, "{member} stopped a picture after {ms} ms");
                turn.state = TurnState::Stopped { usage };
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

    /// The picture, in the store: the one that was made before a crash where there is one, otherwise a new one. `spent` is
    /// what it costs, whatever becomes of it.
    async fn drawn(
        &self,
        claim: &Inbound,
        turn: &mut TurnRecord,
        wish: &str,
        unfinished: Option<Unfinished>,
        spent: &mut Charge,
    ) -> Result<MediaId, Undrawn> {
        let before = unfinished.and_then(|unfinished| unfinished.sealed);
        let painted = match before {
            Some((usage, Some(Made::At(url)))) => {
                *spent = Charge::saved(usage);
                Painted::At(url)
            }
            Some((usage, Some(Made::Here(media)))) if self.is_kept(&media).await => {
                *spent = Charge::saved(usage);
                return Ok(media);
            }
            _ => {
                let reserved = self.answerer.reserve_media(claim, Medium::Drawing).await;
                let painted = reserved.map_err(Undrawn::Quota)?.paint(wish).await;
                let (painted, charge) = painted.map_err(Undrawn::Model)?;
                *spent = charge;
                painted
            }
        };
        let file = match painted {
            Painted::File(file) => file,
            Painted::At(url) => {
                // It may take a while to come: after a crash it is fetched, and not made again.
                self.seal(claim, turn, spent, Made::At(url.clone())).await?;
                self.fetch(url.expose()).await?
            }
        };
        let file = tokio::task::spawn_blocking(move || shown(file)).await.map_err(|_| Undrawn::Broken)?;
        let (media_type, file) = file.map_err(Undrawn::Unusable)?;
        let keep = || self.store.keep_media(claim, media_type, file.clone(), self.clock.now());
        let media = persist(&self.clock, keep).await.map_err(|_| Undrawn::Broken)?;
        // From here on this picture is the one that is shown, whatever happens: it is paid for.
        self.seal(claim, turn, spent, Made::Here(media)).await?;
        Ok(media)
    }

    async fn is_kept(&self, media: &MediaId) -> bool {
        persist(&self.clock, || self.store.read_media(media)).await.is_some()
    }

    /// Remembers what was made and what it cost, so that a crash does not have it made again, nor forgets the cost.
    async fn seal(
        &self,
        claim: &Inbound,
        turn: &mut TurnRecord,
        spent: &mut Charge,
        made: Made,
    ) -> Result<(), Undrawn> {
        turn.state = TurnState::Sealed { usage: spent.usage(), made: Some(made) };
        let used = spent.take_used();
        let seal = || self.store.append(claim, turn.clone(), 0, Vec::new(), used.clone(), self.clock.now());
        persist(&self.clock, seal).await.map_err(|_| Undrawn::Broken)
    }

    /// The picture at `url`. A server that stumbles is asked again: the picture is paid for.
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, Undrawn> {
        let unfetched = |source| Undrawn::Unfetched { host: Fetcher::host_of(url).unwrap_or_default(), source };
        let gallery = self.gallery.as_ref().ok_or_else(|| unfetched(FetchError::Forbidden))?;
        for pause in PAUSES {
            match gallery.file(url, "image/*", picture::begins_as_one).await {
                Err(FetchError::Unreachable | FetchError::Status(429 | 500..=599)) => self.clock.sleep(pause).await,
                fetched => return fetched.map_err(unfetched),
            }
        }
        gallery.file(url, "image/*", picture::begins_as_one).await.map_err(unfetched)
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
