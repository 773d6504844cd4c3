//! `deploy/qimate.service` and `deploy/qimate.env.example`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::Path,
    process::{Command, Stdio},
};

use qimate::sandbox::model::ModelReply;

use super::{defaults, installed, output_of, read, root, stop_grace_seconds};
use crate::company::Company;

const FILE: &str = "deploy/qimate.service";

/// Where systemd puts the service's credentials.
const CREDENTIALS: &str = "/run/credentials/qimate.service/";

/// The values of one key of the unit, in order.
fn values(key: &str) -> Vec<String> {
    let prefix = format!("{key}=");
    read(FILE).lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
}

fn value(key: &str) -> String {
    let mut values = values(key);
    assert_eq!(values.len(), 1, "{key}");
    values.remove(0)
}

/// The variables of an env file.
fn variables(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| line.split_once('=').unwrap_or_else(|| panic!("{line}")))
        .map(|(n, v)| (n.into(), v.into()))
        .collect()
}

/// The environment that systemd makes, with the credentials in `dir`.
fn environment(dir: &Path) -> BTreeMap<String, String> {
    let mut environment = variables(&values("Environment").join("\n"));
    environment.extend(variables(&read("deploy/qimate.env.example")));
    for value in environment.values_mut() {
        *value = value.replace(CREDENTIALS, &format!("{}/", dir.display())).replace("%S", "/var/lib");
    }
    environment
}

#[test]
fn the_example_with_four_secrets_is_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = [
        ("wecom-secret", "app-secret"),
        ("callback-token", "callbackToken"),
        ("encoding-aes-key", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"),
        ("llm-api-key", "sk-key"),
    ];
    for (name, secret) in secrets {
        fs::write(dir.path().join(name), format!("{secret}\n")).unwrap();
        let loaded = format!("{name}:/etc/qimate/credentials/{name}");
        assert!(values("LoadCredential").contains(&loaded), "{loaded}");
        assert!(read("deploy/qimate.env.example").contains(name), "{name} is explained");
    }
    assert_eq!(values("LoadCredential").len(), secrets.len());
    let check = |environment: BTreeMap<String, String>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qimate"));
        output_of(command.arg("check-config").env_clear().envs(environment).current_dir(dir.path()))
    };
    let table = check(environment(dir.path()));
    let line = |key: &str| table.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    assert!(line("storage.data_dir").contains("/var/lib/qimate"), "{table}");
    assert_eq!(value("StateDirectory"), "qimate");
    assert!(line("wecom.secret").contains("QIMATE_WECOM__SECRET_FILE"), "{table}");

    // What is commented out is right as well.
    let text = read("deploy/qimate.env.example");
    let offered = text.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.starts_with("QIMATE_"));
    let offered: Vec<_> = offered.collect();
    assert!(offered.len() >= 4);
    let mut everything = environment(dir.path());
    everything.extend(variables(&offered.join("\n")));
    check(everything);
}

#[test]
fn a_stop_is_waited_for_and_a_wrong_configuration_is_not_tried_again() {
    assert!(value("TimeoutStopSec").parse::<u64>().unwrap() >= stop_grace_seconds());
    assert_eq!(value("Restart"), "always");
    // Misconfigured, the program ends with this.
    let output = Command::new(env!("CARGO_BIN_EXE_qimate")).env_clear().current_dir("/").output().unwrap();
    assert_eq!(output.status.code().map(|code| code.to_string()), Some(value("RestartPreventExitStatus")));
    assert!(values("WatchdogSec").is_empty(), "nobody would answer it");
    assert!(value("ExecStart").ends_with("/qimate serve"));
    assert_eq!(defaults().server.stop_timeout.as_secs(), 30, "the comments say so");
}

#[test]
fn systemd_finds_no_fault_and_little_exposure() {
    if !installed("systemd-analyze", "systemd_finds_no_fault_and_little_exposure") {
        return;
    }
    // With a program that is there.
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("qimate.service");
    fs::write(&unit, read(FILE).replace("/usr/local/bin/qimate", env!("CARGO_BIN_EXE_qimate"))).unwrap();
    let said = output_of(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit));
    assert_eq!(said, "", "unknown keys are only warned of");
    // 10 is everything, 0 nothing; the service stands at 1.3.
    let mut command = Command::new("systemd-analyze");
    output_of(command.args(["security", "--no-pager", "--offline=yes", "--threshold=15"]).arg(root().join(FILE)));
}

/// What the guide adds for HTTPS without a proxy.
#[test]
fn systemd_takes_what_the_guide_adds_for_https() {
    if !installed("systemd-analyze", "systemd_takes_what_the_guide_adds_for_https") {
        return;
    }
    let guide = read("docs/deployment.md");
    let (added, _) = guide.split_once("```ini\n").unwrap().1.split_once("```").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("qimate.service");
    let text = read(FILE).replace("/usr/local/bin/qimate", env!("CARGO_BIN_EXE_qimate"));
    fs::write(&unit, text).unwrap();
    let more = dir.path().join("qimate.service.d");
    fs::create_dir(&more).unwrap();
    fs::write(more.join("override.conf"), added).unwrap();
    let said = output_of(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit));
    assert_eq!(said, "");
    for wanted in
        ["AmbientCapabilities=CAP_NET_BIND_SERVICE", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "PrivateUsers=no"]
    {
        assert!(added.contains(wanted), "{wanted}: a port below 1024 needs it");
    }
    for name in added.lines().filter_map(|line| line.strip_prefix("LoadCredential=")?.split_once(':')) {
        assert!(added.contains(&format!("={CREDENTIALS}{}\n", name.0)), "{}", name.0);
    }
}

/// The system calls of a set, and of the sets in it.
fn calls_of(set: &str) -> BTreeSet<String> {
    let text = output_of(Command::new("systemd-analyze").args(["syscall-filter", "--no-pager", set]));
    let mut calls = BTreeSet::new();
    for word in text.lines().skip(1).map(str::trim).filter(|word| !word.starts_with('#') && !word.is_empty()) {
        if word.starts_with('@') {
            calls.extend(calls_of(word));
        } else {
            calls.insert(word.to_owned());
        }
    }
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_lets_through_what_qimate_calls() {
    const STORY: &str = "the_filter_lets_through_what_qimate_calls";
    if !installed("systemd-analyze", STORY) || !installed("strace", STORY) {
        return;
    }
    let filters = values("SystemCallFilter");
    assert_eq!(filters, ["@system-service", "~@privileged @resources"]);
    let mut allowed = calls_of("@system-service");
    for call in calls_of("@privileged").into_iter().chain(calls_of("@resources")) {
        allowed.remove(&call);
    }
    // In every filter that allows anything.
    allowed.extend(calls_of("@default"));
    assert!(!allowed.contains("mount") && allowed.contains("pwrite64"));

    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let (trace, program) = (dir.path().join("trace"), dir.path().join("qimate"));
    fs::copy(env!("CARGO_BIN_EXE_qimate"), &program).unwrap();
    let mut command = tokio::process::Command::new("env");
    // As root, SQLite gives its files to the owner of the database, which the service cannot be.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.args(["setpriv", "--reuid=10001", "--regid=10001", "--clear-groups"]);
        for dir in [dir.path(), company.dir.path()] {
            chown(dir, Some(10001), Some(10001)).unwrap();
        }
    }
    // By the name of the machine, which is looked up: glibc has its own ways to do so.
    command.args(["strace", "-f", "-qq", "-o"]).arg(&trace).arg(&program).arg("serve");
    let api = company.wecom.api_base().replace("127.0.0.1", "localhost");
    command.env_clear().envs(company.variables()).env("QIMATE_WECOM__API_BASE", api).env("PATH", "/usr/bin:/bin");
    command.current_dir(company.dir.path()).kill_on_drop(true).stdout(Stdio::null());
    company.start_by(command).await;
    assert!(company.wecom.say("zhangsan", "喂").await.accepted());
    crate::harness::within_seconds(60, company.wecom.wait_delivered(|all| !all.is_empty())).await;
    // strace passes the signal on, and ends with what it traced.
    let pid = fs::read_to_string(format!("/proc/{0}/task/{0}/children", company.pid())).unwrap().trim().to_owned();
    output_of(Command::new("kill").args(["-TERM", &pid]));
    assert!(company.ended().await.success());

    let text = fs::read_to_string(&trace).unwrap();
    let called: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('))
        .map(|(call, _)| call)
        .filter(|call| call.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !call.is_empty())
        // How strace starts it; systemd does so before the filter is there.
        .filter(|call| *call != "execve")
        .collect();
    assert!(called.contains("fdatasync") || called.contains("fsync"), "the trace has what it must: {called:?}");
    let refused: Vec<_> = called.iter().filter(|call| !allowed.contains(**call)).collect();
    assert!(refused.is_empty(), "SystemCallFilter would refuse {refused:?}");
}
