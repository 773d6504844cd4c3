//! Accepts connections and speaks HTTP on them, with limits that a slow or hostile client runs into.

mod seats;

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::seats::Seats;
use super::tls::Acceptor;
use crate::{model::network::Network, web::v1::Peer};

/// How long a request's head may take to arrive. Also ends connections that rest.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest request head, and what a connection's buffers grow to.
const BUFFER: usize = 16 * 1024;
/// Connections at once. Strangers can hold some tens of kilobytes with each, and a proxy in front needs far fewer.
const CONNECTIONS: usize = 2048;
/// Those of one address, so that the others find one. Of a proxy in front of us, of this machine or one that is
/// believed, any number.
const OF_ONE_ADDRESS: usize = CONNECTIONS / 2;
/// How long open requests may take to end when the server stops: longer than any callback that WeCom still waits for.
const LAST_REQUESTS: Duration = Duration::from_secs(6);
/// How long to wait when the system has no more sockets to give.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then lets open requests end. Speaks TLS where there is an acceptor. Behind `proxies` is everybody.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Acceptor>,
    proxies: Vec<Network>,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(BUFFER);
    let open = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let seats = Seats::new(OF_ONE_ADDRESS, proxies);
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !failing {
                    warn!(%error, "cannot accept connections");
                }
                failing = true;
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        failing = false;
        // Closed without a word: whoever has so many open knows why.
        let Some(seat) = seats.take(peer.0) else { continue };
        // An answer is one small write: it must not wait for the client's delayed ACK.
        let _ = stream.set_nodelay(true);
        let (http, router, tls, open, stop) = (http.clone(), router.clone(), tls.clone(), open.watcher(), stop.clone());
        tokio::spawn(async move {
            match tls {
                None => speak(&http, stream, peer, router, open).await,
                // A handshake holds a place like any other connection, and nobody else up.
                Some(tls) => tokio::select! {
                    stream = tls.accept(stream) => if let Some(stream) = stream {
                        speak(&http, stream, peer, router, open).await;
                    },
                    // Nothing was asked yet that would have to be answered.
                    () = stop.cancelled() => {}
                },
            }
            drop((place, seat));
        });
    }
    drop(listener);
    // Whoever has sent half a request by then does not hold the process up.
    let _ = tokio::time::timeout(LAST_REQUESTS, open.shutdown()).await;
}

/// Answers the requests of one connection.
async fn speak<S>(http: &http1::Builder, stream: S, peer: Peer, router: Router, open: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // What breaks here is the client's connection: it went away, or was too slow.
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let _ = open.watch(connection).await;
}

/// The next connection, when there is a place for it; until then it waits in the system's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, Peer, Option<OwnedSemaphorePermit>)> {
    // Never closed, so there is always a place in the end.
    let place = Arc::clone(places).acquire_owned().await.ok();
    let (stream, peer) = listener.accept().await?;
    Ok((stream, Peer(peer.ip()), place))
}
