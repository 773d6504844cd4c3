//! The chat room.
