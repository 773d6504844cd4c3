//! Reads web pages and files that somebody else chose, without being led into the house.
//!
//! Whoever sends a link, and whoever writes a page that a model reads, decides where this goes. So: only `http` and
//! `https` on the usual ports, no passwords in the URL, no cookies, redirects followed by hand with each hop looked at,
//! every address looked at where it is resolved and the connection made to exactly what was looked at (a name that
//! changes its address between the look and the connection gains nothing), and bounds for size and time. Behind a proxy
//! it is the proxy that resolves names: then only addresses that stand in the URL itself can be looked at.
//!
//! What the bytes say is the business of `net::page`.

use std::{
    error::Error as StdError,
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Client, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, LOCATION},
};
use tokio::{net::lookup_host, sync::Semaphore};

pub use super::page::Page;
use super::{Error, Trust, address, http_client_builder, page};
use crate::{clock::Clock, secret::Secret};

/// A redirect more is a loop, or somebody who plays.
const MOST_REDIRECTS: usize = 5;
/// Characters that a URL may have.
const MOST_URL: usize = 4096;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// As many pages are in memory at once: with their text, each up to four times its limit.
const AT_ONCE: usize = 8;

/// The first bytes of a file, by which its kind is known.
const HEAD: usize = 16;
/// What a page is asked for as.
const PAGES: &str = "text/html, application/xhtml+xml, text/*;q=0.9, */*;q=0.5";

/// What may be read.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Bytes of a page, after it was unpacked; what is beyond is not read. A file that has more is none.
    pub bytes: usize,
    /// How long a page or a file may take, with its redirects.
    pub time: Duration,
    /// Ports that may be asked.
    pub ports: Vec<u16>,
    /// Hosts inside the house that may be read all the same, each with its port where it has one of its own.
    pub hosts: Vec<AllowedHost>,
}

/// A host that may be read wherever its address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    /// Its name or address, as it stands in URLs, in small letters.
    pub host: String,
    /// The port; `None`: those of everybody.
    pub port: Option<u16>,
}

impl AllowedHost {
    /// Where `url` leads, on its port alone; `None`: it is no URL.
    pub fn of(url: &str) -> Option<Self> {
        let url = parse(url).ok()?;
        Some(Self { host: plain(url.host_str()?), port: url.port_or_known_default() })
    }
}

/// Why a page was not read. Says nothing of where it is: a URL may hold what nobody else should know.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is no URL of a web page.
    #[error("this is not the address of a web page")]
    BadUrl,
    /// It leads into the house, or to a port that is not the web's.
    #[error("this address may not be read: it is not on the public web")]
    Forbidden,
    /// It leads from one to the next without end.
    #[error("the page redirects too often")]
    Redirects,
    /// The server says no.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// It is a picture, a video, a program: nothing to read.
    #[error("this is no text but {0}")]
    Kind(String),
    /// It is a file of another kind than the one that was asked for.
    #[error("this is not such a file")]
    OtherFile,
    /// It is a file that has more bytes than may be read.
    #[error("the file is too large")]
    TooLarge,
    /// There is nothing to read in it.
    #[error("the page has no text")]
    Empty,
    /// No connection, or it broke.
    #[error("the server cannot be reached")]
    Unreachable,
    /// It took too long.
    #[error("the page did not come in time")]
    TimedOut,
}

/// How names become addresses; the system's way unless a test says otherwise.
type Lookup = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync>;

/// Reads pages. Clones share its bounds.
#[derive(Clone)]
pub struct Fetcher {
    http: Client,
    clock: Clock,
    rules: Arc<Rules>,
    seats: Arc<Semaphore>,
}

struct Rules {
    bounds: Bounds,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("bounds", &self.rules.bounds).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Reads within `bounds`, through `proxy` where there is one.
    ///
    /// # Errors
    /// The proxy or the TLS set-up is unusable.
    pub fn new(bounds: Bounds, proxy: Option<&Secret<String>>, clock: Clock) -> Result<Self, Error> {
        let system: Lookup =
            Arc::new(|name| Box::pin(async move { Ok(lookup_host((name.as_str(), 0)).await?.collect()) }));
        Self::with_lookup(bounds, proxy, clock, system)
    }

    fn with_lookup(
        bounds: Bounds,
        proxy: Option<&Secret<String>>,
        clock: Clock,
        lookup: Lookup,
    ) -> Result<Self, Error> {
        let rules = Arc::new(Rules { bounds });
        // No connection is kept: the next one is looked at again.
        let builder = http_client_builder(proxy, CONNECT, Trust::Usual)?.pool_max_idle_per_host(0).referer(false);
        let builder = match proxy {
            // It resolves the proxy's own name, which may well be in the house.
            Some(_) => builder,
            None => builder.dns_resolver(Arc::new(Guard { rules: Arc::clone(&rules), lookup })),
        };
        let http = builder.build().map_err(Error::Client)?;
        Ok(Self { http, clock, rules, seats: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    /// The host of a URL, to be shown; `None`: it is no URL of a page.
    pub fn host_of(url: &str) -> Option<String> {
        Some(parse(url).ok()?.host_str()?.to_owned())
    }

    /// The text of the page at `url`, at most `most` characters of it.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn read(&self, url: &str, most: usize) -> Result<Page, FetchError> {
        let read = async {
            // It is never closed.
            let _seat = self.seats.acquire().await.map_err(|_| FetchError::TimedOut)?;
            let response = self.open(parse(url)?, PAGES).await?;
            let (kind, body, cut) = self.text(response).await?;
            let read = tokio::task::spawn_blocking(move || page::read(&kind, &body, most));
            let mut page = read.await.map_err(|_| FetchError::Empty)?;
            page.cut |= cut;
            if page.text.is_empty() && page.title.is_empty() { Err(FetchError::Empty) } else { Ok(page) }
        };
        self.clock.timeout(self.rules.bounds.time, read).await.unwrap_or(Err(FetchError::TimedOut))
    }

    /// All of the file at `url`, asked for as `accept`. Servers call files what they like, so `is_it` looks at its first
    /// bytes: they are fewer than it may want only where the file is.
    ///
    /// # Errors
    /// [`FetchError`]; [`FetchError::OtherFile`] where `is_it` says so, before more is read than that takes.
    pub async fn file(&self, url: &str, accept: &str, is_it: fn(&[u8]) -> bool) -> Result<Vec<u8>, FetchError> {
        let read = async {
            // It is never closed.
            let _seat = self.seats.acquire().await.map_err(|_| FetchError::TimedOut)?;
            let mut response = self.open(parse(url)?, accept).await?;
            let (mut file, most) = (Vec::new(), self.rules.bounds.bytes);
            if response.content_length().is_some_and(|bytes| bytes > most as u64) {
                return Err(FetchError::TooLarge);
            }
            let mut looked = false;
            while let Some(bytes) = response.chunk().await.map_err(|error| why(&error))? {
                if file.len() + bytes.len() > most {
                    return Err(FetchError::TooLarge);
                }
                file.extend_from_slice(&bytes);
                if !looked && file.len() >= HEAD {
                    looked = true;
                    if !is_it(&file) {
                        return Err(FetchError::OtherFile);
                    }
                }
            }
            if looked || is_it(&file) { Ok(file) } else { Err(FetchError::OtherFile) }
        };
        self.clock.timeout(self.rules.bounds.time, read).await.unwrap_or(Err(FetchError::TimedOut))
    }

    /// What answers at `url`, behind its redirects, with success.
    async fn open(&self, mut url: Url, accept: &str) -> Result<Response, FetchError> {
        for _ in 0..=MOST_REDIRECTS {
            self.rules.look_at(&url)?;
            let request = self.http.get(url.clone());
            let sent = request.header(ACCEPT, accept).header(ACCEPT_LANGUAGE, "zh-CN, zh;q=0.9, en;q=0.8").send();
            let response = sent.await.map_err(|error| why(&error))?;
            let status = response.status().as_u16();
            if let (301..=303 | 307 | 308, Some(next)) = (status, response.headers().get(LOCATION)) {
                let next = next.to_str().map_err(|_| FetchError::BadUrl)?;
                url = url.join(next).map_err(|_| FetchError::BadUrl)?;
                continue;
            }
            if !(200..=299).contains(&status) {
                return Err(FetchError::Status(status));
            }
            return Ok(response);
        }
        Err(FetchError::Redirects)
    }

    /// The content type, the body, and whether there was more of it.
    async fn text(&self, mut response: Response) -> Result<(String, Vec<u8>, bool), FetchError> {
        let most = self.rules.bounds.bytes;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.to_ascii_lowercase();
        if !page::can_read(&kind) {
            let essence = kind.split(';').next().unwrap_or_default().trim();
            return Err(FetchError::Kind(essence.chars().take(60).collect()));
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                // What comes is unpacked already, so a small thing that unpacks into a large one ends here too.
                Ok(Some(bytes)) if body.len() + bytes.len() > most => {
                    body.extend_from_slice(&bytes[..most - body.len()]);
                    return Ok((kind, body, true));
                }
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                Ok(None) => return Ok((kind, body, false)),
                Err(error) => return Err(why(&error)),
            }
        }
    }
}

fn parse(url: &str) -> Result<Url, FetchError> {
    let url = url.trim();
    if url.len() > MOST_URL {
        return Err(FetchError::BadUrl);
    }
    let mut url = Url::parse(url).map_err(|_| FetchError::BadUrl)?;
    url.set_fragment(None);
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(FetchError::BadUrl) }
}

impl Rules {
    /// What the URL itself says. The parser has written every spelling of an address (`0x7f.1`, `2130706433`) as one.
    fn look_at(&self, url: &Url) -> Result<(), FetchError> {
        let host = url.host_str().ok_or(FetchError::BadUrl)?;
        let port = url.port_or_known_default().ok_or(FetchError::BadUrl)?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Forbidden);
        }
        let usual = self.bounds.ports.contains(&port);
        let allowed = if self.is_allowed(host) {
            let host = plain(host);
            let mut rules = self.bounds.hosts.iter().filter(|rule| rule.host == host);
            rules.any(|rule| rule.port.map_or(usual, |own| own == port))
        } else {
            let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
            usual && literal.is_none_or(address::is_public)
        };
        if allowed { Ok(()) } else { Err(FetchError::Forbidden) }
    }

    fn is_allowed(&self, host: &str) -> bool {
        let host = plain(host);
        self.bounds.hosts.iter().any(|rule| rule.host == host)
    }
}

/// A name as it is compared.
fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Resolves names for the client and gives it nothing but what was looked at.
struct Guard {
    rules: Arc<Rules>,
    lookup: Lookup,
}

/// A name leads into the house.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to an address that is not public")]
struct Inside;

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, found) = (Arc::clone(&self.rules), (self.lookup)(name.as_str().to_owned()));
        Box::pin(async move {
            let found = found.await?;
            // One address inside is enough: a name that has both is no page, it is a trick.
            if !rules.is_allowed(name.as_str()) && found.iter().any(|found| !address::is_public(found.ip())) {
                return Err(Inside.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn why(error: &reqwest::Error) -> FetchError {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if error.is::<Inside>() {
            return FetchError::Forbidden;
        }
        next = error.source();
    }
    if error.is_timeout() { FetchError::TimedOut } else { FetchError::Unreachable }
}

#[cfg(test)]
mod tests;
