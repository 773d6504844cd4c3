//! How an API call ends: with WeCom's JSON, or with trouble on the way to it.
//!
//! One way to ask, for every API. Knows no API by name. Keeps secrets out of errors: WeCom wants them in the query, so
//! no URL gets into an error here.

use std::{net::IpAddr, time::Duration};

use reqwest::{RequestBuilder, Response};
use serde::{Deserialize, de::DeserializeOwned};

use super::errcode::{Class, Errcode};
use crate::clock::Clock;

/// Bytes that an answer may have. The longest of those we ask for is below 2 KiB; more is not WeCom.
const ANSWER_LIMIT: usize = 64 * 1024;
/// Bytes of an `errmsg` that are kept.
const ERRMSG_LIMIT: usize = 200;

/// WeCom's JSON did not come. Unless [`Trouble::was_sent`] says no, the call may have had its effect.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No connection was made.
    #[error("no connection")]
    Connect(#[source] reqwest::Error),
    /// There was no whole answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection broke before the answer was whole.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    /// Somebody answered who is not WeCom, or WeCom was not well: it answers errors with 200 too.
    #[error("HTTP status {0} instead of 200")]
    Status(u16),
    /// The answer is longer than any of WeCom's.
    #[error("an answer of more than {ANSWER_LIMIT} bytes")]
    TooLong,
    /// The answer is not WeCom's JSON; a login page of some proxy, perhaps.
    #[error("an answer that is not WeCom's JSON")]
    NotJson(#[source] serde_json::Error),
    /// The answer says that it worked, and lacks what was asked for.
    #[error("an answer without `{0}`")]
    Incomplete(&'static str),
}

impl Trouble {
    /// Whether the request left: if not, it has done nothing for sure.
    pub const fn was_sent(&self) -> bool {
        !matches!(self, Self::Connect(_))
    }
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        let never_left = error.is_connect() || error.is_builder();
        let error = error.without_url();
        if never_left { Self::Connect(error) } else { Self::Broken(error) }
    }
}

/// WeCom answered, and said no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("errcode {errcode}")]
pub struct Refusal {
    /// Which no.
    pub errcode: Errcode,
    /// The words beside it, for the log: without control characters, at most 200 bytes, none where WeCom gave none.
    pub errmsg: Option<String>,
    /// The address that WeCom saw us come from, where it says so. Only to be shown: the words are no contract.
    pub address: Option<String>,
}

/// The part that every answer has.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    errcode: Errcode,
    #[serde(default)]
    errmsg: String,
}

impl Outcome {
    /// What WeCom said.
    pub(super) const fn errcode(&self) -> Errcode {
        self.errcode
    }

    /// What the errcode asks for.
    pub(super) const fn class(&self) -> Class {
        self.errcode.class()
    }

    /// The refusal, unless it is a success. `secret` was in the request, so it is taken out of what came back.
    pub(super) fn refusal(&self, secret: &str) -> Option<Refusal> {
        (self.class() != Class::Ok).then(|| Refusal {
            errcode: self.errcode,
            errmsg: printable(&self.errmsg, secret),
            address: address(&self.errmsg),
        })
    }
}

/// Sends `request` and reads WeCom's answer, all within `limit`.
pub(super) async fn ask<T: DeserializeOwned>(
    clock: &Clock,
    limit: Duration,
    request: RequestBuilder,
) -> Result<T, Trouble> {
    let whole = async { read(request.send().await?).await };
    let body = clock.timeout(limit, whole).await.map_err(|_| Trouble::TimedOut(limit))??;
    serde_json::from_slice(&body).map_err(Trouble::NotJson)
}

async fn read(mut response: Response) -> Result<Vec<u8>, Trouble> {
    if !response.status().is_success() {
        return Err(Trouble::Status(response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_LIMIT {
            return Err(Trouble::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn printable(errmsg: &str, secret: &str) -> Option<String> {
    let mut text: String = errmsg.chars().filter(|c| !c.is_control()).collect();
    if !secret.is_empty() {
        text = text.replace(secret, "***");
    }
    text.truncate(text.floor_char_boundary(ERRMSG_LIMIT));
    (!text.is_empty()).then_some(text)
}

/// The address in `..., from ip: 116.228.224.178, more info at ...`.
fn address(errmsg: &str) -> Option<String> {
    let (_, after) = errmsg.split_once("from ip: ")?;
    let end = after.find(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':'))).unwrap_or(after.len());
    after[..end].parse::<IpAddr>().ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_words() {
        let real = "not allow to access from your ip, hint: [1688706313500611129503023], from ip: 116.228.224.178, \
                    more info at https://open.work.weixin.qq.com/devtool/query?e=60020";
        let cases = [
            (real, Some("116.228.224.178")),
            ("from ip: 2001:db8::1, more", Some("2001:db8::1")),
            ("from ip: 10.0.0.1", Some("10.0.0.1")),
            ("from ip: , more", None),
            ("from ip: 999.1", None),
            ("from ip: 你", None),
            ("ok", None),
        ];
        for (errmsg, expected) in cases {
            assert_eq!(address(errmsg).as_deref(), expected, "{errmsg}");
        }
    }

    #[test]
    fn an_errmsg_is_fit_for_the_log() {
        assert_eq!(printable("", "s3cret"), None);
        assert_eq!(printable("bad\r\n\u{1b}[31m key", "s3cret").as_deref(), Some("bad[31m key"));
        assert_eq!(printable("corpsecret=s3cret is wrong", "s3cret").as_deref(), Some("corpsecret=*** is wrong"));
        let cut = printable(&"字".repeat(100), "s3cret").expect("text");
        assert_eq!(cut, "字".repeat(66));
    }
}
