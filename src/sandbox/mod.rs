//! WeCom on your desk: WeCom's cloud, a demo model and a phone, over real sockets, with the real protocol and the real
//! encryption. `qimate demo` shows it to people; the integration tests use the same cloud and the same model.
//!
//! Plays everybody *around* the daemon and therefore knows nothing of its inside: it meets it only at its sockets, as
//! WeCom does. It holds no durable state and reads no environment.
//!
//! To add a way in which WeCom can misbehave, add it to [`trouble::Trouble`] and act on it in [`emulator`]; if people
//! should be able to try it, give it a name in `phone` and a switch on the page. To add a way in which a model can
//! misbehave, add a variant to [`model::ModelReply`] and follow the compiler.

pub mod daemon;
pub mod demo;
pub mod emulator;
mod envelope;
pub mod journal;
pub mod model;
pub mod phone;
pub mod set_up;
pub mod trouble;

use std::{io, net::SocketAddr};

use axum::{
    Router,
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use futures_util::{future, stream};
use tokio::{net::TcpListener, task::JoinHandle};

/// A part of the sandbox could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port could be had on the loopback interface.
    #[error("cannot listen on 127.0.0.1")]
    Listen(#[source] std::io::Error),
    /// The callback secrets are not what WeCom's console would give.
    #[error("the callback secrets are not usable: {0}")]
    Secrets(String),
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be set up")]
    Client(#[source] crate::net::Error),
    /// The daemon did not start. Holds what it last said.
    #[error("the daemon did not start: {0}")]
    Daemon(String),
}

/// A server that stops accepting when it is dropped.
#[derive(Debug)]
struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves `router` on a loopback port; 0 takes a free one.
async fn serve(router: Router, port: u16) -> Result<Served, Error> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(Error::Listen)?;
    let address = listener.local_addr().map_err(Error::Listen)?;
    let task = tokio::spawn(async move {
        // Fails only when the listener does, and then nobody can be told but those who call.
        let _ = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await;
    });
    Ok(Served { address, task })
}

/// Ends the connection without an answer: a body that fails before its first byte takes the head with it.
fn cut_connection() -> Response {
    let error = io::Error::from(io::ErrorKind::ConnectionReset);
    Body::from_stream(stream::once(future::ready(Err::<Bytes, _>(error)))).into_response()
}

/// Random bytes. The sandbox's ids and secrets are worth nothing, so weak ones are no reason to stop.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = getrandom::fill(&mut bytes);
    bytes
}
