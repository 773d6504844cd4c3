//! The disk, and the database on it.

use std::{fs, path::Path};

use qimate::sandbox::model::{Gate, ModelReply};
use tokio::process::Command;

use super::{
    Job, Ran,
    company::{Firm, has, run},
    scene::{answer_to, question},
    table::Row,
};

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

pub fn jobs() -> Vec<Job> {
    vec![
        Job::new("disk: full, and room again", full).long(),
        Job::new("disk: the database reaches storage.max_size_mib, and room again", full_by_limit).long(),
        Job::new("disk: every write fails with an error, and works again", writes_fail).long(),
        Job::new("disk: read-only, and writable again", read_only).long(),
        Job::new("database: locked by another process, and free again", locked).long(),
    ]
}

const REFUSED: &str =
    "while it lasts nothing is acknowledged, WeCom repeats, `/readyz` says why; then it goes on by itself";

/// In the middle of an answer, which must not be lost either, the disk breaks; a new message is refused; then the disk
/// is mended, and everything goes on.
async fn survives(mut firm: Firm, fault: String, reason: &str, breaks: impl FnOnce(), mends: impl FnOnce()) -> Row {
    assert!(firm.ask("ann").await);
    firm.settled().await;
    let gate = Gate::new();
    let held = gate.clone();
    firm.company.model.set_script(move |body| ModelReply::Held {
        before: String::new(),
        gate: held.clone(),
        after: answer_to(question(body)),
    });
    assert!(firm.ask("carl").await);
    firm.company.model.wait_load(|load| load.in_flight == 1).await;

    breaks();
    let said = firm.until_ready_is(503).await;
    assert!(said.contains(reason), "{said}");
    gate.open();
    assert!(!firm.ask("bob").await, "acknowledged without a disk");
    mends();
    firm.until_ready_is(200).await;
    assert!(firm.ask("bob").await);
    firm.ends(fault, REFUSED).await
}

/// A file system of 24 MiB of its own, filled to the last byte by somebody else.
async fn full(fault: String) -> Ran {
    if let Err(why) = run("unshare", &["--mount", "true"]) {
        return Ran::Skipped(format!("{fault}: no mount namespace: {why}"));
    }
    let mut firm = Firm::open(&[]).await;
    let dir = firm.company.dir.path().to_owned();
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=24m tmpfs \"$QIMATE_STORAGE__DATA_DIR\" && exec \"$0\" serve";
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_qimate")]);
    command.env_clear().envs(firm.company.variables()).env("PATH", PATH).current_dir("/").kill_on_drop(true);
    firm.company.start_by(command).await;
    // From outside, that file system is seen only through the process.
    let pid = firm.company.pid().to_string();
    let seen = Path::new("/proc").join(pid).join("root").join(dir.strip_prefix("/").unwrap());
    let filler = seen.join("filler");
    let fills = || assert!(fs::write(&filler, vec![0; 64 * 1024 * 1024]).is_err(), "it is not full");
    let row = survives(firm, fault, "full", fills, || fs::remove_file(&filler).unwrap()).await;
    row.into()
}

async fn full_by_limit(fault: String) -> Row {
    let mut firm = Firm::open(&[("QIMATE_STORAGE__MAX_SIZE_MIB", "16")]).await;
    firm.company.start().await;
    firm.company.fill().await;
    let said = firm.until_ready_is(503).await;
    assert!(said.contains("full"), "{said}");
    assert!(!firm.ask("bob").await, "acknowledged without a place for it");
    firm.company.database().execute("DELETE FROM inbox WHERE kind = 'unknown'", []).unwrap();
    firm.until_ready_is(200).await;
    assert!(firm.ask("bob").await);
    firm.ends(fault, REFUSED).await
}

/// Beyond its file size limit a process gets a signal that ends it, or, where that is ignored, an error.
async fn writes_fail(fault: String) -> Ran {
    if !has("prlimit") || !has("env") {
        return Ran::Skipped(format!("{fault}: needs prlimit"));
    }
    let mut firm = Firm::open(&[]).await;
    let mut command = Command::new("env");
    command.args(["--ignore-signal=XFSZ", env!("CARGO_BIN_EXE_qimate"), "serve"]);
    command.env_clear().envs(firm.company.variables()).env("PATH", PATH);
    command.current_dir(firm.company.dir.path()).kill_on_drop(true);
    firm.company.start_by(command).await;
    let pid = firm.company.pid().to_string();
    let limit = |limit: &str| run("prlimit", &["--pid", &pid, &format!("--fsize={limit}")]).unwrap();
    survives(firm, fault, "I/O", || limit("0:unlimited"), || limit("unlimited")).await.into()
}

/// A file system does not become read-only while somebody has a file open for writing, except by an error of the disk,
/// which no command takes back. So the system's answer to each write is changed on the way, to the one that a read-only
/// file system gives.
async fn read_only(fault: String) -> Ran {
    let mut firm = Firm::open(&[]).await;
    firm.company.start().await;
    let pid = firm.company.pid().to_string();
    let strace = |arguments: &[&str]| {
        let mut command = std::process::Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64"]).args(arguments);
        command.stderr(std::process::Stdio::null()).spawn()
    };
    // Whether it is here and may watch.
    match strace(&["true"]).and_then(|mut child| child.wait()) {
        Ok(status) if status.success() => {}
        Ok(status) => return Ran::Skipped(format!("{fault}: strace may not watch here ({status})")),
        Err(why) => return Ran::Skipped(format!("{fault}: needs strace: {why}")),
    }
    let watcher = std::cell::RefCell::new(None);
    let breaks = || {
        let child = strace(&["-e", "inject=pwrite64:error=EROFS", "-p", &pid]).unwrap();
        watcher.replace(Some(child));
    };
    let mends = || {
        let mut child = watcher.take().unwrap();
        // It lets go of the process when it is asked to end.
        run("kill", &["-TERM", &child.id().to_string()]).unwrap();
        child.wait().unwrap();
    };
    survives(firm, fault, "I/O", breaks, mends).await.into()
}

async fn locked(fault: String) -> Row {
    let mut firm = Firm::open(&[]).await;
    firm.company.start().await;
    let other = firm.company.database();
    let sql = |sql: &str| other.execute_batch(sql).unwrap();
    survives(firm, fault, "locked", || sql("BEGIN EXCLUSIVE"), || sql("ROLLBACK")).await
}
