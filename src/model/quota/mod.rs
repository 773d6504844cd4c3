//! Allowances: who may use how much of the models, over which time.
//!
//! Pure: time is handed in and nothing is stored here. The door that asks is `meter`, and `store` keeps what was used.
//! A new measure or window is a variant here; the compiler shows what else must know it.

pub mod amounts;
pub mod book;
mod count;
pub mod plan;
pub mod prices;
pub mod subject;
pub mod window;
