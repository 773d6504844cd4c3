//! Who answers where WeCom, the model or the daemon should: web pages, relays, proxies, and servers with bad
//! certificates.

use std::{net::SocketAddr, path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// Serves `router` on a free port.
pub async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Answers everything with this status, type and body.
pub async fn answers(status: u16, kind: &'static str, body: &'static str) -> String {
    let answer = move || async move {
        let status = StatusCode::from_u16(status).unwrap();
        (status, [(header::CONTENT_TYPE, kind)], body).into_response()
    };
    format!("http://{}", serve(Router::new().fallback(answer)).await)
}

/// A page for people.
pub async fn page() -> String {
    answers(200, "text/html", "<!doctype html><title>Welcome</title>").await
}

/// Sends everybody elsewhere.
pub async fn redirects() -> String {
    let answer = |request: Request| async move {
        let mut headers = HeaderMap::new();
        let to = format!("https://elsewhere.example{}", request.uri());
        headers.insert(header::LOCATION, to.parse().unwrap());
        (StatusCode::MOVED_PERMANENTLY, headers).into_response()
    };
    format!("http://{}", serve(Router::new().fallback(answer)).await)
}

/// Passes everything on to `to` and wraps what comes back in quotes.
pub async fn quotes(to: String) -> String {
    let answer = move |request: Request| {
        let url = format!("{to}{}", request.uri());
        async move {
            let text = reqwest::get(url).await.unwrap().text().await.unwrap();
            Response::new(Body::from(format!("\"{text}\"\n")))
        }
    };
    format!("http://{}", serve(Router::new().fallback(answer)).await)
}

/// A forward proxy that refuses everything with this status, tunnels too.
pub async fn refusing_proxy(status: u16) -> String {
    let head = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    format!("http://{}", recite([head.into_bytes()]).await)
}

/// A SOCKS5 proxy that wants user and password (RFC 1929), and finds them wrong.
pub async fn refusing_socks() -> String {
    format!("socks5h://user:wrong@{}", recite([vec![5, 2], vec![1, 1]]).await)
}

/// Gives every caller these answers, each after it has said something.
async fn recite<const N: usize>(answers: [Vec<u8>; N]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answers = answers.clone();
            tokio::spawn(async move {
                for answer in answers {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(&answer).await;
                }
            });
        }
    });
    address
}

/// A port on which nobody listens.
pub fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What a certificate can be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    Good,
    SelfSigned,
    OfAnotherName,
    Expired,
    OfTomorrow,
}

/// An authority of our own, which a process trusts by `SSL_CERT_FILE`.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "the company's own authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn write_to(&self, path: &Path) {
        std::fs::write(path, self.0.pem()).unwrap();
    }

    /// Speaks TLS in front of `behind`, on `localhost`.
    pub async fn serve(&self, certificate: Certificate, behind: SocketAddr) -> String {
        let name = if certificate == Certificate::OfAnotherName { "other.example" } else { "localhost" };
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        match certificate {
            Certificate::Expired => {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }
            Certificate::OfTomorrow => params.not_before = date_time_ymd(2090, 1, 1),
            _ => {}
        }
        let key = KeyPair::generate().unwrap();
        let signed = match certificate {
            Certificate::SelfSigned => params.self_signed(&key).unwrap(),
            _ => params.signed_by(&key, &self.0).unwrap(),
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Fails where the certificate is not taken, which is what is tried here.
                    if let Ok(mut inside) = acceptor.accept(stream).await {
                        let mut onward = TcpStream::connect(behind).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut inside, &mut onward).await;
                    }
                });
            }
        });
        format!("https://localhost:{port}")
    }
}
