//! `qimate import-cow`: a chatgpt-on-wechat deployment moves over by its `config.json`.

use std::{fs, path::Path};

use anyhow::Context;

use crate::config::{import::import_cow as import, write::Present};

/// Writes a configuration file from `from` to `out`, and says what was taken over, what has no counterpart and what is
/// missing. Shows no secret.
///
/// # Errors
/// `from` cannot be read or is not JSON, or `out` is there already or cannot be written.
pub fn import_cow(from: &Path, out: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(from).with_context(|| from.display().to_string())?;
    let imported = import(&text).with_context(|| from.display().to_string())?;
    imported.file.write(out, Present::Stays).with_context(|| format!("cannot write {}", out.display()))?;
    println!("wrote {}, which only you can read. It holds:", out.display());
    let width = imported.taken.iter().map(|taken| taken.from.chars().count()).max().unwrap_or_default();
    for taken in &imported.taken {
        println!("  {:width$}  ->  {} = {}", taken.from, taken.to, taken.shown);
    }
    if !imported.left.is_empty() {
        println!("Not taken over:");
        for left in &imported.left {
            println!("  {}: {}", left.key, left.why);
        }
    }
    let missing = imported.missing();
    if missing.is_empty() {
        println!("Nothing is missing: `qimate --config {0} check-config`, then `qimate --config {0}`.", out.display());
    } else {
        println!("Still missing; write it into {}:", out.display());
        for fault in missing {
            println!("  {fault}");
        }
    }
    Ok(())
}
