//! The wecom room.
