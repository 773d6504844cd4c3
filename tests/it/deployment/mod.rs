//! `deploy/`, `railway.json` and what is written about them: that they mean what the program means, and that they work
//! as far as one machine can tell without a container engine.

mod caddy;
mod compose;
pub mod documents;
mod image;
mod names;
mod railway;
mod service;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use qimate::config::{Config, Environment};

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What is set when nobody sets anything but what is needed.
fn defaults() -> Config {
    let needed = [
        ("QIMATE_WECOM__CORP_ID", "ww1436e0e65a779aee"),
        ("QIMATE_WECOM__AGENT_ID", "1000002"),
        ("QIMATE_WECOM__SECRET", "app-secret"),
        ("QIMATE_WECOM__CALLBACK_TOKEN", "callbackToken"),
        ("QIMATE_WECOM__ENCODING_AES_KEY", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"),
        ("QIMATE_LLM__API_KEY", "sk-key"),
    ];
    Config::load(None, &Environment::from_pairs(needed)).expect("configuration").config
}

/// Seconds that whoever stops Qimate must wait at least: its own deadline, and a little for the end itself.
fn stop_grace_seconds() -> u64 {
    defaults().server.stop_timeout.as_secs() + 5
}

/// Whether `program` is installed; if not, the story is skipped aloud, and fails where nothing may be skipped.
pub fn installed(program: &str, story: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).map(|dir| dir.join(program)).any(|file| file.is_file());
    there || skipped(&format!("{story} needs {program}"))
}

/// Whether this process may make namespaces and mounts, as a container engine does.
fn may_mount(story: &str) -> bool {
    let may = Command::new("unshare").args(["--mount", "--propagation", "private", "true"]).output();
    may.is_ok_and(|output| output.status.success()) || skipped(&format!("{story} needs to be root, for its mounts"))
}

/// Says so, past the test harness, which keeps what a passing test prints to itself. Always `false`.
fn skipped(why: &str) -> bool {
    assert!(std::env::var_os("QIMATE_TEST_ALL").is_none(), "nothing may be skipped here: {why}");
    let _ = std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes());
    false
}

/// What a program says, which must succeed.
fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// A YAML file.
fn yaml(path: &str) -> serde_json::Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of the repository that administrators copy from, except what lists every key anyway.
fn written_for_administrators() -> Vec<PathBuf> {
    let mut files = vec![root().join("railway.json"), root().join("README.md")];
    for folder in ["deploy", "docs"] {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        files.extend(entries.filter(|path| path.is_file()));
    }
    files.sort();
    files
}
