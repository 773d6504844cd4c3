//! What a platform says of itself in the environment: its port always counts, the rest where nobody set the key.
//!
//! To add one: a line in [`NAMES`], and its name in the head of `config.example.toml`.

use super::legacy::Legacy;

/// The port on which the platform reaches us (Railway, Heroku). It wins: on another one nobody would.
pub(super) const PORT: &str = "PORT";

/// Railway's. They are given to every service; the volume's path only where a volume is attached.
pub(super) const NAMES: &[Legacy] = &[
    // Whatever is written elsewhere is gone with the next deployment.
    Legacy { variable: "RAILWAY_VOLUME_MOUNT_PATH", key: "storage.data_dir", adapt: |path| Ok(path.to_owned()) },
    // Railway ends TLS in front of the container, on its own domains and on a company's.
    Legacy {
        variable: "RAILWAY_PUBLIC_DOMAIN",
        key: "server.public_url",
        adapt: |domain| Ok(format!("https://{domain}")),
    },
];
