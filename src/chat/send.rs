//! One attempt to send one message: words and cards as they are, attachments after WeCom has been given their bytes.
//!
//! An upload is remembered before it is sent, so an attempt that is repeated, by us or after a crash, names the same
//! one, and WeCom's duplicate check shows it once. An upload that is lost on the way harms nobody: it is done again.

use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::debug;

use super::persist::persist;
use crate::{
    clock::Clock,
    model::{outbound::Said, reply::Attachment},
    store::{
        Store,
        outbox::{
            OutboundClaim,
            uploads::{Upload, UploadedAs},
        },
    },
    wecom::{
        client::{Client, Delivered, SendError},
        errcode::Errcode,
        message::Content,
        upload::{KEPT, UploadError, Uploaded},
    },
};

/// How old an upload may be when it is first sent: WeCom still has it when the attempt is repeated for as long as its
/// duplicate check remembers.
const FRESH: Duration = KEPT.saturating_sub(Duration::from_secs(12 * 60 * 60));
/// Files that are in memory at once on their way to WeCom, each of at most 20 MB.
const UPLOADS_AT_ONCE: usize = 2;
/// WeCom does not have what the message names.
const NO_SUCH_MEDIA: Errcode = Errcode(40007);

/// Why a message was not sent.
#[derive(Debug)]
pub(super) enum NotSent {
    /// WeCom did not take it, as far as we know.
    Message(SendError),
    /// WeCom did not take the bytes of it: the message itself was surely not sent.
    File(SendError),
    /// Its bytes can never be sent, for this reason.
    Never(String),
}

/// Sends single messages.
#[derive(Debug)]
pub(super) struct Sender {
    store: Store,
    clock: Clock,
    wecom: Client,
    uploads: Semaphore,
}

impl Sender {
    pub(super) fn new(store: Store, clock: Clock, wecom: Client) -> Self {
        Self { store, clock, wecom, uploads: Semaphore::new(UPLOADS_AT_ONCE) }
    }

    /// Sends what was claimed, once.
    pub(super) async fn send(&self, claim: &OutboundClaim) -> Result<Delivered, NotSent> {
        match claim.message.said() {
            Said::Words { format, content } => self.post(claim, &Content::words(format, content)).await,
            Said::Card(card) => self.post(claim, &Content::card(card)).await,
            // Rare, and larger than all the rest: words do not pay for it.
            Said::Attachment { attachment, repetition } => {
                Box::pin(self.send_attachment(claim, attachment, repetition)).await
            }
        }
    }

    async fn post(&self, claim: &OutboundClaim, content: &Content<'_>) -> Result<Delivered, NotSent> {
        let to = &claim.message;
        self.wecom.send(to.agent, &to.to, content).await.map_err(NotSent::Message)
    }

    async fn send_attachment(
        &self,
        claim: &OutboundClaim,
        attachment: &Attachment,
        repetition: u32,
    ) -> Result<Delivered, NotSent> {
        let upload = Upload { corp: claim.message.corp.clone(), attachment: attachment.clone(), repetition };
        let known = persist(&self.clock, || self.store.find_upload(&upload)).await;
        // What may have been sent is named again as long as WeCom has it.
        let oldest = if claim.unsure_since.is_some() { KEPT } else { FRESH };
        let known = known.filter(|known| self.clock.now().since(known.at) < oldest);
        let uploaded = match known {
            Some(UploadedAs { kind, media_id, .. }) => Uploaded { kind, media_id },
            None => self.upload(claim, &upload).await?,
        };
        match self.post(claim, &Content::uploaded(&uploaded)).await {
            Err(NotSent::Message(SendError::Refused { refusal })) if refusal.errcode == NO_SUCH_MEDIA => {
                if claim.unsure_since.is_some() {
                    // With another upload it would be another message.
                    return Err(NotSent::Never("it may have arrived, and WeCom has its file no longer".to_owned()));
                }
                let again = self.upload(claim, &upload).await?;
                self.post(claim, &Content::uploaded(&again)).await
            }
            sent => sent,
        }
    }

    /// Gives WeCom the bytes, and remembers what it calls them.
    async fn upload(&self, claim: &OutboundClaim, upload: &Upload) -> Result<Uploaded, NotSent> {
        let Upload { attachment: Attachment { kind, media, name }, .. } = upload;
        let gone = || NotSent::Never("the file is not stored any more".to_owned());
        // Not closed as long as we are here.
        let _permit = self.uploads.acquire().await.map_err(|_| gone())?;
        let bytes = persist(&self.clock, || self.store.read_media(media)).await.ok_or_else(gone)?;
        let length = bytes.len();
        let uploaded = self.wecom.upload(*kind, name, bytes).await.map_err(|error| match error {
            UploadError::Failed(error) => NotSent::File(error),
            unfit @ UploadError::Unfit { .. } => NotSent::Never(unfit.to_string()),
        })?;
        debug!(inbox.seq = claim.cause, bytes = length, sent_as = uploaded.kind.as_str(), "uploaded a file");
        let Uploaded { kind, media_id } = uploaded.clone();
        let remembered = UploadedAs { kind, media_id, at: self.clock.now() };
        persist(&self.clock, || self.store.remember_upload(upload, &remembered)).await;
        Ok(uploaded)
    }
}
