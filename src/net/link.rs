//! Why a server cannot be spoken to, told apart: its name, its port, its certificate, or the proxy on the way.
//!
//! Looks at the first hop with its own eyes (name, then connection), because a client's error says of both only that
//! there was no connection; the rest is read from the client's error. Knows no API and nothing of what was asked.

use std::{error::Error as StdError, io, time::Duration};

use reqwest::Url;
use rustls::CertificateError;
use tokio::net::{TcpStream, lookup_host};

use crate::{clock::Clock, secret::Secret};

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// No such name.
    NameNotFound,
    /// Nobody listens on the port.
    Refused,
    /// Nothing comes back.
    TimedOut,
    /// The network has no way there.
    NoRoute,
    /// The certificate's issuer is none that this machine trusts.
    Untrusted,
    /// The certificate is for another name.
    WrongName,
    /// The certificate is of the past; or the machine's clock is of the future.
    Expired,
    /// The certificate is of the future; or the machine's clock is of the past.
    NotYetValid,
    /// What answers does not speak TLS, or none that we speak.
    NoTls,
    /// The connection broke.
    Broken,
    /// The proxy's name is unknown.
    ProxyNameNotFound,
    /// Nobody listens on the proxy's port, or nothing comes back from it.
    ProxyUnreachable,
    /// The proxy wants another user and password.
    ProxyAuthentication,
    /// The proxy does not let us through, or cannot reach the server itself.
    ProxyForbids,
}

impl LinkFault {
    /// Each of them.
    pub const ALL: [Self; 14] = [
        Self::NameNotFound,
        Self::Refused,
        Self::TimedOut,
        Self::NoRoute,
        Self::Untrusted,
        Self::WrongName,
        Self::Expired,
        Self::NotYetValid,
        Self::NoTls,
        Self::Broken,
        Self::ProxyNameNotFound,
        Self::ProxyUnreachable,
        Self::ProxyAuthentication,
        Self::ProxyForbids,
    ];
}

/// The way to a server.
#[derive(Clone, Debug)]
pub struct Way {
    /// Host and port of the server, to be shown.
    pub server: String,
    /// Host and port of the proxy, where there is one.
    pub proxy: Option<String>,
    first: Option<(String, u16)>,
}

impl Way {
    /// The way to `url`, through `proxy` where there is one.
    pub fn new(url: &str, proxy: Option<&Secret<String>>) -> Self {
        let server = Url::parse(url).ok().and_then(|url| end(&url));
        let proxy = proxy.map(|proxy| Url::parse(proxy.expose()).ok().and_then(|url| end(&url)));
        let shown = |end: &(String, u16)| format!("{}:{}", end.0, end.1);
        Self {
            server: server.as_ref().map(shown).unwrap_or_default(),
            proxy: proxy.as_ref().map(|proxy| proxy.as_ref().map(shown).unwrap_or_default()),
            first: proxy.unwrap_or(server),
        }
    }

    /// Finds and connects to the first hop, within `limit`.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn try_first_hop(&self, clock: &Clock, limit: Duration) -> Result<(), LinkFault> {
        let Some((host, port)) = &self.first else { return Err(self.blame(LinkFault::NameNotFound)) };
        let connected = async {
            let addresses: Vec<_> = match lookup_host((host.trim_matches(['[', ']']), *port)).await {
                Ok(addresses) => addresses.collect(),
                Err(_) => return Err(LinkFault::NameNotFound),
            };
            match TcpStream::connect(addresses.as_slice()).await {
                Ok(_) => Ok(()),
                Err(error) => Err(of_io(&error).unwrap_or(LinkFault::NoRoute)),
            }
        };
        let outcome = clock.timeout(limit, connected).await.unwrap_or(Err(LinkFault::TimedOut));
        outcome.map_err(|fault| self.blame(fault))
    }

    /// What a client's error says, once the first hop is known to be there.
    pub fn fault_of(&self, error: &reqwest::Error) -> LinkFault {
        let mut fault = None;
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = next {
            fault = fault.or_else(|| of_one(error));
            next = error.source();
        }
        fault.unwrap_or(match (error.is_timeout(), error.is_connect(), &self.proxy) {
            (true, ..) => LinkFault::TimedOut,
            // The proxy itself is there: what it could not do is the rest.
            (false, true, Some(_)) => LinkFault::ProxyForbids,
            _ => LinkFault::Broken,
        })
    }

    /// Who stands at the first hop is to blame for it.
    const fn blame(&self, fault: LinkFault) -> LinkFault {
        match (&self.proxy, fault) {
            (None, fault) => fault,
            (Some(_), LinkFault::NameNotFound) => LinkFault::ProxyNameNotFound,
            (Some(_), _) => LinkFault::ProxyUnreachable,
        }
    }
}

fn end(url: &Url) -> Option<(String, u16)> {
    let port = url.port_or_known_default().unwrap_or(1080);
    Some((url.host_str()?.to_owned(), port))
}

fn of_one(error: &(dyn StdError + 'static)) -> Option<LinkFault> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // An error that an I/O error was made of is not in its chain of sources.
        let inner = error.get_ref().and_then(|inner| of_one(inner as &(dyn StdError + 'static)));
        return inner.or_else(|| of_io(error));
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    // Private types, so their words are all there is.
    let words = error.to_string();
    let socks = words.starts_with("SOCKS error: ");
    if words.contains("proxy authorization required")
        || socks && (words.contains("credentials") || words.contains("authentication"))
    {
        Some(LinkFault::ProxyAuthentication)
    } else if words == "tunnel error: unsuccessful" || socks {
        Some(LinkFault::ProxyForbids)
    } else if words.starts_with("dns error") {
        Some(LinkFault::NameNotFound)
    } else {
        None
    }
}

fn of_io(error: &io::Error) -> Option<LinkFault> {
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => LinkFault::Refused,
        io::ErrorKind::TimedOut => LinkFault::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
            LinkFault::NoRoute
        }
        io::ErrorKind::UnexpectedEof if error.to_string().contains("tls") => LinkFault::NoTls,
        _ => return None,
    })
}

fn of_tls(error: &rustls::Error) -> LinkFault {
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => LinkFault::WrongName,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => LinkFault::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => LinkFault::NotYetValid,
            _ => LinkFault::Untrusted,
        },
        _ => LinkFault::NoTls,
    }
}
