//! What the demo model makes beside words: pictures (`/images/generations`) and speech (`/audio/speech`).
//!
//! A picture is stripes in colours that follow from the wish; speech is a hum, a syllable a character, with a pause at
//! each full stop. Both are real files, so that everything behind them is real too.

use std::{
    collections::VecDeque,
    f64::consts::{PI, TAU},
    io,
    sync::Arc,
};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{StreamExt, future, stream};
use serde_json::{Value, json};

use super::{Desk, Gate, ModelReply, ModelRequest, State as Notes, Transcript, failure::Failure};
use crate::{
    media::{picture, voice::Recording},
    sandbox::journal::{Entry, Kind},
};

/// Pixels of a side.
const SIDE: u32 = 256;
/// Samples in a second, as OpenAI's models speak.
const RATE: u32 = 24_000;
/// How long the hum of one character lasts, in samples.
const SYLLABLE: usize = RATE as usize / 4;

/// Bytes before the samples of a WAV file.
const WAV_HEAD: usize = 44;

/// What becomes of one call.
#[derive(Clone, Debug)]
pub enum Made {
    /// What the demo model makes by itself.
    Demo,
    /// This body, with status 200.
    Body(Vec<u8>),
    /// A refusal with this HTTP status and body.
    Status(u16, String),
    /// These bytes of this type, with status 200: the first, the gate is waited for, the others; then the connection
    /// breaks, or not.
    Pieces {
        /// The `Content-Type`.
        content_type: &'static str,
        /// What is written.
        pieces: Vec<Vec<u8>>,
        /// What is waited for behind the first of them.
        gate: Gate,
        /// Whether it breaks off.
        breaks: bool,
    },
    /// Takes the call and never answers.
    Hang,
}

/// What it understands of every recording that it was told nothing about: it cannot hear.
const DEAF: &str = "这是演示模型：我听不见，这句话是写好的。";

impl Desk {
    /// Takes a form with a recording; gives what is understood, and the size again.
    pub(super) fn hear(&self, form: Bytes) -> (Transcript, usize) {
        let (mut state, bytes) = (self.state(), form.len());
        state.heard.push(bytes);
        state.form = form;
        let demo = || Transcript::Text(DEAF.to_owned());
        let failure = state.failure;
        let transcript = state.transcripts.pop_front().or_else(|| failure.map(Failure::transcript));
        (transcript.unwrap_or_else(demo), bytes)
    }

    /// Writes a call down and decides what is made of it.
    fn make(&self, of: impl FnOnce(&mut Notes) -> (&mut VecDeque<Made>, &mut Vec<Value>), body: Value) -> Made {
        let mut state = self.state();
        let failure = state.failure;
        let (queue, calls) = of(&mut state);
        calls.push(body);
        queue.pop_front().unwrap_or_else(|| failure.map_or(Made::Demo, Failure::made))
    }
}

pub(super) async fn images(State(desk): State<Arc<Desk>>, Json(body): Json<Value>) -> Response {
    let wish = body["prompt"].as_str().unwrap_or_default().to_owned();
    let chars = wish.chars().count();
    let made = desk.make(|state| (&mut state.pictures, &mut state.painted), body);
    desk.journal.record(
        Entry::new(
            Kind::ModelRequest,
            format!("请模型画图：{chars} 个字"),
            format!("asked for a picture: {chars} characters"),
        )
        .detail("POST /v1/images/generations".to_owned()),
    );
    answer(made, || {
        let usage = json!({"input_tokens": chars, "output_tokens": 1000, "total_tokens": chars + 1000});
        Json(json!({"created": 0, "data": [{"b64_json": STANDARD.encode(picture(&wish))}], "usage": usage}))
            .into_response()
    })
    .await
}

pub(super) async fn speech(State(desk): State<Arc<Desk>>, Json(body): Json<Value>) -> Response {
    let text = body["input"].as_str().unwrap_or_default().to_owned();
    let chars = text.chars().count();
    let bare = body["response_format"] == "pcm";
    let made = desk.make(|state| (&mut state.speeches, &mut state.spoken), body);
    desk.journal.record(
        Entry::new(
            Kind::ModelRequest,
            format!("请模型朗读：{chars} 个字"),
            format!("asked to speak {chars} characters"),
        )
        .detail("POST /v1/audio/speech".to_owned()),
    );
    answer(made, || {
        let wav = hum(&text).to_wav();
        if bare {
            return ([(header::CONTENT_TYPE, "audio/pcm")], wav[WAV_HEAD..].to_vec()).into_response();
        }
        ([(header::CONTENT_TYPE, "audio/wav")], wav).into_response()
    })
    .await
}

async fn answer(made: Made, demo: impl FnOnce() -> Response) -> Response {
    match made {
        Made::Demo => demo(),
        Made::Body(body) => body.into_response(),
        Made::Status(code, body) => {
            (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body).into_response()
        }
        Made::Pieces { content_type, pieces, gate, breaks } => {
            let end = breaks.then(|| Err(io::Error::from(io::ErrorKind::ConnectionReset)));
            let pieces = pieces.into_iter().map(Ok).chain(end).enumerate();
            let body = stream::iter(pieces).then(move |(index, piece)| {
                let gate = gate.clone();
                async move {
                    if index > 0 {
                        gate.passed().await;
                    }
                    piece
                }
            });
            ([(header::CONTENT_TYPE, content_type)], Body::from_stream(body)).into_response()
        }
        Made::Hang => future::pending().await,
    }
}

/// A PNG in colours that follow from `wish`.
pub fn picture(wish: &str) -> Vec<u8> {
    let seed = wish.bytes().fold(17_u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let colour = |stripe: u32| {
        let mixed = seed.wrapping_add(stripe.wrapping_mul(0x9e37_79b9)).to_be_bytes();
        [mixed[0], mixed[1], mixed[2]]
    };
    picture::painted(SIDE, |x, y| colour((x + y) / 32))
}

/// A hum for each character, silence for what is not said.
fn hum(text: &str) -> Recording {
    let syllable = |(index, char): (usize, char)| {
        let pitch = 180.0 + 15.0 * (index % 7) as f64;
        let loud = if char.is_alphanumeric() { 8000.0 } else { 0.0 };
        (0..SYLLABLE).map(move |n| {
            let swell = (n as f64 / SYLLABLE as f64 * PI).sin();
            ((n as f64 / f64::from(RATE) * pitch * TAU).sin() * loud * swell) as i16
        })
    };
    Recording { sample_rate: RATE, samples: text.chars().enumerate().flat_map(syllable).collect() }
}

/// Vectors of two numbers, the same for every text; a refusal where one was pushed.
pub(super) async fn embeddings(State(desk): State<Arc<Desk>>, Json(body): Json<Value>) -> Response {
    let texts = body["input"].as_array().map_or(1, Vec::len);
    let (reply, _) = desk.take(ModelRequest { body: body.clone(), authorization: None });
    if let ModelReply::Status { code, body, .. } = reply {
        return (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body).into_response();
    }
    let vector = |index: usize| json!({"object": "embedding", "index": index, "embedding": [0.5, -0.25]});
    let data: Vec<Value> = (0..texts).map(vector).collect();
    let usage = json!({"prompt_tokens": 3 * texts, "total_tokens": 3 * texts});
    Json(json!({"object": "list", "model": body["model"], "data": data, "usage": usage})).into_response()
}
