//! One call of a program, in a task of its own: begun, passed on piece by piece, settled and saved, whoever hangs up.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::{Api, Caller, Fault, Refused, allowed};
use crate::{
    llm::{
        error::Error,
        relay::body::{Body, Call},
    },
    meter::{Charge, Relaying},
    model::key::Endpoint,
};

/// Pieces that wait for a slow program; each is at most what was read at once.
const WAITING: usize = 4;
/// A program that takes nothing for so long has gone.
const SLOWEST: Duration = Duration::from_secs(60);
/// How long the rest of an answer that nobody wants is read, to know what it cost.
const DRAIN: Duration = Duration::from_secs(5);
/// How often, and how far apart, it is tried to save what was used.
const SAVES: (u32, Duration) = (30, Duration::from_secs(1));

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A chat completion.
    Chat,
    /// A response.
    Responses,
    /// Embeddings.
    Embeddings,
    /// Pictures.
    Images,
    /// Speech.
    Speech,
    /// What is said in a recording.
    Transcription,
}

impl Asked {
    const fn call(self) -> (Endpoint, Call) {
        match self {
            Self::Chat => (Endpoint::Chat, Call::Chat),
            Self::Responses => (Endpoint::Responses, Call::Responses),
            Self::Embeddings => (Endpoint::Embeddings, Call::Embeddings),
            Self::Images => (Endpoint::Images, Call::Images),
            Self::Speech => (Endpoint::Speech, Call::Speech),
            Self::Transcription => (Endpoint::Transcriptions, Call::Transcription),
        }
    }

    /// The setting that names the model for it.
    const fn setting(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses | Self::Embeddings => "llm.model",
            Self::Images => "images.model",
            Self::Speech => "voice.speech_model",
            Self::Transcription => "voice.transcription_model",
        }
    }
}

/// An answer on its way.
#[derive(Debug)]
pub struct Answering {
    /// What it comes as.
    pub form: Form,
    /// Its pieces; after an error nothing follows.
    pub pieces: mpsc::Receiver<Result<Bytes, Fault>>,
}

/// What an answer comes as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON in one piece.
    Whole,
    /// Events.
    Events,
    /// Bytes of this type, as they come.
    Bytes(String),
}

/// Where the answer goes.
struct Out {
    head: Option<oneshot::Sender<Result<Form, Refused>>>,
    pieces: mpsc::Sender<Result<Bytes, Fault>>,
}

impl Api {
    /// Asks a model. The body comes with what it is said to be; `held` is what keeps the body within bounds, and is
    /// dropped when the body is.
    ///
    /// # Errors
    /// [`Refused`]: nothing of an answer has come.
    pub async fn ask<H: Send + 'static>(
        &self,
        caller: &Caller,
        asked: Asked,
        (content_type, body): (&str, Vec<u8>),
        held: H,
    ) -> Result<Answering, Refused> {
        let (endpoint, call) = asked.call();
        allowed(caller, endpoint)?;
        let maker = self.0.meter.maker_of(call);
        if call.is_made() && maker.is_none() {
            return Err(Refused::NotSet(asked.setting()));
        }
        let body = match call {
            Call::Transcription => Body::recording(content_type, body),
            call => Body::parse(call, body),
        };
        let body = body.map_err(Refused::Body)?;
        let has_model = match maker {
            Some(maker) => *maker == *body.model && caller.key.scope.has_model(maker),
            None => self.0.meter.models_of(&caller.key).await.iter().any(|alias| **alias == *body.model),
        };
        if !has_model {
            return Err(Refused::Model(body.model));
        }
        let (head, begun) = oneshot::channel();
        let (pieces, taken) = mpsc::channel(WAITING);
        let (api, caller) = (self.clone(), caller.clone());
        self.0.tasks.spawn(async move { api.call(&caller, (body, held), Out { head: Some(head), pieces }).await });
        match begun.await {
            Ok(begun) => begun.map(|form| Answering { form, pieces: taken }),
            // The task broke; the log says where.
            Err(_) => Err(Refused::Unavailable),
        }
    }

    async fn call<H: Send>(&self, caller: &Caller, (body, held): (Body, H), mut out: Out) {
        let reserved = self.0.meter.reserve_by(&caller.key, &body).await;
        let mut relaying = match reserved {
            Ok(reservation) => reservation.relaying(),
            Err(refusal) => return out.refuse(refusal.into()),
        };
        let (model, began) = (body.model.clone(), self.0.clock.uptime());
        let (begun, ended) = self.begin(caller, &mut relaying, &body, &mut out).await;
        drop((body, held));
        let outcome = match (begun, ended) {
            (Some(Err(error)), _) => {
                info!(key.id = %caller.key.id, llm.model = %model, kind = error.kind(), "a program got no answer");
                return out.refuse(error.into());
            }
            (Some(Ok(())), None) => self.pass_on(caller, &mut relaying, &mut out).await,
            (Some(Ok(())), Some(ended)) => {
                self.drain(&mut relaying).await;
                Err(ended)
            }
            // What was sent is paid for, whether anybody hears the answer or not.
            (None, ended) => Err(ended.flatten()),
        };
        let charge = relaying.settle();
        let usage = charge.usage();
        let ms = self.0.clock.uptime().saturating_sub(began).as_millis();
        info!(key.id = %caller.key.id, llm.model = %model, tokens.input = usage.input, tokens.output = usage.output,
            estimated = usage.estimated, ended = ended_word(&outcome), "answered a program in {ms} ms");
        // Whoever asked has the end before the disk has the charge: it counts already, and a commit takes longer than all
        // the rest of what a call costs here.
        tokio::join!(biased; out.end(outcome.err().flatten()), self.save(charge));
    }

    /// Waits until an answer begins; a while longer when nobody waits for it any more. Says why, where it must not go on.
    async fn begin(
        &self,
        caller: &Caller,
        relaying: &mut Relaying<'_>,
        body: &Body,
        out: &mut Out,
    ) -> (Option<Result<(), Error>>, Option<Option<Fault>>) {
        let mut begin = std::pin::pin!(relaying.begin(body));
        let ended = tokio::select! {
            begun = &mut begin => return (Some(begun), None),
            ended = self.ended(caller, out.gone_before()) => ended,
        };
        let begun = match ended {
            None => self.0.clock.timeout(DRAIN, begin).await.ok(),
            Some(_) => None,
        };
        (begun, Some(ended))
    }

    /// Passes pieces on until the end. What is under way when nobody wants it any more is read for a while, because the
    /// usage stands at its end.
    async fn pass_on(&self, caller: &Caller, relaying: &mut Relaying<'_>, out: &mut Out) -> Result<(), Option<Fault>> {
        out.begin(match relaying.content_type() {
            Some(content_type) => Form::Bytes(content_type.to_owned()),
            None if relaying.is_stream() => Form::Events,
            None => Form::Whole,
        });
        loop {
            let next = tokio::select! {
                next = relaying.next() => next,
                ended = self.ended(caller, out.pieces.closed()) => {
                    if ended.is_none() {
                        self.drain(relaying).await;
                    }
                    return Err(ended);
                }
            };
            match next {
                None => return Ok(()),
                Some(Err(error)) => return Err(Some(error.into())),
                Some(Ok(piece)) => match self.0.clock.timeout(SLOWEST, out.pieces.send(Ok(piece))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => {
                        self.drain(relaying).await;
                        return Err(None);
                    }
                },
            }
        }
    }

    async fn drain(&self, relaying: &mut Relaying<'_>) {
        let rest = async { while let Some(Ok(_)) = relaying.next().await {} };
        let _ = self.0.clock.timeout(DRAIN, rest).await;
    }

    /// Waits until a call must not go on: nobody wants it any more (`None`), its key is no longer good, or the process
    /// ends.
    async fn ended(&self, caller: &Caller, gone: impl Future<Output = ()>) -> Option<Fault> {
        let mut changed = self.0.keys.watch();
        let taken_back = async {
            while self.0.keys.is_good(&caller.key.id, &caller.hash, self.0.clock.now()) {
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = gone => None,
            () = taken_back => Some(Fault::Cut),
            () = self.0.cut.cancelled() => Some(Fault::Cut),
        }
    }

    /// Saves what was used. It counts already; this is for the time after a restart.
    async fn save(&self, charge: Charge) {
        let Some(used) = charge.used() else { return };
        let mut told = false;
        for _ in 0..SAVES.0 {
            match self.0.store.add_use((*used).clone(), self.0.clock.now()).await {
                Ok(()) => return,
                Err(error) if !told => {
                    warn!(%error, "cannot save what a program used; trying again");
                    told = true;
                }
                Err(_) => {}
            }
            self.0.clock.sleep(SAVES.1).await;
        }
        error!("what a program used could not be saved; after a restart it does not count");
    }
}

impl Out {
    /// Waits until nobody waits for the answer any more.
    async fn gone_before(&mut self) {
        match &mut self.head {
            Some(head) => head.closed().await,
            None => std::future::pending().await,
        }
    }

    fn refuse(mut self, refused: Refused) {
        if let Some(head) = self.head.take() {
            // Who is gone is told nothing.
            let _ = head.send(Err(refused));
        }
    }

    fn begin(&mut self, form: Form) {
        if let Some(head) = self.head.take() {
            let _ = head.send(Ok(form));
        }
    }

    /// The end, with a last word where something went wrong and there is somebody to hear it.
    async fn end(mut self, fault: Option<Fault>) {
        let Some(fault) = fault else { return };
        match self.head.take() {
            Some(head) => drop(head.send(Err(Refused::Fault(fault)))),
            None => drop(self.pieces.send_timeout(Err(fault), SLOWEST).await),
        }
    }
}

const fn ended_word(outcome: &Result<(), Option<Fault>>) -> &'static str {
    match outcome {
        Ok(()) => "ok",
        Err(None) => "gone",
        Err(Some(Fault::Cut)) => "cut",
        Err(Some(_)) => "failed",
    }
}
