//! Puts the file in its place: whole or not at all, readable by its owner only, the old one kept.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// Writes `text` to `path`. Gives the backup's path where there was a file before.
///
/// # Errors
/// The directory cannot be written to; the old file is then as it was.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<Option<PathBuf>> {
    // A link stays one: what it points to is replaced.
    let path = if path.is_symlink() { fs::canonicalize(path)? } else { path.to_owned() };
    let backup = match fs::read(&path) {
        Ok(old) => Some(back_up(&path, &old)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    written(&path, text.as_bytes())?.persist(&path)?;
    Ok(backup)
}

/// Under the first free name: `config.toml.bak`, `config.toml.bak2` and so on.
fn back_up(path: &Path, old: &[u8]) -> io::Result<PathBuf> {
    let mut file = written(path, old)?;
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
fn written(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_old_file_is_kept_under_a_name_of_its_own() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("config.toml");
        let name =
            |backup: Option<PathBuf>| backup.map(|path| path.file_name().expect("name").to_string_lossy().into_owned());
        assert_eq!(name(replace(&path, "one").expect("written")), None);
        assert_eq!(name(replace(&path, "two").expect("written")).as_deref(), Some("config.toml.bak"));
        assert_eq!(name(replace(&path, "three").expect("written")).as_deref(), Some("config.toml.bak2"));
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("readable");
        assert_eq!(["config.toml.bak", "config.toml.bak2", "config.toml"].map(read), ["one", "two", "three"]);
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 3, "nothing else is left");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_the_file_and_its_backups() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("config.toml");
        fs::write(&path, "old").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        let backup = replace(&path, "new").expect("written").expect("backup");
        for file in [&path, &backup] {
            assert_eq!(fs::metadata(file).expect("there").permissions().mode() & 0o777, 0o600, "{}", file.display());
        }
        assert!(replace(&dir.path().join("nowhere/config.toml"), "x").is_err());
    }
}
