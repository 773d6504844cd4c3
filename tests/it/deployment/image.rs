//! `deploy/Dockerfile`: what it says, and a message answered in a root directory made as the image's is.

use std::{
    collections::BTreeMap,
    fs,
    net::Ipv4Addr,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use qimate::sandbox::model::ModelReply;
use tokio::net::UdpSocket;

use super::{defaults, installed, may_mount, output_of, read, root, skipped};
use crate::{company::Company, harness::within_seconds};

/// A Dockerfile's instructions.
pub(super) struct Dockerfile {
    /// Stage by stage: keyword and rest.
    stages: Vec<Vec<(String, String)>>,
}

impl Dockerfile {
    pub(super) fn read() -> Self {
        let text = read("deploy/Dockerfile");
        let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        let mut stages = Vec::<Vec<_>>::new();
        for line in lines.join("\n").replace("\\\n", " ").lines().filter(|line| !line.trim().is_empty()) {
            let (keyword, rest) = line.split_once(' ').expect("an instruction");
            if keyword == "FROM" {
                stages.push(Vec::new());
            }
            let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
            stages.last_mut().expect("FROM comes first").push((keyword.to_owned(), rest));
        }
        Self { stages }
    }

    fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.stages.iter().flatten().map(|(keyword, rest)| (keyword.as_str(), rest.as_str()))
    }

    /// The stage of this name.
    fn stage(&self, name: &str) -> &[(String, String)] {
        let suffix = format!(" AS {name}");
        self.stages.iter().find(|stage| stage[0].1.ends_with(&suffix)).expect(name)
    }

    /// The one instruction of this kind in the stage that becomes the image.
    fn last(&self, keyword: &str) -> &str {
        let stage = self.stage("qimate");
        let found: Vec<_> = stage.iter().filter(|(k, _)| k == keyword).map(|(_, rest)| rest.as_str()).collect();
        assert_eq!(found.len(), 1, "{keyword}");
        found[0]
    }

    /// Where the data is in the image: the directory that belongs to its user.
    pub(super) fn data_dir(&self) -> String {
        let given = self
            .stage("qimate")
            .iter()
            .find(|(keyword, rest)| keyword == "COPY" && rest.contains("--chown="))
            .expect("/data");
        given.1.rsplit(' ').next().expect("a path").to_owned()
    }

    /// What is copied from the repository.
    pub(super) fn sources(&self) -> Vec<String> {
        let copies = self.all().filter(|(keyword, rest)| *keyword == "COPY" && !rest.contains("--from="));
        copies
            .flat_map(|(_, rest)| {
                let paths: Vec<_> = rest.split(' ').filter(|word| !word.starts_with("--")).collect();
                paths[..paths.len() - 1].iter().map(|path| (*path).to_owned()).collect::<Vec<_>>()
            })
            .collect()
    }

    fn exec_form(&self, keyword: &str) -> Vec<String> {
        let rest = self.last(keyword);
        let json = &rest[rest.find('[').unwrap_or_else(|| panic!("{keyword} needs a shell, and there is none"))..];
        serde_json::from_str(json).unwrap()
    }

    fn user(&self) -> u32 {
        let (user, group) = self.last("USER").split_once(':').unwrap();
        assert_eq!(user, group);
        user.parse().expect("a number")
    }
}

#[test]
fn the_image_is_what_the_program_expects() {
    let image = Dockerfile::read();
    let config = defaults();
    assert!(image.user() > 0);
    let (program, arguments) = (image.exec_form("ENTRYPOINT"), image.exec_form("HEALTHCHECK"));
    assert_eq!(program, ["/usr/local/bin/qimate"]);
    assert_eq!(arguments, ["/usr/local/bin/qimate", "healthcheck"]);
    output_of(Command::new(env!("CARGO_BIN_EXE_qimate")).args(["help", "healthcheck"]));
    assert_eq!(image.last("EXPOSE"), config.server.listen.port().to_string());
    assert_eq!(Path::new(image.last("WORKDIR")).join(&config.storage.data_dir), Path::new(&image.data_dir()));
    assert_eq!(image.last("STOPSIGNAL"), "SIGTERM");
    assert!(!image.all().any(|(keyword, _)| keyword == "VOLUME"), "Railway refuses it");
    assert!(!image.all().any(|(_, rest)| rest.contains("--mount")), "Railway refuses them");
    assert!(!read("deploy/Dockerfile").starts_with("# syntax="), "no frontend is fetched");
}

/// Railway builds the last stage. `railway ssh` runs what it is told in a shell.
#[test]
fn for_railway_there_is_a_shell_in_which_commands_are_run() {
    const STORY: &str = "for_railway_there_is_a_shell_in_which_commands_are_run";
    let image = Dockerfile::read();
    let stage: Vec<_> = image.stages.last().unwrap().iter().map(|(k, rest)| (k.as_str(), rest.as_str())).collect();
    assert_eq!(stage, [("FROM", "qimate AS railway"), ("COPY", "--from=libraries /usr/bin/dash /bin/sh")]);
    if !may_mount(STORY) || !installed("dash", STORY) || !installed("readelf", STORY) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = image_root(dir.path());
    fs::create_dir(root.join("bin")).unwrap();
    fs::copy("/usr/bin/dash", root.join("bin/sh")).unwrap();
    let mut chroot = Command::new("chroot");
    chroot
        .arg(&root)
        .args(["/bin/sh", "-c", "/usr/local/bin/qimate help dead-letters"])
        .env("PATH", "/usr/sbin:/usr/bin");
    assert!(output_of(&mut chroot).contains("retry"));
}

#[test]
fn bases_have_a_version() {
    let image = Dockerfile::read();
    let mut stages = Vec::new();
    for (_, from) in image.all().filter(|(keyword, _)| *keyword == "FROM") {
        let words: Vec<_> = from.split(' ').filter(|word| !word.starts_with("--")).collect();
        let pinned = words[0].split_once(':').is_some_and(|(_, tag)| tag.contains('.'));
        assert!(pinned || words[0] == "scratch" || stages.contains(&words[0]), "{from}");
        stages.extend(words.get(2));
    }
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let rust = manifest["package"]["rust-version"].as_str().unwrap();
    assert!(read("deploy/Dockerfile").contains(&format!("rust:{rust}.")), "the compiler that the code asks for");
}

#[test]
fn the_build_is_given_what_it_needs_and_no_secret() {
    let mut allowed: Vec<_> =
        read(".dockerignore").lines().filter_map(|line| line.strip_prefix('!')).map(str::to_owned).collect();
    assert!(read(".dockerignore").lines().any(|line| line == "*"), "first, everything is left out");
    let mut sources = Dockerfile::read().sources();
    sources.sort();
    allowed.sort();
    assert_eq!(sources, allowed);
}

/// The layer of the dependencies is built from the manifest and empty files: every target of the manifest has one.
#[test]
fn the_layer_of_the_dependencies_has_every_target() {
    if !installed("bash", "the_layer_of_the_dependencies_has_every_target") {
        return;
    }
    let image = Dockerfile::read();
    let script = image.all().find(|(keyword, rest)| *keyword == "RUN" && rest.contains("mkdir -p src")).unwrap().1;
    let (script, build) = script.rsplit_once("; ").unwrap();
    assert!(build.starts_with("cargo build --locked --release "), "{build}");
    let dir = tempfile::tempdir().unwrap();
    for file in ["Cargo.toml", "Cargo.lock"] {
        fs::copy(root().join(file), dir.path().join(file)).unwrap();
    }
    output_of(Command::new("bash").args(["-euc", script]).current_dir(dir.path()));
    let metadata = ["metadata", "--no-deps", "--offline", "--locked", "--format-version=1"];
    let metadata: serde_json::Value = {
        let output = Command::new(env!("CARGO")).args(metadata).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    for target in metadata["packages"][0]["targets"].as_array().unwrap() {
        let path = target["src_path"].as_str().unwrap();
        assert!(Path::new(path).is_file(), "{path}");
    }
}

#[test]
fn a_linter_finds_nothing() {
    if installed("hadolint", "a_linter_finds_nothing") {
        output_of(Command::new("hadolint").arg(root().join("deploy/Dockerfile")));
    }
}

/// The root directory of an image with this build's program.
fn image_root(dir: &Path) -> PathBuf {
    let root = dir.join("root");
    let program = env!("CARGO_BIN_EXE_qimate");
    output_of(Command::new(super::root().join("deploy/image-root")).arg(program).arg("").arg(&root));
    root
}

/// The image's root directory with this build's program, as a container engine sets it up: read-only but for `/data`,
/// with the engine's `hosts` and `resolv.conf`.
struct Container {
    root: PathBuf,
    user: u32,
    environment: BTreeMap<String, String>,
    image: Dockerfile,
}

impl Container {
    fn new(dir: &Path, company: &Company, name_server: &str) -> Self {
        let image = Dockerfile::read();
        let root = image_root(dir);
        fs::create_dir(root.join(image.data_dir().trim_start_matches('/'))).unwrap();
        fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        fs::write(root.join("etc/resolv.conf"), format!("nameserver {name_server}\n")).unwrap();
        let mut environment = company.variables();
        environment.remove("QIMATE_STORAGE__DATA_DIR");
        let given = image.last("ENV").split_once('=').unwrap();
        environment.insert(given.0.to_owned(), given.1.to_owned());
        Self { root, user: image.user(), environment, image }
    }

    /// A command in the container. `data` is what is mounted.
    fn command(&self, instruction: &str, data: &Path) -> tokio::process::Command {
        const RUN: &str = r#"set -e; mount --bind "$1" "$1"; mount --bind "$2" "$1$3"; mount -o remount,bind,ro "$1"
            user=$4; root=$1; shift 4; exec chroot --userspec="$user:$user" --groups= "$root" "$@""#;
        let mut command = tokio::process::Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", RUN, "sh"]);
        command.arg(&self.root).arg(data).arg(self.image.data_dir()).arg(self.user.to_string());
        command.args(self.image.exec_form(instruction));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs(&self.environment).kill_on_drop(true);
        command
    }
}

/// Answers every question about an address with 127.0.0.1, and says for which names it was asked.
async fn name_server(address: Ipv4Addr) -> Option<tokio::sync::mpsc::UnboundedReceiver<String>> {
    let socket = UdpSocket::bind((address, 53)).await.ok()?;
    let (asked, names) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let question = &buffer[12..length];
            let end = question.iter().position(|byte| *byte == 0).unwrap();
            let kind = question[end + 2];
            let name: String =
                question[1..end].iter().map(|byte| if *byte < 32 { '.' } else { char::from(*byte) }).collect();
            let mut answer = [&buffer[..2], &[0x81, 0x80, 0, 1, 0, u8::from(kind == 1), 0, 0, 0, 0]].concat();
            answer.extend_from_slice(&question[..end + 5]);
            if kind == 1 {
                answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            let _ = socket.send_to(&answer, from).await;
            let _ = asked.send(name);
        }
    });
    Some(names)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_images_root_a_message_is_answered() {
    const STORY: &str = "in_the_images_root_a_message_is_answered";
    if !may_mount(STORY) || !installed("readelf", STORY) {
        return;
    }
    let server = Ipv4Addr::new(127, 77, 0, 1);
    let Some(mut names) = name_server(server).await else {
        skipped("in_the_images_root_a_message_is_answered needs port 53 of 127.77.0.1");
        return;
    };
    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("在容器里回答。".to_owned()));
    let place = tempfile::tempdir().unwrap();
    let mut container = Container::new(place.path(), &company, &server.to_string());
    // WeCom is found by DNS, and the model by the hosts file: glibc's own ways are all that is there.
    let api = company.wecom.api_base().replace("127.0.0.1", "qyapi.test");
    container.environment.insert("QIMATE_WECOM__API_BASE".to_owned(), api);
    let model = company.model.base_url().replace("127.0.0.1", "localhost");
    container.environment.insert("QIMATE_LLM__BASE_URL".to_owned(), model);
    for absent in ["tmp", "proc", "dev", "etc/ssl", "usr/share", "bin"] {
        assert!(!container.root.join(absent).exists(), "{absent}");
    }

    chown(company.dir.path(), Some(container.user), Some(container.user)).unwrap();
    company.start_by(container.command("ENTRYPOINT", company.dir.path())).await;
    let health = within_seconds(30, container.command("HEALTHCHECK", company.dir.path()).output()).await.unwrap();
    assert!(health.status.success(), "{}", String::from_utf8_lossy(&health.stderr));
    assert!(company.wecom.say("zhangsan", "喂").await.accepted());
    within_seconds(30, company.wecom.wait_delivered(|all| !all.is_empty())).await;
    assert_eq!(company.wecom.messages_for("zhangsan")[0].content, "在容器里回答。");
    assert_eq!(names.recv().await.as_deref(), Some("qyapi.test"));

    // It was the container, and it was locked.
    let proc = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", company.pid())).unwrap();
    let (user, status) = (container.user, proc("status"));
    assert!(status.contains(&format!("Uid:\t{user}\t{user}\t{user}\t{user}")), "{status}");
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    let mounts = proc("mountinfo");
    let options = |place: &str| {
        let line = mounts.lines().find(|line| line.split(' ').nth(4) == Some(place));
        line.and_then(|line| line.split(' ').nth(5)).unwrap_or_else(|| panic!("{place}: {mounts}")).to_owned()
    };
    assert!(options("/").starts_with("ro"), "{mounts}");
    assert!(options("/data").starts_with("rw"), "{mounts}");

    assert!(company.terminate().await.success());
    let health = within_seconds(30, container.command("HEALTHCHECK", company.dir.path()).output()).await.unwrap();
    assert_eq!(health.status.code(), Some(1), "nobody is healthy who does not run");
}

/// What happens on Railway without RAILWAY_RUN_UID=0: its volumes are root's.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_somebody_else_is_refused_in_words_that_the_guide_explains() {
    const STORY: &str = "a_volume_of_somebody_else_is_refused_in_words_that_the_guide_explains";
    if !may_mount(STORY) || !installed("readelf", STORY) {
        return;
    }
    let company = Company::open(&[]).await;
    let place = tempfile::tempdir().unwrap();
    let mut container = Container::new(place.path(), &company, "127.0.0.1");
    fs::set_permissions(company.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let refused = within_seconds(30, container.command("ENTRYPOINT", company.dir.path()).output()).await.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    let words = "/qimate.lock: Permission denied";
    assert!(said.contains(words), "{said}");
    for guide in ["docs/railway.md", "docs/railway.zh-CN.md"] {
        assert!(read(guide).contains(words), "{guide}");
    }

    // As root, which RAILWAY_RUN_UID=0 makes of it, it can.
    container.user = 0;
    let mut company = company;
    company.start_by(container.command("ENTRYPOINT", company.dir.path())).await;
}
