//! What is printed to somebody who has stopped reading, as `head` does.

use std::{panic, process};

/// What a shell shows of a program that SIGPIPE ended: 128 and the signal's number.
const NOBODY_READS: i32 = 141;

/// Ends the command when nobody reads what it prints, without a word: that is no fault. `println!` would panic.
pub(crate) fn end_when_nobody_reads() {
    let otherwise = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        let said = panicked.payload_as_str().unwrap_or_default();
        if said.starts_with("failed printing to stdout") && said.contains("Broken pipe") {
            process::exit(NOBODY_READS);
        }
        otherwise(panicked);
    }));
}
