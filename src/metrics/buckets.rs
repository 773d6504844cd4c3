//! The buckets of what is measured, in seconds: fine where it matters whether it was a little less or more. Knows nothing
//! of who measures.

/// From a callback's last byte to its 200. The commit takes one to ten milliseconds on a good disk; WeCom repeats the
/// callback after five seconds, so what matters lies between.
pub(super) const ACK: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// From the model's being asked to its first word: a tenth of a second for a small one at hand, a minute for one that
/// thinks. `llm.first_delta_timeout` ends it at 60 s by default.
pub(super) const FIRST_DELTA: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 60.0];
/// From a program's request to the head of its answer, which leaves when the model begins: as [`FIRST_DELTA`], and finer
/// below, since what needs no model takes some milliseconds.
pub(super) const FIRST_BYTE: [f64; 13] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 60.0];
/// From the question to the first part of its answer: what a person waits. Fine where patience ends, around two to
/// ten seconds.
pub(super) const FIRST_PART: [f64; 14] = [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, 40.0, 60.0, 120.0];
/// From the question to the end of its answer. `llm.answer_timeout` ends it at some minutes.
pub(super) const TURN: [f64; 12] = [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
/// From a message's place in the outbox to WeCom's yes: one call when all is well, a minute where the pace holds it
/// back, up to a day when WeCom refuses.
pub(super) const DELIVERY: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0, 86400.0];
