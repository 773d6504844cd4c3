//! Pictures and voice as bytes: read, measured, brought into the form that a model takes.
//!
//! Pure and slow: nothing here does I/O, and every function belongs on a blocking thread. Whatever employees send is
//! hostile until it is decoded: each function has limits on what it reads and on what it makes of it.

pub mod amr;
pub mod cut;
pub mod picture;
pub mod resample;
pub mod voice;
pub mod wav;
