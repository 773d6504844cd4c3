//! What must not be said, and what must not leave the house: rules over text, and nothing else.
//!
//! [`guard`] is what everything that is sent to a model goes through: it gives [`guard::Cleared`] text, the only kind
//! that leaves. [`personal`] finds personal data and secrets, [`masks`] puts placeholders in their place, and
//! [`restore`] puts the originals back into what the model writes, also where a placeholder comes in pieces. [`rules`]
//! are words and patterns, and [`screen`] looks with them at a text while it comes. Knows nothing of members, models or settings, keeps nothing, and shows no text to anybody. To find another kind of data, add
//! a variant to [`personal::Kind`] and follow the compiler.

mod automaton;
mod fold;
pub mod guard;
pub mod masks;
pub mod personal;
pub mod restore;
pub mod rules;
pub mod screen;
