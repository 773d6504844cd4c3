//! What stands on the disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Every file below a directory; none where there is no such directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The files below a directory in which these bytes stand. A file that goes meanwhile holds nothing.
pub fn holding(dir: &Path, bytes: impl AsRef<[u8]>) -> Vec<PathBuf> {
    let (files, bytes) = (files(dir), bytes.as_ref());
    assert!(!files.is_empty(), "there is something to be read in {}", dir.display());
    let holds = |path: &PathBuf| fs::read(path).unwrap_or_default().windows(bytes.len()).any(|window| window == bytes);
    files.into_iter().filter(holds).collect()
}

/// Nothing below a directory holds these bytes.
#[track_caller]
pub fn holds_nowhere(dir: &Path, bytes: impl AsRef<[u8]>) {
    assert_eq!(holding(dir, bytes), Vec::<PathBuf>::new(), "it is on the disk");
}
