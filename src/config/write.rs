//! A configuration file that a command writes for an administrator: TOML in the order of `config.example.toml`, mode
//! 0600 from its first byte on, whole or not at all, and never over a file that is there.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use toml::Value;

use super::layers;

/// Why no file was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody's file is there.
    #[error("{}: is there already; move it away, or choose another name", .0.display())]
    Exists(PathBuf),
    /// The directory or the file cannot be written.
    #[error("{}: cannot be written: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The file to come. No `Debug`: it holds secrets.
#[derive(Clone)]
pub struct NewFile {
    head: String,
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    key: String,
    comment: String,
    value: Value,
}

impl NewFile {
    /// Nothing but a comment at the head, of any number of lines.
    pub fn new(head: &str) -> Self {
        Self { head: head.to_owned(), entries: Vec::new() }
    }

    /// Sets `key`, such as `wecom.agent_id`, below an optional comment (`""`: none). The value has the TOML type that
    /// `config.example.toml` asks for. Where a key is set twice, the later counts.
    pub fn set(&mut self, key: &str, value: impl Into<Value>, comment: &str) {
        self.unset(key);
        self.entries.push(Entry { key: key.to_owned(), comment: comment.to_owned(), value: value.into() });
    }

    /// Takes a key out again.
    pub fn unset(&mut self, key: &str) {
        self.entries.retain(|entry| entry.key != key);
    }

    /// The text, in the sections and the order of `config.example.toml`. It holds the secrets.
    pub fn text(&self) -> String {
        let order = layers::keys_in_order();
        let place = |key: &str| order.iter().position(|known| known == key).unwrap_or(usize::MAX);
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|entry| place(&entry.key));
        let mut text = String::new();
        push_comment(&mut text, &self.head);
        let mut open_section = "";
        for Entry { key, comment, value } in entries {
            let (section, name) = key.split_once('.').unwrap_or(("", key));
            if section != open_section {
                text.push_str(if text.is_empty() { "" } else { "\n" });
                text.push_str(&format!("[{section}]\n"));
                open_section = section;
            }
            push_comment(&mut text, comment);
            text.push_str(&format!("{name} = {value}\n"));
        }
        text
    }

    /// Writes the file: mode 0600, on the disk when this returns, and under its name only when it is whole.
    ///
    /// # Errors
    /// [`WriteError::Exists`] where there is one; nothing was written in any case.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        let io = |source| WriteError::Io { path: path.to_owned(), source };
        // A link to nowhere is there as well: whoever made it means something by it.
        if path.symlink_metadata().is_ok() {
            return Err(WriteError::Exists(path.to_owned()));
        }
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        // Of mode 0600 on Unix.
        let mut unfinished = tempfile::NamedTempFile::new_in(dir).map_err(io)?;
        unfinished.write_all(self.text().as_bytes()).map_err(io)?;
        unfinished.as_file().sync_all().map_err(io)?;
        unfinished.persist_noclobber(path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Exists(path.to_owned()),
            _ => io(error.error),
        })?;
        // The name, too. Where a directory cannot be opened (Windows), the system sees to it.
        if let Ok(dir) = File::open(dir) {
            dir.sync_all().map_err(io)?;
        }
        Ok(())
    }
}

fn push_comment(text: &mut String, comment: &str) {
    for line in comment.lines() {
        text.push_str(format!("# {line}").trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    fn new_file() -> NewFile {
        let mut file = NewFile::new("Written by a command.\n\nSecond line.");
        file.set("llm.system_prompt", "第一行\n\"第二行\" \\ '''x'''", "");
        file.set("llm.temperature", 0.9, "Warm.");
        file.set("wecom.agent_id", 7, "");
        file.set("wecom.agent_id", 1_000_002, "");
        file.set("wecom.corp_id", "ww1436e0e65a779aee", "");
        file.set("wecom.secret", "hunter2", "");
        file.set("wecom.callback_token", "abc", "");
        file.set("wecom.encoding_aes_key", "a".repeat(43), "");
        file.set("llm.api_key", "sk-1", "");
        file
    }

    #[test]
    fn it_is_in_the_order_of_the_example_and_loads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        new_file().write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# Written by a command.\n#\n# Second line.\n\n[wecom]\ncorp_id = \"ww14"), "{text}");
        assert!(text.contains("# Warm.\ntemperature = 0.9\n"), "{text}");
        let config = Config::load(Some(&path), &Environment::default()).unwrap().config;
        assert_eq!(config.llm.system_prompt, "第一行\n\"第二行\" \\ '''x'''");
        assert_eq!(config.wecom.agent_id.get(), 1_000_002);
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "nothing unfinished stays");
    }

    #[test]
    fn a_file_that_is_there_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "mine").unwrap();
        assert!(matches!(new_file().write(&path), Err(WriteError::Exists(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        assert!(matches!(new_file().write(&dir.path().join("none/config.toml")), Err(WriteError::Io { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        new_file().write(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
