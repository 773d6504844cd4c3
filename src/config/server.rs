//! `[server]`: where Qimate listens and how it stops.

use std::{net::SocketAddr, time::Duration};

use super::{
    fault::Wrong,
    reader::{Reader, Reported},
};

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

impl Server {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let listen = reader.text("server.listen", address);
        let callback_path = reader.text("server.callback_path", path);
        let stop_timeout = reader.whole("server.stop_timeout_seconds", 1..=3600);
        Ok(Self { listen: listen?, callback_path: callback_path?, stop_timeout: Duration::from_secs(stop_timeout?) })
    }
}

/// Paths that the server answers itself.
const RESERVED: [&str; 2] = ["/healthz", "/readyz"];

fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| Wrong::new("is not an address with a port", "expected such as 0.0.0.0:8080 or [::]:8080"))
}

/// Letters that mean themselves in a URL and in a route, so that the path in WeCom's console is this one.
fn path(text: &str) -> Result<String, Wrong> {
    const RIGHT: &str = "expected such as /wxcomapp";
    let Some(segments) = text.strip_prefix('/') else {
        return Err(Wrong::new("does not begin with /", RIGHT));
    };
    let segments = segments.strip_suffix('/').unwrap_or(segments);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if segments.split('/').any(|segment| matches!(segment, "" | "." | "..") || !segment.chars().all(plain)) {
        return Err(Wrong::new("has an empty part, or a character other than letters, digits and - . _ ~", RIGHT));
    }
    let path = format!("/{segments}");
    if RESERVED.contains(&path.as_str()) {
        return Err(Wrong::new("is taken by a health check", RIGHT));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_path_is_plain_and_free() {
        for (text, taken) in [("/wxcomapp", "/wxcomapp"), ("/wxcomapp/", "/wxcomapp"), ("/a/b-1.c", "/a/b-1.c")] {
            assert_eq!(path(text).ok().as_deref(), Some(taken));
        }
        for bad in ["/", "wxcomapp", "/a?b", "/a#b", "/{a}", "/a//b", "/a//", "/../a", "/应用", "/healthz", "/readyz/"]
        {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
