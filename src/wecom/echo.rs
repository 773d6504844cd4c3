//! Calls our own callback from outside as WeCom's console does when its URL is saved, and says who answered.
//!
//! Knows the sentences with which a Qimate refuses a callback, so that another Qimate behind the same address, or this
//! one with other keys, is recognised.

use std::time::Duration;

use reqwest::{Response, Url, header};

use super::{
    crypto::{CallbackToken, EncodingAesKey, encrypt, signature},
    reach::beginning,
};
use crate::{
    clock::Clock,
    model::id::CorpId,
    net::link::{LinkFault, Way},
};

/// What our own echo begins with, so that it is not taken for WeCom's.
const MARK: &[u8] = b"qimate-doctor-";

/// How a Qimate refuses what is not signed with its Token.
pub const WRONG_SIGNATURE: &str = "the signature does not match\n";
/// How a Qimate refuses what is signed with its Token and encrypted with another key. Whoever reads it knows the Token.
pub const WRONG_KEY: &str = "the signature matches, the EncodingAESKey does not\n";
/// How a Qimate refuses what is for another enterprise. Whoever reads it knows the Token and the key.
pub const WRONG_CORP: &str = "it is for another enterprise\n";

/// Whether a verified echo is our own question and not WeCom's.
pub fn is_our_own(message: &[u8]) -> bool {
    message.starts_with(MARK)
}

/// What the callback is opened with.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Whom callbacks are for.
    pub corp: CorpId,
    /// Proves them.
    pub token: CallbackToken,
    /// Opens them.
    pub key: EncodingAesKey,
}

/// Why the callback did not give back what was encrypted for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoEcho {
    /// Nobody could be asked.
    Link(LinkFault),
    /// A proxy or platform in front has nobody behind it, with the HTTP status.
    Gateway(u16),
    /// Nothing is on this path.
    PathNotFound,
    /// The request is sent elsewhere: WeCom does not follow.
    Redirected(String),
    /// A Qimate with another Token.
    OtherToken,
    /// A Qimate with this Token and another EncodingAESKey.
    OtherKey,
    /// A Qimate of another enterprise.
    OtherCorp,
    /// The right text, with something around it.
    Changed,
    /// A page for people.
    Page,
    /// The request is refused before it comes to a Qimate, with the HTTP status.
    Refused(u16),
}

/// Asks the callback at `url` to give back a text of ours, within `limit`.
///
/// # Errors
/// Who answered instead, or what was in the way.
pub async fn ask(http: &reqwest::Client, clock: &Clock, limit: Duration, url: &str, keys: &Keys) -> Result<(), NoEcho> {
    let way = Way::new(url, None);
    way.try_first_hop(clock, limit).await.map_err(NoEcho::Link)?;
    let echo = format!("{}{}", String::from_utf8_lossy(MARK), hex::encode(random()));
    let encrypted = encrypt(&keys.key, keys.corp.as_str(), echo.as_bytes(), random());
    let timestamp = clock.now().as_secs().to_string();
    let nonce = hex::encode(&random()[..5]);
    let signature = signature(&keys.token, &timestamp, &nonce, &encrypted);
    let query =
        [("msg_signature", signature.as_str()), ("timestamp", &timestamp), ("nonce", &nonce), ("echostr", &encrypted)];
    let url = Url::parse_with_params(url, query).map_err(|_| NoEcho::Link(LinkFault::NameNotFound))?;
    let asked = async {
        let mut response = http.get(url).send().await.map_err(|error| way.fault_of(&error))?;
        let body = beginning(&mut response).await;
        Ok::<_, LinkFault>((response, body))
    };
    let asked = clock.timeout(limit, asked).await.unwrap_or(Err(LinkFault::TimedOut));
    let (response, body) = asked.map_err(NoEcho::Link)?;
    judge(&response, &String::from_utf8_lossy(&body), &echo)
}

fn judge(response: &Response, body: &str, echo: &str) -> Result<(), NoEcho> {
    let status = response.status().as_u16();
    let has = |name| response.headers().contains_key(name);
    Err(match status {
        200 if body == echo => return Ok(()),
        200 if body.contains(echo) => NoEcho::Changed,
        200 => NoEcho::Page,
        300..=399 => {
            let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            NoEcho::Redirected(to.split('?').next().unwrap_or_default().to_owned())
        }
        403 if body == WRONG_SIGNATURE => NoEcho::OtherToken,
        400 if body == WRONG_KEY => NoEcho::OtherKey,
        400 if body == WRONG_CORP => NoEcho::OtherCorp,
        502..=504 | 520..=530 => NoEcho::Gateway(status),
        // ngrok without its agent, and Railway without a running service, say it with 404.
        404 if has("ngrok-error-code") || has("x-railway-fallback") => NoEcho::Gateway(status),
        404 => NoEcho::PathNotFound,
        _ => NoEcho::Refused(status),
    })
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    // Without randomness the question is asked all the same: it holds no secret.
    let _ = getrandom::fill(&mut bytes);
    bytes
}
