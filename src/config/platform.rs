//! What a platform says of itself in the environment: its port always counts, the rest where nobody set the key; and
//! which it is, for `qimate doctor`.
//!
//! To add one: a line in [`NAMES`], and its name in the head of `config.example.toml`.

use std::path::PathBuf;

use super::{environment::Environment, legacy::Legacy};

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

/// On what the process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// Any machine or container.
    #[default]
    Any,
    /// Railway.
    Railway {
        /// Where the service's volume is, if it has one.
        volume: Option<PathBuf>,
    },
}

impl Platform {
    pub(super) fn read(environment: &Environment) -> Self {
        let text = |name| environment.get(name).and_then(Result::ok);
        match text("RAILWAY_ENVIRONMENT").or_else(|| text("RAILWAY_ENVIRONMENT_NAME")) {
            None => Self::Any,
            Some(_) => Self::Railway { volume: text("RAILWAY_VOLUME_MOUNT_PATH").map(PathBuf::from) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn railway_says_that_it_is_railway() {
        let read = |pairs: &[(&str, &str)]| Platform::read(&Environment::from_pairs(pairs.iter().copied()));
        assert_eq!(read(&[("RAILWAY_VOLUME_MOUNT_PATH", "/data")]), Platform::Any);
        assert_eq!(read(&[("RAILWAY_ENVIRONMENT", "production")]), Platform::Railway { volume: None });
        assert_eq!(
            read(&[("RAILWAY_ENVIRONMENT", "production"), ("RAILWAY_VOLUME_MOUNT_PATH", "/data")]),
            Platform::Railway { volume: Some("/data".into()) }
        );
    }
}
