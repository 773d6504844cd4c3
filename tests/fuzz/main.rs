//! What strangers and machines write, changed at random: envelopes, XML, streams, Markdown, configuration, commands.
//!
//! Each target reads its corpus (`tests/fuzz/corpus/<target>`), then changed copies of it, for `QIMATE_FUZZ_SECONDS`
//! (8 by default; `QIMATE_FUZZ_SECONDS=3600 cargo test --test fuzz -- --nocapture` is a long run), and asserts more than
//! that nothing panics. `QIMATE_FUZZ_SEED` repeats a run. What was found to fail is made small and put into the corpus.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "one binary: its modules are public to each other only")]

mod change;
mod command;
mod config;
mod envelope;
mod event;
mod render;
mod run;
mod stream;
