//! The labels and their values: closed sets.

use std::{borrow::Cow, fmt, sync::Arc};

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallbackLabels {
    pub(super) result: &'static str,
    /// Empty unless refused; Prometheus takes an empty label for an absent one.
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByResult {
    pub(super) result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByKind {
    pub(super) kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PauseLabels {
    pub(super) reason: &'static str,
    #[prometheus(flatten)]
    pub(super) app: ByApp,
}

/// Which application, by its name; that of `[wecom]` has none, and no label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ByApp(pub(super) Option<Arc<str>>);

impl EncodeLabelSet for ByApp {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        match &self.0 {
            Some(app) => ("app", &**app).encode(encoder.encode_label()),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByDirection {
    pub(super) direction: &'static str,
    pub(super) estimated: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ProgramLabels {
    pub(super) path: &'static str,
    pub(super) status: Cow<'static, str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByPath {
    pub(super) path: &'static str,
}

/// Addresses of programs at which a model is asked.
pub(super) const ASKED: [&str; 6] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
];
/// Their other addresses.
const LOOKED_AT: [&str; 2] = ["/v1/models", "/v1/me"];

/// The label for an address: one of those that there are, or `other`.
pub(super) fn path_of(path: &str) -> &'static str {
    let path = if path.starts_with("/v1/models/") { LOOKED_AT[0] } else { path };
    ASKED.into_iter().chain(LOOKED_AT).find(|known| *known == path).unwrap_or("other")
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByRule {
    pub(super) rule: &'static str,
    pub(super) direction: &'static str,
    pub(super) action: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByErrcode {
    pub(super) errcode: Cow<'static, str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RefreshLabels {
    pub(super) result: &'static str,
    pub(super) errcode: Cow<'static, str>,
}

/// An errcode as a label. Those that WeCom documents are some two hundred; all others share a word.
pub(super) fn errcode(code: Option<i64>) -> Cow<'static, str> {
    match code {
        Some(0) => "0".into(),
        Some(code) => code.to_string().into(),
        None => "other".into(),
    }
}

/// Why callbacks are refused: the words of `wecom::callback::Rejection`, and those of `web` for what never got there.
pub(super) const REFUSALS: [&str; 11] = [
    "missing_parameter",
    "missing_encrypt",
    "wrong_signature",
    "undecryptable",
    "other_receiver",
    "malformed_xml",
    "dtd_present",
    "too_large",
    "incomplete",
    "busy",
    "not_saved",
];

/// How calls of a model fail: the words of `llm::error::Error`.
pub(super) const MODEL_ERRORS: [&str; 16] = [
    "misconfigured",
    "unauthorized",
    "model_not_found",
    "rate_limited",
    "quota_exhausted",
    "too_long",
    "content_filtered",
    "rejected",
    "upstream",
    "unreachable",
    "first_delta_timeout",
    "gap_timeout",
    "answer_timeout",
    "cut",
    "garbage",
    "stream_error",
];

/// What comes of sends most often; other errcodes appear when they come.
pub(super) const SENDS: [&str; 6] = ["0", "60020", "45009", "unreachable", "unsure", "other"];

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TurnResult {
    /// With the whole answer.
    Answered,
    /// With an answer that reached the length limit; the member was told so.
    LengthLimit,
    /// The member stopped it.
    Stopped,
    /// The model finished without a word.
    Empty,
    /// The provider's content filter held it back.
    Filtered,
    /// The rules of this house held the question or the answer back.
    Withheld,
    /// The member may not use more for now.
    Quota,
    /// A voice message in which nothing could be understood; the member was told so.
    Unheard,
    /// A picture that could not be looked at; the member was told so.
    Unseen,
    /// The model failed; `qimate_model_errors` has the kinds.
    Model,
    /// Our own fault.
    Internal,
}

impl TurnResult {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Answered,
        Self::LengthLimit,
        Self::Stopped,
        Self::Empty,
        Self::Filtered,
        Self::Withheld,
        Self::Quota,
        Self::Unheard,
        Self::Unseen,
        Self::Model,
        Self::Internal,
    ];

    /// The label's value.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::LengthLimit => "length_limit",
            Self::Stopped => "stopped",
            Self::Empty => "empty",
            Self::Filtered => "filtered",
            Self::Withheld => "withheld",
            Self::Quota => "quota",
            Self::Unheard => "unheard",
            Self::Unseen => "unseen",
            Self::Model => "model",
            Self::Internal => "internal",
        }
    }
}

/// Why nothing can be sent to anybody: the words of `alert::observation::Block`.
pub(super) const PAUSES: [&str; 4] = ["slow_down", "ip_refused", "misconfigured", "unreachable"];

/// What the rules of `[safety]` can come to: the words of `safety::personal::Kind` and `safety::guard`.
pub(super) fn safety_hits() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let masked = ["id_card", "bank_card", "phone", "email", "secret"].into_iter().map(|rule| (rule, "in", "mask"));
    let judged = ["word", "pattern"].into_iter().flat_map(|rule| {
        let actions = ["refuse", "mask", "alert"].into_iter();
        actions.flat_map(move |action| ["in", "out"].map(|direction| (rule, direction, action)))
    });
    let moderated = ["in", "out"]
        .into_iter()
        .flat_map(|direction| ["refuse", "failed"].map(|action| ("moderation", direction, action)));
    masked.chain(judged).chain(moderated)
}
