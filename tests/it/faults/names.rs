//! A name that stops resolving. The resolver is the system's, so the process gets an `/etc/hosts` of its own, in a mount
//! namespace of its own, and no name server.

use std::{fs, path::Path};

use tokio::process::Command;

use super::{
    Job, Ran,
    company::{Firm, run},
};

pub fn jobs() -> Vec<Job> {
    vec![
        Job::new("DNS: WeCom's name does not resolve, and does again", wecom_is_gone).long(),
        Job::new("DNS: the model's name does not resolve, and does again", model_is_gone).long(),
    ]
}

const WECOM: &str = "wecom.qimate.test";
const MODEL: &str = "model.qimate.test";

/// Starts a daemon that knows the two by name, as far as `hosts` knows them.
async fn start(fault: &str, hosts: &Path) -> Result<Firm, Ran> {
    if let Err(why) = run("unshare", &["--mount", "true"]) {
        return Err(Ran::Skipped(format!("{fault}: no mount namespace: {why}")));
    }
    let mut firm = Firm::open(&[]).await;
    let by_name = |url: String, name: &str| url.replace("127.0.0.1", name);
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$1\" /etc/hosts && mount --bind /dev/null /etc/resolv.conf && exec \"$0\" serve";
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_qimate"), &hosts.to_string_lossy()]);
    command.env_clear().envs(firm.company.variables()).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("QIMATE_WECOM__API_BASE", by_name(firm.company.wecom.api_base(), WECOM));
    command.env("QIMATE_LLM__BASE_URL", by_name(firm.company.model.base_url(), MODEL));
    command.env("QIMATE_LLM__MAX_RETRIES", "1");
    command.current_dir(firm.company.dir.path()).kill_on_drop(true);
    firm.company.start_by(command).await;
    Ok(firm)
}

/// Written in place: what is mounted is the file, not its name.
fn knows(hosts: &Path, names: &[&str]) {
    fs::write(hosts, names.iter().map(|name| format!("127.0.0.1 {name}\n")).collect::<String>()).unwrap();
}

async fn wecom_is_gone(fault: String) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let hosts = dir.path().join("hosts");
    knows(&hosts, &[MODEL]);
    let mut firm = match start(&fault, &hosts).await {
        Ok(firm) => firm,
        Err(skipped) => return skipped,
    };
    assert!(firm.ask("ann").await, "a callback needs no name");
    firm.until_logged("nothing can be sent").await;
    assert!(firm.company.wecom.delivered().is_empty());
    knows(&hosts, &[MODEL, WECOM]);
    firm.ends(fault, "everybody waits, at growing pauses of at most 30 s").await.into()
}

async fn model_is_gone(fault: String) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let hosts = dir.path().join("hosts");
    knows(&hosts, &[WECOM]);
    let mut firm = match start(&fault, &hosts).await {
        Ok(firm) => firm,
        Err(skipped) => return skipped,
    };
    assert!(firm.ask("ann").await, "a callback needs no name");
    firm.settled().await;
    knows(&hosts, &[MODEL, WECOM]);
    firm.ends(fault, "asked again, then said; the next question works").await.into()
}
