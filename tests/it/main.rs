//! Stories about the whole daemon: the real server on a real port with a real database, and WeCom and the model played
//! at the socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "one binary: its modules are public to each other only")]

#[cfg(feature = "acme")]
mod acme;
mod administration;
mod alerts;
mod apps;
mod architecture;
mod attachments;
mod audit;
mod browser;
mod callback;
mod changeover;
mod commands;
mod company;
mod continued;
mod data;
mod delivery;
mod deployment;
mod disk;
mod docs;
mod doctor;
mod domain_files;
mod drawn;
mod faults;
mod figures;
mod gallery;
mod harness;
mod hook;
mod hostile;
mod https;
mod joined;
mod keys;
mod killed;
mod logs;
mod network;
mod observations;
mod operations;
mod pages;
mod people;
mod pictures;
mod process;
mod program;
mod reasoning;
mod remembered;
mod safety;
mod secrets;
mod setup;
mod spoken;
mod store;
mod team;
mod tools;
mod turn;
mod upstreams;
mod usage;
mod v1;
mod voice;
mod watching;
