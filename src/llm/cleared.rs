//! A request as it leaves the house.

use std::borrow::Cow;

use super::{
    client::{ChatRequest, Message, Role},
    tools::Tooling,
};
use crate::safety::guard::{ABOUT_PLACEHOLDERS, Cleared, Clearing, Findings, Guard, Origin, Withheld};

/// A request whose every text has been through the guard: no other is sent. The same request has the same placeholders
/// each time.
#[derive(Clone, Debug)]
pub struct ClearedRequest<'r>(Cow<'r, ChatRequest>);

impl<'r> ClearedRequest<'r> {
    /// Clears `request` with `guard`. New is what came since the model wrote last.
    ///
    /// # Errors
    /// [`Withheld`]: it must not be sent.
    pub fn through(guard: &Guard, request: &'r ChatRequest) -> Result<(Self, Findings), Withheld> {
        let mut clearing = guard.begin();
        let messages = &request.messages;
        let rounds = request.tooling.as_ref().map_or(0, |tooling| tooling.rounds.len());
        let new_from = messages.iter().rposition(|message| message.role == Role::Assistant).map_or(0, |last| last + 1);
        let mut changed: Vec<(usize, String)> = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            // Once a tool was called, the question was looked at in the call before.
            let origin = match message.role {
                Role::System | Role::Assistant => Origin::House,
                Role::User if rounds == 0 && index >= new_from => Origin::New,
                Role::User => Origin::Earlier,
            };
            if let Cow::Owned(text) = clearing.clear(&message.content, origin).map(Cleared::into_inner)? {
                changed.push((index, text));
            }
        }
        let tooling = clear_tooling(&mut clearing, request)?;
        let findings = clearing.finish();
        let mut cleared = Cow::Borrowed(request);
        if tooling.is_some() {
            cleared.to_mut().tooling = tooling;
        }
        if !changed.is_empty() {
            let messages = &mut cleared.to_mut().messages;
            for (index, text) in changed {
                messages[index].content = text;
            }
        }
        if !findings.masks.is_empty() {
            explain(&mut cleared.to_mut().messages);
        }
        Ok((Self(cleared), findings))
    }

    /// What may be sent.
    pub fn request(&self) -> &ChatRequest {
        &self.0
    }
}

/// The tools of a request with what came of them; `None` where nothing of it changes. New is what the last round gave.
fn clear_tooling(clearing: &mut Clearing, request: &ChatRequest) -> Result<Option<Box<Tooling>>, Withheld> {
    let Some(tooling) = request.tooling.as_ref().filter(|tooling| !tooling.rounds.is_empty()) else { return Ok(None) };
    let mut cleared = tooling.clone();
    let last = cleared.rounds.len() - 1;
    for (index, round) in cleared.rounds.iter_mut().enumerate() {
        let origin = if index == last { Origin::New } else { Origin::Earlier };
        let mut clear = |text: &mut String, origin| -> Result<(), Withheld> {
            if let Cow::Owned(changed) = clearing.clear(text, origin)?.into_inner() {
                *text = changed;
            }
            Ok(())
        };
        clear(&mut round.text, Origin::House)?;
        clear(&mut round.thought, Origin::House)?;
        for (call, result) in &mut round.results {
            clear(&mut call.arguments, Origin::House)?;
            clear(result, origin)?;
        }
    }
    Ok((*tooling != cleared).then_some(cleared))
}

/// Tells the model what placeholders are.
fn explain(messages: &mut Vec<Message>) {
    match messages.first_mut() {
        Some(Message { role: Role::System, content, .. }) => {
            content.push_str("\n\n");
            content.push_str(ABOUT_PLACEHOLDERS);
        }
        _ => messages.insert(0, Message::system(ABOUT_PLACEHOLDERS)),
    }
}
