//! Nouns as programs write and read them, the same for a command's flags and `--json` as over HTTP: what is wanted is
//! parsed here, with one sentence for each mistake, and what is shown is put together here.

pub mod grant;
pub mod key;
pub mod member;
pub mod plan;
