//! How the authority is called: by the same HTTP client as everybody else, so that the process has one.

use std::{path::Path, pin::Pin, time::Duration};

use anyhow::Context;
use axum::http::Request;
use bytes::Bytes;
use http_body_util::BodyExt;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use reqwest::Client;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::net::{self, Trust};

/// The longest that one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Makes the client. `root` is a PEM file with the certificate of a private authority, trusted beside the usual ones.
///
/// # Errors
/// The file cannot be read or holds no certificate.
pub(super) async fn client(root: Option<&Path>) -> anyhow::Result<Client> {
    let trust = match root {
        None => Trust::Usual,
        Some(file) => Trust::UsualAnd(read(file).await.with_context(|| format!("tls.acme_root: {}", file.display()))?),
    };
    let builder = net::http_client_builder(None, TIMEOUT, trust)
        .with_context(|| root.map_or_else(|| "TLS".to_owned(), |file| format!("tls.acme_root: {}", file.display())))?;
    builder.timeout(TIMEOUT).build().context("cannot set the HTTP client up")
}

async fn read(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let pem = tokio::fs::read(file).await?;
    let roots = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    roots
        .ok()
        .filter(|roots| !roots.is_empty())
        .context("holds no certificate; expected PEM, which begins with -----BEGIN CERTIFICATE-----")
}

/// The client, as `instant-acme` wants it.
pub(super) struct Http(pub(super) Client);

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let other = |error: reqwest::Error| Error::Other(Box::new(error));
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_or_else(|never| match never {}, |body| body.to_bytes());
            let request = reqwest::Request::try_from(Request::from_parts(head, body)).map_err(other)?;
            let response = client.execute(request).await.map_err(other)?;
            Ok(BytesResponse::from(axum::http::Response::<reqwest::Body>::from(response)))
        })
    }
}
