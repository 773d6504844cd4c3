//! Who is told when something is wrong, and when it is well again.
//!
//! Decides from what it is shown what is worth an alert, says each once, and brings it to the operators as WeCom
//! messages, to the webhook and into the log. Knows neither WeCom nor the model: whoever watches them shows what was
//! seen.
