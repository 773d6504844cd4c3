//! `[server]`: where Qimate listens and how it stops.

use std::{net::SocketAddr, time::Duration};

/// The section's values.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The path of the callback, beginning with `/`, without a trailing one.
    pub callback_path: String,
    /// How long open turns and deliveries may go on after the first stop signal.
    pub stop_timeout: Duration,
}
