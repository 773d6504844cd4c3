//! Accepts connections and speaks HTTP on them, with limits that a slow or hostile client runs into.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long a request's head may take to arrive. Also ends connections that rest.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest request head, and what a connection's buffers grow to.
const BUFFER: usize = 16 * 1024;
/// How long to wait when the system has no more sockets to give.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then lets open requests end.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(BUFFER);
    let open = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        // An answer is one small write: it must not wait for the client's delayed ACK.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // What breaks here is the client's connection: it went away, or was too slow.
            let _ = connection.await;
        });
    }
    drop(listener);
    open.shutdown().await;
}
