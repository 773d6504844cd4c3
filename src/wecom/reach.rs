//! Whether WeCom's API answers where the configuration says it is, and if not, who answers instead.
//!
//! Asks for `agent/get` without an access token: WeCom then says 41001, which costs nothing, is nobody's quota, and
//! only WeCom says it.

use reqwest::{Response, header};
use serde_json::Value;

use super::client::Client;
use crate::{clock::Timestamp, net::link::LinkFault};

/// Bytes of an answer that are looked at.
const LOOKED_AT: usize = 16 * 1024;

/// WeCom's API answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// What time the answer says it is there.
    pub server_time: Option<Timestamp>,
}

/// It is not WeCom's API that answers there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReached {
    /// Nobody could be asked.
    Link(LinkFault),
    /// A page for people.
    Page,
    /// Somebody who knows no such path.
    PathNotFound,
    /// Somebody on the way who could not reach the next one, with the HTTP status.
    Gateway(u16),
    /// Somebody who sends us elsewhere.
    Redirected(String),
    /// Somebody else.
    Stranger(u16),
}

impl Client {
    /// Host and port of the API, and of the proxy to it, as they may be shown.
    pub const fn way(&self) -> &crate::net::link::Way {
        &self.way
    }

    /// Whether WeCom's API is there.
    ///
    /// # Errors
    /// Who is there instead, or what is in the way.
    pub async fn reach(&self) -> Result<Reached, NotReached> {
        self.way.try_first_hop(&self.clock, self.timeout).await.map_err(NotReached::Link)?;
        let url = format!("{}/cgi-bin/agent/get", self.api_base);
        let asked = async {
            let mut response = self.http.get(url).send().await.map_err(|error| self.way.fault_of(&error))?;
            let body = beginning(&mut response).await;
            Ok::<_, LinkFault>((response, body))
        };
        let asked = self.clock.timeout(self.timeout, asked).await.unwrap_or(Err(LinkFault::TimedOut));
        let (response, body) = asked.map_err(NotReached::Link)?;
        judge(response.status().as_u16(), &response, &body)
    }
}

fn judge(status: u16, response: &Response, body: &[u8]) -> Result<Reached, NotReached> {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let page = body.trim_ascii_start().starts_with(b"<");
    match status {
        200 => {
            let json = serde_json::from_slice::<Value>(body).unwrap_or_default();
            if json["errcode"].is_i64() {
                let server_time = text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
                let since_epoch = server_time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
                return Ok(Reached { server_time: since_epoch.map(|since| Timestamp::default() + since) });
            }
            Err(if page { NotReached::Page } else { NotReached::Stranger(status) })
        }
        300..=399 => {
            let to = text(header::LOCATION).unwrap_or_default();
            Err(NotReached::Redirected(to.split('?').next().unwrap_or_default().to_owned()))
        }
        404 | 405 => Err(NotReached::PathNotFound),
        407 => Err(NotReached::Link(LinkFault::ProxyAuthentication)),
        502..=504 => Err(NotReached::Gateway(status)),
        _ if page => Err(NotReached::Page),
        _ => Err(NotReached::Stranger(status)),
    }
}

/// As much of the body as is looked at, or as far as it came.
pub(super) async fn beginning(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LOOKED_AT {
            break;
        }
    }
    body
}
