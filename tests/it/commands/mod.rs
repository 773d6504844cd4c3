//! What members ask the bot itself to do, and what it remembers of their choices.

mod preferences;
