//! What model calls cost, to be saved with what they bought. Knows nothing of who pays, or of what there is left.

use super::allowances::NearlyUsed;
use crate::{
    model::{conversation::Usage, quota::amounts::Amounts},
    store::used::Use,
};

/// The cost of model calls, to be saved with what they bought.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the cost must be saved"]
pub struct Charge {
    pub(super) usage: Usage,
    pub(super) units: Units,
    pub(super) used: Use,
    pub(super) nearly_used: Vec<NearlyUsed>,
}

/// What is not paid by model tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Pictures that were made.
    pub pictures: u32,
    /// Characters that were spoken.
    pub spoken: u32,
    /// Seconds that were written down.
    pub heard: u32,
}

impl Units {
    const NONE: Self = Self { pictures: 0, spoken: 0, heard: 0 };

    const fn and(self, other: Self) -> Self {
        Self {
            pictures: self.pictures.saturating_add(other.pictures),
            spoken: self.spoken.saturating_add(other.spoken),
            heard: self.heard.saturating_add(other.heard),
        }
    }
}

impl Charge {
    /// For a call that never began.
    pub const NOTHING: Self = Self::saved(Usage { input: 0, cached: 0, output: 0, estimated: false });

    /// The cost of a call before a restart, as it was saved.
    pub const fn saved(usage: Usage) -> Self {
        let used = Use { subjects: Vec::new(), amounts: Amounts::ZERO };
        Self { usage, units: Units::NONE, used, nearly_used: Vec::new() }
    }

    /// What is paid by other measures.
    pub const fn units(&self) -> Units {
        self.units
    }

    /// Model tokens.
    pub const fn usage(&self) -> Usage {
        self.usage
    }

    /// What it counts for, to be saved once; `None` where nothing was used.
    pub fn used(&self) -> Option<Box<Use>> {
        (!self.used.subjects.is_empty()).then(|| Box::new(self.used.clone()))
    }

    /// What it counts for, which is saved now: it is not to be saved again with the rest.
    pub fn take_used(&mut self) -> Use {
        std::mem::take(&mut self.used)
    }

    /// Whether something was used that counts.
    pub const fn counts(&self) -> bool {
        !self.used.subjects.is_empty()
    }

    /// The member's limits of which little is left since.
    pub fn nearly_used(&self) -> &[NearlyUsed] {
        &self.nearly_used
    }

    /// The cost of both calls, of one payer.
    pub fn and(mut self, other: Self) -> Self {
        self.usage = Usage {
            input: self.usage.input.saturating_add(other.usage.input),
            cached: self.usage.cached.saturating_add(other.usage.cached),
            output: self.usage.output.saturating_add(other.usage.output),
            estimated: self.usage.estimated || other.usage.estimated,
        };
        self.units = self.units.and(other.units);
        if self.used.subjects.is_empty() {
            self.used.subjects = other.used.subjects;
        }
        self.used.amounts = self.used.amounts.plus(other.used.amounts);
        self.nearly_used.extend(other.nearly_used);
        self
    }
}
