//! The application's menu below the chat (page 90231): `menu/get` and `menu/create`.

use reqwest::RequestBuilder;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answer::{Outcome, Refusal, Trouble, ask},
    client::Client,
    errcode::Class,
    token::TokenError,
};

/// There is no menu.
const NOT_SET: i64 = 46003;

/// One to three of them are a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Button {
    /// Sends us a click event.
    Click {
        /// At most 16 bytes; in a group 40.
        name: String,
        /// What the event says, at most 128 bytes.
        key: String,
    },
    /// Opens one to five others.
    Group {
        /// At most 16 bytes.
        name: String,
        /// No groups among them.
        entries: Vec<Self>,
    },
    /// Opens a page.
    View {
        /// At most 16 bytes; in a group 40.
        name: String,
        /// At most 1024 bytes.
        url: String,
    },
    /// One of a type that we do not make: a camera, a position, a mini program.
    Other,
}

/// The menu could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum MenuError {
    /// There was no access token to ask with.
    #[error("no access token")]
    AccessToken(#[from] TokenError),
    /// No answer of WeCom's came.
    #[error("no answer of WeCom's")]
    Trouble(#[from] Trouble),
    /// WeCom refused.
    #[error("WeCom refused")]
    Refused(#[source] Refusal),
}

impl MenuError {
    /// What WeCom said, where it is a refusal, of the access token too.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) | Self::AccessToken(TokenError::Refused(refusal)) => Some(refusal),
            Self::AccessToken(TokenError::Unreachable(_)) | Self::Trouble(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    outcome: Outcome,
    #[serde(default)]
    button: Vec<Value>,
}

impl Button {
    /// As WeCom says it. What the button does counts, not what stands beside it.
    fn read(button: &Value) -> Self {
        let text = |field: &str| button[field].as_str().unwrap_or_default().to_owned();
        match button["sub_button"].as_array() {
            Some(entries) if !entries.is_empty() => {
                Self::Group { name: text("name"), entries: entries.iter().map(Self::read).collect() }
            }
            _ if button["type"] == "click" => Self::Click { name: text("name"), key: text("key") },
            _ if button["type"] == "view" => Self::View { name: text("name"), url: text("url") },
            _ => Self::Other,
        }
    }

    /// As WeCom takes it; nothing of a type that we do not make.
    fn written(&self) -> Option<Value> {
        match self {
            Self::Click { name, key } => Some(json!({"type": "click", "name": name, "key": key})),
            Self::View { name, url } => Some(json!({"type": "view", "name": name, "url": url})),
            Self::Group { name, entries } => {
                let entries: Vec<_> = entries.iter().filter_map(Self::written).collect();
                Some(json!({"name": name, "sub_button": entries}))
            }
            Self::Other => None,
        }
    }
}

impl Client {
    /// The application's menu; none where WeCom knows of none.
    ///
    /// # Errors
    /// [`MenuError`].
    pub async fn menu(&self) -> Result<Vec<Button>, MenuError> {
        let url = format!("{}/cgi-bin/menu/get", self.api_base);
        match self.ask_menu(|| self.http.get(&url)).await {
            Ok(buttons) => Ok(buttons.iter().map(Button::read).collect()),
            Err(MenuError::Refused(refusal)) if refusal.errcode.0 == NOT_SET => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Puts `menu` in the place of whatever menu there is.
    ///
    /// # Errors
    /// [`MenuError`].
    pub async fn create_menu(&self, menu: &[Button]) -> Result<(), MenuError> {
        let url = format!("{}/cgi-bin/menu/create", self.api_base);
        let buttons: Vec<_> = menu.iter().filter_map(Button::written).collect();
        let menu = json!({"button": buttons});
        self.ask_menu(|| self.http.post(&url).json(&menu)).await.map(drop)
    }

    async fn ask_menu(&self, request: impl Fn() -> RequestBuilder) -> Result<Vec<Value>, MenuError> {
        let agent = self.agent.get().to_string();
        let mut fresh = false;
        loop {
            let access_token = self.tokens.get().await?;
            let query = [("access_token", access_token.expose()), ("agentid", &agent)];
            let answer: Answer = ask(&self.clock, self.timeout, request().query(&query)).await?;
            if answer.outcome.class() == Class::TokenStale && !fresh {
                self.tokens.invalidate(&access_token);
                fresh = true;
                continue;
            }
            return match answer.outcome.refusal(access_token.expose()) {
                Some(refusal) => Err(MenuError::Refused(refusal)),
                None => Ok(answer.button),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wecom_shows_of_our_menu_is_what_we_wrote() {
        let click = |name: &str, key: &str| Button::Click { name: name.to_owned(), key: key.to_owned() };
        let group = Button::Group { name: "更多".to_owned(), entries: vec![click("用量", "u")] };
        let page = Button::View { name: "主页".to_owned(), url: "https://example.com".to_owned() };
        for button in [click("新对话", "n"), group, page] {
            assert_eq!(Button::read(&button.written().expect("ours")), button);
        }
        let shown = json!({"type": "click", "name": "新对话", "key": "n", "sub_button": []});
        assert_eq!(Button::read(&shown), click("新对话", "n"));
        let camera = json!({"type": "pic_sysphoto", "name": "拍照", "key": "p"});
        assert_eq!(Button::read(&camera), Button::Other);
    }
}
