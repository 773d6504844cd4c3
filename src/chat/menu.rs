//! The menu below the chat, whose entries are commands ([`super::command::Command::of_key`]).
//!
//! It is made once in the background when the daemon starts. A menu that this daemon could not have made is somebody's
//! work, and stays as it is.

use tracing::{debug, info, warn};

use super::cause::chain;
use crate::{
    model::{id::AppKey, language::Language},
    wecom::{
        client::Client,
        menu::{Button, MenuError},
    },
};

/// What helps where WeCom refuses for a reason that has no remedy of its own.
const REMEDY: &str = "look at the app in WeCom's console (应用管理 → the app), or set menu.enabled = false";

/// Sees to the menu of one application.
#[derive(Debug)]
pub struct Menu {
    wecom: Client,
    app: AppKey,
    language: Language,
}

impl Menu {
    /// Of the application `app`, in whose name `wecom` calls.
    pub const fn new(wecom: Client, app: AppKey, language: Language) -> Self {
        Self { wecom, app, language }
    }

    /// Makes the menu where there is none, or the one of the other language. Says in the log what came of it; what
    /// failed is tried again at the next start.
    pub async fn keep(self) {
        let app = &self.app;
        match self.look().await {
            Ok(Found::Same) => debug!(%app, "the menu is as it should be"),
            Ok(Found::Made) => info!(%app, "made the app's menu"),
            Ok(Found::Foreign) => info!(
                %app,
                "the app has a menu that somebody made; it stays as it is (menu.enabled = false does not look)"
            ),
            Err(error) => match error.refusal() {
                Some(refusal) => {
                    let remedy = refusal.errcode.remedy().unwrap_or(REMEDY);
                    warn!(%app, errcode = %refusal.errcode, remedy, "WeCom refuses the app's menu; again at the next start");
                }
                None => warn!(
                    %app, reason = %chain(&error),
                    remedy = "look whether WeCom can be reached from here (qimate doctor)",
                    "could not see to the app's menu; again at the next start"
                ),
            },
        }
    }

    async fn look(&self) -> Result<Found, MenuError> {
        let (found, wanted) = (self.wecom.menu().await?, buttons(self.language));
        if found == wanted {
            return Ok(Found::Same);
        }
        if !found.is_empty() && !Language::ALL.iter().any(|language| found == buttons(*language)) {
            return Ok(Found::Foreign);
        }
        self.wecom.create_menu(&wanted).await.map(|()| Found::Made)
    }
}

enum Found {
    Same,
    Made,
    Foreign,
}

/// The menu in a language. When it is changed, what it was must still be known as ours.
fn buttons(language: Language) -> Vec<Button> {
    let click = |name: &str, command| Button::Click { name: name.to_owned(), key: format!("qimate:{command}") };
    let [new, help, more, usage, model] = match language {
        Language::Chinese => ["新对话", "帮助", "更多", "用量", "模型"],
        Language::English => ["New chat", "Help", "More", "Usage", "Model"],
    };
    let entries = vec![click(usage, "usage"), click(model, "model")];
    vec![click(new, "new"), click(help, "help"), Button::Group { name: more.to_owned(), entries }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::command::Command;

    #[test]
    fn every_entry_is_a_command_and_fits_into_a_menu() {
        for language in Language::ALL {
            let menu = buttons(language);
            assert!((1..=3).contains(&menu.len()));
            for button in &menu {
                let (name, entries) = match button {
                    Button::Group { name, entries } => (name, entries.as_slice()),
                    Button::Click { name, .. } => (name, std::slice::from_ref(button)),
                    Button::Other => panic!("{button:?}"),
                };
                assert!(name.len() <= 16 && entries.len() <= 5, "{button:?}");
                for entry in entries {
                    let Button::Click { name, key } = entry else { panic!("{entry:?}") };
                    assert!(name.len() <= 40 && Command::of_key(key).is_some(), "{entry:?}");
                }
            }
        }
    }
}
