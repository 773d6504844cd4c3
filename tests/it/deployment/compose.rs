//! `deploy/compose.yml` and `deploy/compose.caddy.yml`.

use std::{fs, process::Command};

use serde_json::Value;

use super::{defaults, image::Dockerfile, installed, names, output_of, read, root, stop_grace_seconds, yaml};

const FILES: [&str; 2] = ["deploy/compose.yml", "deploy/compose.caddy.yml"];

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn qimate_runs_as_the_image_and_the_program_want_it() {
    let image = Dockerfile::read();
    for file in FILES {
        let compose = yaml(file);
        let qimate = &compose["services"]["qimate"];
        assert_eq!(qimate["build"]["dockerfile"], "deploy/Dockerfile", "{file}");
        assert_eq!(qimate["build"]["context"], "..", "{file}");
        assert_eq!(qimate["build"]["target"], "qimate", "{file}: without a shell");
        assert_eq!(strings(&qimate["volumes"]), [format!("qimate-data:{}", image.data_dir())], "{file}");
        assert!(compose["volumes"].as_object().unwrap().contains_key("qimate-data"), "{file}");
        let grace = qimate["stop_grace_period"].as_str().unwrap().strip_suffix('s').unwrap().parse::<u64>().unwrap();
        assert!(grace >= stop_grace_seconds(), "{file}: {grace}");
        assert_eq!(qimate["restart"], "unless-stopped", "{file}");
        assert_eq!(qimate["read_only"], true, "{file}");
        assert_eq!(strings(&qimate["cap_drop"]), ["ALL"], "{file}");
        assert_eq!(strings(&qimate["security_opt"]), ["no-new-privileges:true"], "{file}");
        for not in ["privileged", "user", "network_mode", "tmpfs", "healthcheck", "command"] {
            assert!(qimate.get(not).is_none(), "{file}: {not} is the image's business, or nobody's");
        }
    }
}

#[test]
fn what_is_needed_is_listed_and_nothing_else() {
    let needed: Vec<_> = read("deploy/compose.yml")
        .lines()
        .filter(|line| line.starts_with('#') && line.contains("QIMATE_"))
        .flat_map(names::named_in)
        .map(|name| (name, "x".to_owned()))
        .collect();
    assert_eq!(needed.len(), 6, "{needed:?}");
    // With these the program finds faults in the values, and misses none.
    let environment = qimate::config::Environment::from_pairs(needed);
    let faults = qimate::config::Config::load(None, &environment)
        .expect_err("the values are nonsense")
        .told(qimate::config::chat::Language::English);
    assert!(!faults.contains("missing"), "{faults}");
}

#[test]
fn only_the_proxy_is_reached_from_outside() {
    let port = defaults().server.listen.port();
    let alone = yaml(FILES[0]);
    assert_eq!(strings(&alone["services"]["qimate"]["ports"]), [format!("127.0.0.1:{port}:{port}")]);
    let with_caddy = yaml(FILES[1]);
    assert!(with_caddy["services"]["qimate"].get("ports").is_none());
    let caddy = &with_caddy["services"]["caddy"];
    assert_eq!(strings(&caddy["ports"]), ["80:80", "443:443"]);
    assert!(caddy["image"].as_str().unwrap().split_once(':').is_some_and(|(_, tag)| tag.contains('.')), "pinned");
    assert!(strings(&caddy["volumes"]).contains(&"./Caddyfile:/etc/caddy/Caddyfile:ro"));
    assert!(read("deploy/Caddyfile").contains(&format!("{{$UPSTREAM:qimate:{port}}}")), "its name in the network");
}

#[test]
fn compose_reads_the_files() {
    if !installed("docker-compose", "compose_reads_the_files") {
        return;
    }
    // A copy, for compose looks for `.env` beside the file.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("deploy")).unwrap();
    for file in FILES {
        fs::copy(root().join(file), dir.path().join(file)).unwrap();
    }
    let env = "QIMATE_WECOM__CORP_ID='ww1'\nQIMATE_SERVER__CALLBACK_PATH='/callback'\nDOMAIN='qimate.example.com'\n";
    fs::write(dir.path().join("deploy/.env"), env).unwrap();
    for file in FILES {
        let mut command = Command::new("docker-compose");
        let text = output_of(command.args(["-f", file, "config"]).current_dir(dir.path()));
        assert!(text.contains("QIMATE_WECOM__CORP_ID: ww1"), "{text}");
        if file == FILES[1] {
            assert!(text.contains("QIMATE_SERVER__PUBLIC_URL: https://qimate.example.com"), "{text}");
            assert!(text.contains("      CALLBACK_PATH: /callback"), "Caddy is told the same path: {text}");
        }
    }
    fs::write(dir.path().join("deploy/.env"), "").unwrap();
    let mut command = Command::new("docker-compose");
    let output = command.args(["-f", FILES[1], "config"]).current_dir(dir.path()).output().unwrap();
    assert!(!output.status.success(), "Caddy without a domain");
    assert!(String::from_utf8_lossy(&output.stderr).contains("write DOMAIN into deploy/.env"));
}
