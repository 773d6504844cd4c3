//! An error on one line, with everything that caused it: for the log and for what is kept.

use std::error::Error;

/// `error: its cause: the cause of that`.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
