//! A configuration file that a command writes for an administrator: TOML in the order of `config.example.toml`, mode
//! 0600 from its first byte on, whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use toml::Value;

use super::layers;

/// What becomes of a file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// It stays, and nothing is written.
    Stays,
    /// It is kept under the first free name: `config.toml.bak`, `config.toml.bak2` and so on.
    BackedUp,
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
        // Those of applications behind the others, each application by itself: the order in which they came.
        entries.sort_by_key(|entry| place(&entry.key));
        let mut text = String::new();
        push_comment(&mut text, &self.head);
        let mut open_section = "";
        for Entry { key, comment, value } in entries {
            let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
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

    /// Writes the file: on the disk when this returns, and under its name only when it is whole. Gives the backup's path
    /// where there was a file before.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where there is one that stays, or that the directory cannot be written to;
    /// the file of before is then as it was.
    pub fn write(&self, path: &Path, present: Present) -> io::Result<Option<PathBuf>> {
        let (path, backup) = match present {
            // A link to nowhere is there as well: whoever made it means something by it.
            Present::Stays if path.symlink_metadata().is_ok() => {
                let why = "is there already; move it away, or choose another name";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
            }
            Present::Stays => (path.to_owned(), None),
            Present::BackedUp => {
                // A link stays one: what it points to is replaced.
                let path = if path.is_symlink() { fs::canonicalize(path)? } else { path.to_owned() };
                let backup = match fs::read(&path) {
                    Ok(old) => Some(back_up(&path, &old)?),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => return Err(error),
                };
                (path, backup)
            }
        };
        let unfinished = unfinished(&path, self.text().as_bytes())?;
        match present {
            Present::Stays => unfinished.persist_noclobber(&path)?,
            Present::BackedUp => unfinished.persist(&path)?,
        };
        // The name, too. Where a directory cannot be opened (Windows), the system sees to it.
        if let Ok(dir) = File::open(directory(&path)) {
            dir.sync_all()?;
        }
        Ok(backup)
    }
}

fn back_up(path: &Path, old: &[u8]) -> io::Result<PathBuf> {
    let mut file = unfinished(path, old)?;
    for number in 1_u32.. {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 1 { ".bak".to_owned() } else { format!(".bak{number}") });
        match file.persist_noclobber(&name) {
            Ok(_) => return Ok(name.into()),
            Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => file = taken.file,
            Err(error) => return Err(error.error),
        }
    }
    Err(io::Error::other("no free name for a backup"))
}

/// A file beside `path` that is on the disk, with mode 0600 as every temporary file.
fn unfinished(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(directory(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
        new_file().write(&path, Present::Stays).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# Written by a command.\n#\n# Second line.\n\n[wecom]\ncorp_id = \"ww14"), "{text}");
        assert!(text.contains("# Warm.\ntemperature = 0.9\n"), "{text}");
        let config = Config::load(Some(&path), &Environment::default()).unwrap().config;
        assert_eq!(config.llm.system_prompt, "第一行\n\"第二行\" \\ '''x'''");
        assert_eq!(config.apps.first.wecom.agent_id.get(), 1_000_002);
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "nothing unfinished stays");
    }

    #[test]
    fn a_file_that_is_there_stays_as_it_is_or_is_kept_under_a_name_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let write = |head: &str, present| NewFile::new(head).write(&path, present);
        assert_eq!(write("one", Present::Stays).unwrap(), None);
        assert_eq!(write("two", Present::Stays).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let backup = |name: &str| Some(dir.path().join(name));
        assert_eq!(write("three", Present::BackedUp).unwrap(), backup("config.toml.bak"));
        assert_eq!(write("four", Present::BackedUp).unwrap(), backup("config.toml.bak2"));
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let kept = ["config.toml.bak", "config.toml.bak2", "config.toml"].map(read);
        assert_eq!(kept, ["# one\n", "# three\n", "# four\n"]);
        assert_eq!(dir.path().read_dir().unwrap().count(), 3, "nothing else is left");
        for present in [Present::Stays, Present::BackedUp] {
            assert!(new_file().write(&dir.path().join("none/config.toml"), present).is_err());
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_the_file_and_its_backups() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let backup = new_file().write(&path, Present::BackedUp).unwrap().unwrap();
        for file in [&path, &backup] {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        }
    }
}
