//! The company's data: backed up, brought back, brought up to a new version, thrown away in time.

mod backup;
mod import;
mod keep_days;
mod media;
mod member;
mod privacy;
mod restored;
mod retention;
mod schema;
