//! Who is told when something is wrong, and when it is well again.
//!
//! Decides from what it is shown what is worth an alert, says each once, and brings it to the operators as WeCom
//! messages, to the webhook and into the log. Knows neither WeCom nor the model: whoever watches them shows what was
//! seen.
//!
//! The way: an [`observation::Observation`] is judged (`judge`, which has no memory), the judgement moves the alerts
//! that are raised (`alerts`), and what moved is said in words of `texts`. To add a condition: a variant in
//! `condition`, then follow the compiler, and its line in `docs/operations.md`.

pub mod alerts;
pub mod condition;
pub mod judge;
pub mod observation;
mod texts;
pub mod webhook;
