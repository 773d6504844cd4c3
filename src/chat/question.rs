//! What a turn asks the model, put together from what the member sent.

use crate::model::{event::EventKind, media::MediaId};

/// What a turn asks the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// In words: written, or understood from what was spoken. Empty until that is understood, and where only pictures
    /// were sent.
    pub text: String,
    /// Pictures that belong to it, kept in the store.
    pub pictures: Vec<MediaId>,
    /// Whether it was spoken, at least in part.
    pub spoken: bool,
}

impl Question {
    /// As far as the event itself says it.
    pub fn of(event: &EventKind) -> Self {
        let text = if let EventKind::Text { content } = event { content.clone() } else { String::new() };
        Self { text, pictures: Vec::new(), spoken: matches!(event, EventKind::Voice { .. }) }
    }
}
