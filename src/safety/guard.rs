//! What everything goes through that is sent to a model.
//!
//! Only here is [`Cleared`] text made, and what speaks to models takes nothing else: a new way to a model cannot forget
//! the guard, since it does not compile without it.

use std::borrow::Cow;

use super::{
    masks::Masks,
    personal::{Kind, Kinds},
};

/// What the model must know when data were masked. Behind the house's own instructions.
pub const ABOUT_PLACEHOLDERS: &str = "对话中形如 ⟦手机1⟧ 的记号代表已隐去的内容。需要写到该内容时，请原样写出记号（连同括号和编号），\
    不要改写、猜测或解释。\n\
    (Marks such as ⟦手机1⟧ stand for content that is withheld. Where you would write it, write the mark exactly as it \
    is; do not change, guess or explain it.)";

/// The rules of this house. Without any, everything passes as it is, unread.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    mask: Kinds,
}

/// Text that has been through the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleared<'t>(Cow<'t, str>);

impl<'t> Cleared<'t> {
    /// What may be sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, to be kept.
    pub fn into_inner(self) -> Cow<'t, str> {
        self.0
    }
}

/// Where a text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The house or the model wrote it, or it was looked at in an earlier call. Personal data are masked in it.
    Known,
    /// It comes from outside with this call: the question, what was heard, what a tool gave.
    New,
}

/// What was found in the texts of a request, without the texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits(Vec<Hit>);

/// One rule that fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What kind of rule it is: a name of [`Kind`].
    pub rule: &'static str,
    /// What was done: `mask`.
    pub action: &'static str,
    /// How often.
    pub times: u32,
}

impl Hits {
    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = Hit> {
        self.0.iter().copied()
    }
}

/// The rules refuse it: it must not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rules of this house refuse it")]
pub struct Withheld(pub Hits);

impl Guard {
    /// Masks data of these kinds.
    pub const fn new(mask: Kinds) -> Self {
        Self { mask }
    }

    /// Begins with the texts of one request: their placeholders belong together.
    pub fn begin(&self) -> Clearing {
        Clearing { masks: Masks::new(self.mask), new: [0; Kind::ALL.len()] }
    }

    /// A text that is sent alone, such as what a picture should show. What is masked in it stays so.
    ///
    /// # Errors
    /// [`Withheld`]: it must not be sent.
    pub fn clear<'t>(&self, text: &'t str) -> Result<(Cleared<'t>, Hits), Withheld> {
        let mut clearing = self.begin();
        let cleared = clearing.clear(text, Origin::New)?;
        Ok((cleared, clearing.finish().1))
    }
}

/// The texts of one request on their way out, oldest first.
#[derive(Debug)]
pub struct Clearing {
    masks: Masks,
    /// How many data of each kind came with new texts.
    new: [u32; Kind::ALL.len()],
}

impl Clearing {
    /// The next text.
    ///
    /// # Errors
    /// [`Withheld`]: nothing of the request must be sent.
    pub fn clear<'t>(&mut self, text: &'t str, origin: Origin) -> Result<Cleared<'t>, Withheld> {
        let before: Vec<u32> = self.masks.counts().map(|(_, count)| count).collect();
        let cleared = Cleared(self.masks.mask(text));
        if origin == Origin::New {
            for ((kind, count), before) in self.masks.counts().zip(before) {
                self.new[kind as usize] += count - before;
            }
        }
        Ok(cleared)
    }

    /// The placeholders, and what was found in new texts.
    pub fn finish(self) -> (Masks, Hits) {
        let hits =
            Kind::ALL.into_iter().map(|kind| Hit { rule: kind.name(), action: "mask", times: self.new[kind as usize] });
        (self.masks, Hits(hits.filter(|hit| hit.times > 0).collect()))
    }
}
