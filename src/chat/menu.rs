//! The menu below the chat, whose entries are commands ([`Command::of_key`]) and pages.
//!
//! It is made once in the background when the daemon starts. A menu that no daemon made, or that somebody changed since,
//! is somebody's work, and stays as it is.

use sha1::{Digest, Sha1};
use tracing::{debug, info, warn};

use super::cause::chain;
use crate::{
    config::menu::{MenuAction, MenuEntry, MenuItem},
    model::{command::Command, id::AppKey, language::Language},
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
    wanted: Vec<Button>,
}

impl Menu {
    /// Of the application `app`, in whose name `wecom` calls: with these entries or, where there are none, the usual
    /// ones in `language`.
    pub fn new(wecom: Client, app: AppKey, language: Language, entries: &[MenuEntry]) -> Self {
        let wanted = if entries.is_empty() { usual(language) } else { configured(entries) };
        Self { wecom, app, wanted }
    }

    /// Makes the menu where there is none, or another one that a daemon made. Says in the log what came of it; what
    /// failed is tried again at the next start.
    pub async fn keep(self) {
        let app = &self.app;
        match self.look().await {
            Ok(Found::Same) => debug!(%app, "the menu is as it should be"),
            Ok(Found::Made) => info!(%app, "made the app's menu"),
            Ok(Found::Foreign) => info!(
                %app,
                "the app has a menu that somebody made; it stays as it is (to have ours, delete it in the console and start \
                 again; menu.enabled = false does not look)"
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
        let found = self.wecom.menu().await?;
        if found == self.wanted {
            return Ok(Found::Same);
        }
        if !found.is_empty() && !is_ours(&found) {
            return Ok(Found::Foreign);
        }
        self.wecom.create_menu(&self.wanted).await.map(|()| Found::Made)
    }
}

enum Found {
    Same,
    Made,
    Foreign,
}

/// The usual menu in a language. When it is changed, what it was must still be known as ours.
fn usual(language: Language) -> Vec<Button> {
    let click = |name: &str, command: Command| Button::Click { name: name.to_owned(), key: command.key() };
    let [new, help, more, usage, model] = match language {
        Language::Chinese => ["新对话", "帮助", "更多", "用量", "模型"],
        Language::English => ["New chat", "Help", "More", "Usage", "Model"],
    };
    let entries = vec![click(usage, Command::Usage), click(model, Command::Model)];
    vec![click(new, Command::New), click(help, Command::Help), Button::Group { name: more.to_owned(), entries }]
}

/// The menu that the administrator wants, marked as ours.
fn configured(entries: &[MenuEntry]) -> Vec<Button> {
    let item = |MenuItem { name, does }: &MenuItem| match does {
        MenuAction::Command(command) => Button::Click { name: name.clone(), key: command.key() },
        MenuAction::Open(url) => Button::View { name: name.clone(), url: url.clone() },
    };
    let entry = |entry: &MenuEntry| match entry {
        MenuEntry::Item(one) => item(one),
        MenuEntry::Group { name, items } => {
            Button::Group { name: name.clone(), entries: items.iter().map(item).collect() }
        }
    };
    let menu: Vec<Button> = entries.iter().map(entry).collect();
    let mark = mark(&menu);
    menu.into_iter().map(|button| with_key(button, &|key| format!("{key}:{mark}"))).collect()
}

/// Whether a daemon made this menu, and nobody changed it since: it is a usual one, or it bears the mark of what stands
/// in it. One without a command has no place for a mark.
fn is_ours(menu: &[Button]) -> bool {
    if Language::ALL.iter().any(|language| menu == usual(*language)) {
        return true;
    }
    let bare: Vec<Button> = menu
        .iter()
        .map(|button| {
            with_key(button.clone(), &|key| key.rsplit_once(':').map_or(String::new(), |(bare, _)| bare.to_owned()))
        })
        .collect();
    let mark = mark(&bare);
    let marked: Vec<Button> = bare.into_iter().map(|button| with_key(button, &|key| format!("{key}:{mark}"))).collect();
    marked == menu && has_command(menu)
}

fn has_command(menu: &[Button]) -> bool {
    menu.iter().any(|button| match button {
        Button::Click { .. } => true,
        Button::Group { entries, .. } => has_command(entries),
        Button::View { .. } | Button::Other => false,
    })
}

/// The button with other keys.
fn with_key(button: Button, change: &impl Fn(&str) -> String) -> Button {
    match button {
        Button::Click { name, key } => Button::Click { name, key: change(&key) },
        Button::Group { name, entries } => {
            Button::Group { name, entries: entries.into_iter().map(|one| with_key(one, change)).collect() }
        }
        button @ (Button::View { .. } | Button::Other) => button,
    }
}

/// What follows from all that stands in a menu. Kept by WeCom behind each key, it tells later whether the menu is still
/// what was made: nothing else is remembered of it.
fn mark(menu: &[Button]) -> String {
    hex::encode(&Sha1::digest(said(menu))[..4])
}

/// All that stands in a menu. A name holds no control characters, so two menus never say the same.
fn said(menu: &[Button]) -> String {
    let one = |button: &Button| match button {
        Button::Click { name, key } => format!("click\t{name}\t{key}\n"),
        Button::View { name, url } => format!("view\t{name}\t{url}\n"),
        Button::Group { name, entries } => format!("group\t{name}\n{}end\n", said(entries)),
        Button::Other => "other\n".to_owned(),
    };
    menu.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_usual_menu_is_a_command_and_fits() {
        for language in Language::ALL {
            let menu = usual(language);
            assert!((1..=3).contains(&menu.len()));
            for button in &menu {
                let (name, entries) = match button {
                    Button::Group { name, entries } => (name, entries.as_slice()),
                    Button::Click { name, .. } => (name, std::slice::from_ref(button)),
                    other => panic!("{other:?}"),
                };
                assert!(name.len() <= 16 && entries.len() <= 5, "{button:?}");
                for entry in entries {
                    let Button::Click { name, key } = entry else { panic!("{entry:?}") };
                    assert!(name.len() <= 40 && Command::of_key(key).is_some(), "{entry:?}");
                }
            }
        }
    }

    #[test]
    fn a_menu_bears_the_mark_of_what_stands_in_it() {
        let item = |name: &str, does| MenuItem { name: name.to_owned(), does };
        let new = || item("重来", MenuAction::Command(Command::New));
        let page = || item("主页", MenuAction::Open("https://example.com".to_owned()));
        let menu = configured(&[
            MenuEntry::Item(page()),
            MenuEntry::Group { name: "更多".to_owned(), items: vec![new(), page()] },
        ]);
        assert!(is_ours(&menu));
        let Button::Group { entries, .. } = &menu[1] else { panic!("{menu:?}") };
        let Button::Click { key, .. } = &entries[0] else { panic!("{entries:?}") };
        assert_eq!(Command::of_key(key).map(|asked| asked.command), Some(Command::New), "{key}");
        // Whoever changes anything of it makes it theirs.
        let mut longer = menu.clone();
        longer.push(Button::Other);
        let mut renamed = menu.clone();
        renamed[0] = Button::View { name: "首页".to_owned(), url: "https://example.com".to_owned() };
        for other in [longer, renamed, menu[..1].to_vec(), configured(&[MenuEntry::Item(page())])] {
            assert!(!is_ours(&other), "{other:?}");
        }
        let by_hand = vec![Button::Click { name: "重来".to_owned(), key: Command::New.key() }];
        assert!(!is_ours(&by_hand));
        assert!(is_ours(&configured(&[MenuEntry::Item(new())])));
    }
}
