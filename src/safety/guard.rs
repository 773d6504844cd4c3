//! What everything goes through that is sent to a model.
//!
//! Only here is [`Cleared`] text made, and what speaks to models takes nothing else: a new way to a model cannot forget
//! the guard, since it does not compile without it.

use std::{borrow::Cow, sync::Arc};

use super::{
    masks::Masks,
    personal::{Kind, Kinds},
    rules::Rules,
    screen::Screen,
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
    /// `None`: there are none.
    rules: Option<Arc<Rules>>,
    /// Whether what comes from outside is kept for a moderator's look.
    moderated: bool,
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
    /// The house or the model wrote it: only data are masked.
    House,
    /// It comes from outside and was looked at in an earlier call: what the rules refuse or mask is masked, uncounted.
    Earlier,
    /// It comes from outside with this call: the question, what was heard, what a tool gave. All rules hold.
    New,
}

/// What was found, without the texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits(Vec<Hit>);

/// One kind of rule that fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The kind: a name of [`Kind`], `word` or `pattern`.
    pub rule: &'static str,
    /// What was done: `refuse`, `mask` or `alert`.
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

impl FromIterator<Hit> for Hits {
    fn from_iter<T: IntoIterator<Item = Hit>>(hits: T) -> Self {
        Self(hits.into_iter().collect())
    }
}

/// The rules refuse it: it must not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rules of this house refuse it")]
pub struct Withheld(pub Hits);

/// What came of the texts of a request.
pub struct Findings {
    /// Puts back what was masked.
    pub masks: Masks,
    /// What was found in new texts.
    pub hits: Hits,
    /// The new texts, where somebody wants to look at them; otherwise empty.
    pub fresh: Cleared<'static>,
}

impl Guard {
    /// Masks data of these kinds, and holds to `rules`.
    pub fn new(mask: Kinds, rules: Arc<Rules>) -> Self {
        Self { mask, rules: Some(rules).filter(|rules| !rules.is_empty()), moderated: false }
    }

    /// Keeps new texts for a moderator's look, if there is one.
    pub fn moderated(self, moderated: bool) -> Self {
        Self { moderated, ..self }
    }

    /// Whether there is nothing to be looked for.
    pub fn is_idle(&self) -> bool {
        self.mask.is_empty() && self.rules.is_none() && !self.moderated
    }

    /// Begins with the texts of one request: their placeholders belong together.
    pub fn begin(&self) -> Clearing {
        Clearing {
            masks: Masks::new(self.mask),
            rules: self.rules.clone(),
            data: [0; Kind::ALL.len()],
            hits: Vec::new(),
            fresh: self.moderated.then(String::new),
        }
    }

    /// A text that is sent alone, such as what a picture should show. What is masked in it stays so.
    ///
    /// # Errors
    /// [`Withheld`]: it must not be sent.
    pub fn clear<'t>(&self, text: &'t str) -> Result<(Cleared<'t>, Hits), Withheld> {
        let mut clearing = self.begin();
        let cleared = clearing.clear(text, Origin::New)?;
        Ok((cleared, clearing.finish().hits))
    }

    /// Data of the kinds that are masked, masked: for what only looks at a text and never answers it.
    pub fn mask<'t>(&self, text: &'t str) -> Cleared<'t> {
        Cleared(Masks::new(self.mask).mask(text))
    }

    /// Looks at what a model writes; `None` where there are no rules.
    pub fn screen(&self) -> Option<Screen> {
        self.rules.clone().map(Screen::new)
    }
}

/// The texts of one request on their way out, oldest first.
#[derive(Debug)]
pub struct Clearing {
    masks: Masks,
    rules: Option<Arc<Rules>>,
    /// How many data of each kind came with new texts.
    data: [u32; Kind::ALL.len()],
    hits: Vec<Hit>,
    fresh: Option<String>,
}

impl Clearing {
    /// The next text.
    ///
    /// # Errors
    /// [`Withheld`]: nothing of the request must be sent.
    pub fn clear<'t>(&mut self, text: &'t str, origin: Origin) -> Result<Cleared<'t>, Withheld> {
        let screened = self.screen(text, origin)?;
        let before: Vec<u32> = self.masks.counts().map(|(_, count)| count).collect();
        let masked = match self.masks.mask(&screened) {
            Cow::Borrowed(_) => None,
            Cow::Owned(masked) => Some(masked),
        };
        let cleared = masked.map_or(screened, Cow::Owned);
        if origin == Origin::New {
            for ((kind, count), before) in self.masks.counts().zip(before) {
                self.data[kind as usize] += count - before;
            }
            if let Some(fresh) = &mut self.fresh {
                fresh.push_str(&cleared);
                fresh.push('\n');
            }
        }
        Ok(Cleared(cleared))
    }

    /// What came of them.
    pub fn finish(self) -> Findings {
        let masked = |kind: Kind| Hit { rule: kind.name(), action: "mask", times: self.data[kind as usize] };
        let data = Kind::ALL.into_iter().map(masked).filter(|hit| hit.times > 0);
        let hits = self.hits.iter().copied().chain(data).collect();
        Findings { masks: self.masks, hits, fresh: Cleared(Cow::Owned(self.fresh.unwrap_or_default())) }
    }

    fn screen<'t>(&mut self, text: &'t str, origin: Origin) -> Result<Cow<'t, str>, Withheld> {
        let Some(rules) = self.rules.clone() else { return Ok(Cow::Borrowed(text)) };
        let mut screen = match origin {
            Origin::House => return Ok(Cow::Borrowed(text)),
            Origin::Earlier => Screen::lenient(rules),
            Origin::New => Screen::new(rules),
        };
        let mut screened = screen.push(text);
        screened.push_str(&screen.finish());
        self.hits.extend(screen.hits().iter());
        if screen.is_refused() {
            return Err(Withheld(self.hits.iter().copied().collect()));
        }
        Ok(if screened == text { Cow::Borrowed(text) } else { Cow::Owned(screened) })
    }
}
