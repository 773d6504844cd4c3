//! `qimate doctor`: one fault at a time is seeded in a healthy company, and the doctor names that one and no other.

mod daemon;
mod patient;
mod strangers;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use qimate::{
    clock::{Clock, ManualClock},
    config::{Config, Environment},
    doctor::{Database, Doctor, SendTest, render::Look, surroundings::Surroundings},
    llm, net,
    sandbox::model::{ModelReply, Transcript},
    secret::Secret,
    store::Store,
    wecom,
};
use rusqlite::Connection;

use self::{
    patient::{Golden, Patient},
    strangers::{Authority, Certificate, answers, nobody, page, quotes, redirects, refusing_proxy, refusing_socks},
};

#[tokio::test]
async fn a_healthy_company_is_told_so() {
    let mut patient = Patient::healthy().await;
    let findings = patient.findings().await;
    assert_eq!(findings.len(), 20);
    assert!(findings.iter().all(|finding| finding["status"] == "ok"), "{findings:#?}");
    // The message came, and nothing was asked twice.
    assert!(patient.wecom.messages_for("zhangsan")[0].content.contains("企伴测试消息"));
    assert_eq!((patient.wecom.counters().gettoken, patient.model.load().taken), (1, 1));

    let output = patient.run(&["--send-to", "zhangsan"]).await;
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("没有发现问题\n"), "{text}");
    assert_eq!(text.matches('✓').count(), 20, "{text}");
    // Equal messages within hours are not shown; the second test message is another.
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");

    patient.set("CHAT__LANGUAGE", "en");
    let english = String::from_utf8(patient.run(&[]).await.stdout).unwrap();
    assert!(english.contains("✓ Trusted address  WeCom takes calls from this machine\n"), "{english}");
    assert!(english.contains("– Test message     --send-to USERID sends a test message\n"), "{english}");
}

#[tokio::test]
async fn before_the_first_start_what_cannot_be_known_is_skipped() {
    let mut patient = Patient::healthy().await;
    let fresh = patient.dir.path().join("fresh");
    patient.set("STORAGE__DATA_DIR", fresh.display().to_string());
    patient.set("SERVER__LISTEN", nobody().to_string());
    patient.set("SERVER__PUBLIC_URL", format!("http://{}", nobody()));
    let findings = patient.findings().await;
    let skipped: Vec<_> = findings.iter().filter(|one| one["status"] == "skipped").map(|one| &one["id"]).collect();
    assert_eq!(skipped, ["storage.database", "callback.url", "callback.seen", "callback.refused"]);
    assert!(findings.iter().all(|finding| finding["status"] != "problem"), "{findings:#?}");
    assert!(!fresh.exists(), "looking makes nothing");
}

#[tokio::test]
async fn faults_of_the_set_up() {
    let mut golden = Golden::new("setup");
    let check = "configuration";
    golden.seeded(check, "setup.configuration", async |p| p.set("WECOM__AGENT_ID", "ten")).await;
    golden.seeded(check, "setup.configuration", async |p| p.set("WECOM__SECRTE", "hunter2")).await;
    golden.seeded(check, "setup.configuration", async |p| p.set("WECOM__ENCODING_AES_KEY", "abc")).await;
    golden
        .seeded("storage.directory", "setup.data_dir_not_a_directory", async |p| {
            std::fs::write(p.dir.path().join("file"), "").unwrap();
            p.set("STORAGE__DATA_DIR", p.dir.path().join("file").display().to_string());
        })
        .await;
    golden
        .seeded("storage.directory", "setup.data_dir_not_writable", async |p| {
            // Nobody can make files there, not even root.
            p.set("STORAGE__DATA_DIR", "/proc/qimate");
        })
        .await;
    golden
        .seeded("storage.volume", "setup.railway_without_volume", async |p| {
            p.variables.remove("RAILWAY_VOLUME_MOUNT_PATH");
        })
        .await;
    golden
        .seeded("storage.volume", "setup.railway_beside_volume", async |p| {
            p.variables.insert("RAILWAY_VOLUME_MOUNT_PATH".to_owned(), "/mnt/volume".to_owned());
        })
        .await;
    golden
        .seeded("storage.database", "setup.database_newer", async |p| {
            let dir = another_dir(p, "newer");
            Connection::open(dir.join("qimate.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
        })
        .await;
    golden
        .seeded("storage.database", "setup.database_unreadable", async |p| {
            let dir = another_dir(p, "broken");
            std::fs::write(dir.join("qimate.db"), "this is no database, whatever its name is".repeat(100)).unwrap();
        })
        .await;
    let (v1, keys, url) = ("V1__ENABLED", "V1__MEMBER_KEYS", "SERVER__PUBLIC_URL");
    let check = "member_keys";
    golden.seeded(check, "setup.keys_without_v1", async |p| p.set(keys, "2")).await;
    golden
        .seeded(check, "setup.keys_without_url", async |p| {
            p.set(keys, "2");
            p.set(v1, "true");
            p.set(url, "");
        })
        .await;
    golden.compare();
}

fn another_dir(patient: &mut Patient, name: &str) -> std::path::PathBuf {
    let dir = patient.dir.path().join(name);
    std::fs::create_dir(&dir).unwrap();
    patient.set("STORAGE__DATA_DIR", dir.display().to_string());
    dir
}

#[tokio::test]
async fn a_disk_that_is_nearly_full() {
    let mut patient = Patient::healthy().await;
    patient.set("ALERTS__DISK_FREE_MIB", "1048576");
    let findings = patient.findings().await;
    let named: Vec<_> = findings.iter().filter_map(|finding| finding["code"].as_str()).collect();
    assert_eq!(named, ["setup.disk_low"]);
}

/// What the machine itself must be like is handed in.
#[tokio::test]
async fn faults_of_the_machine() {
    let mut golden = Golden::new("machine");
    let patient = Patient::healthy().await;

    let mut doctor = doctor_of(&patient);
    doctor.config.platform = qimate::config::Platform::Any;
    doctor.surroundings = Surroundings {
        in_container: true,
        mountinfo: "621 523 0:52 / / rw,relatime - overlay overlay rw\n".to_owned(),
    };
    golden.take(&patient, &examined(&doctor).await, "storage.volume", "setup.container_without_volume");
    let mount = format!("629 621 8:1 / {} rw - ext4 /dev/sda1 rw\n", patient.dir.path().display());
    doctor.surroundings.mountinfo.push_str(&mount);
    assert!(examined(&doctor).await.iter().all(|finding| finding["status"] == "ok"));

    for off in [Duration::from_secs(61), Duration::from_secs(7200)] {
        let mut doctor = doctor_of(&patient);
        // The answer's `Date` has whole seconds: looked at again where one began meanwhile.
        let findings = loop {
            let now = Clock::System.now();
            doctor.clock = Clock::Manual(ManualClock::new(now + off + Duration::from_secs(2)));
            let findings = examined(&doctor).await;
            if Clock::System.now().as_secs() == now.as_secs() {
                break findings;
            }
        };
        golden.take(&patient, &findings, "clock", "setup.clock_off");
    }

    let mut doctor = doctor_of(&patient);
    doctor.config.apps.first.wecom.encoding_aes_key = Secret::new("not-a-key".to_owned());
    golden.take(&patient, &examined(&doctor).await, "callback.key", "setup.encoding_aes_key");
    golden.compare();
}

/// A doctor in this process.
fn doctor_of(patient: &Patient) -> Doctor {
    let config = Config::load(None, &Environment::from_pairs(patient.variables.clone())).unwrap().config;
    doctor_with(config, patient.daemon)
}

/// A doctor in this process, of a daemon that is set so and listens there.
pub fn doctor_with(config: Config, listen: SocketAddr) -> Doctor {
    net::install_crypto();
    let http = net::http_client(None, Duration::from_secs(5)).unwrap();
    let clock = Clock::System;
    Doctor {
        wecom: vec![wecom::client::Client::new(http.clone(), &config.apps.first.wecom, clock.clone(), Arc::default())],
        model: llm::router::Router::new(&config.llm, clock.clone(), Arc::default()).expect("a router"),
        http,
        listen,
        surroundings: Surroundings::default(),
        config,
        clock,
    }
}

async fn examined(doctor: &Doctor) -> Vec<serde_json::Value> {
    let database = Database::Open(Store::open_beside(&doctor.config.storage).unwrap());
    let report = doctor.examine(&database, &SendTest::Never).await;
    assert!(!report.render(Look::Plain).is_empty());
    serde_json::from_value(serde_json::to_value(&report.findings).unwrap()).unwrap()
}

#[tokio::test]
async fn faults_on_the_way_to_wecom() {
    let mut golden = Golden::new("way_to_wecom");
    let check = "wecom.reach";
    let base = "WECOM__API_BASE";
    let authority = Authority::new();
    golden.seeded(check, "link.name_not_found", async |p| p.set(base, "https://qyapi.invalid")).await;
    golden.seeded(check, "link.refused", async |p| p.set(base, format!("http://{}", nobody()))).await;
    golden
        .seeded(check, "link.timed_out", async |p| {
            p.wecom.trouble(|trouble| trouble.hang(true));
            p.set("WECOM__TIMEOUT_SECONDS", "1");
        })
        .await;
    for (certificate, cause) in [
        (Certificate::SelfSigned, "link.untrusted"),
        (Certificate::OfAnotherName, "link.wrong_name"),
        (Certificate::Expired, "link.expired"),
        (Certificate::OfTomorrow, "link.not_yet_valid"),
    ] {
        golden
            .seeded(check, cause, async |p| {
                trust(p, &authority);
                let url = authority.serve(certificate, address_of(&p.wecom.api_base())).await;
                p.set(base, url);
            })
            .await;
    }
    golden.seeded(check, "link.no_tls", async |p| p.set(base, p.wecom.api_base().replace("http:", "https:"))).await;
    let proxy = "WECOM__PROXY";
    golden.seeded(check, "link.proxy_name_not_found", async |p| p.set(proxy, "http://proxy.invalid:3128")).await;
    golden.seeded(check, "link.proxy_unreachable", async |p| p.set(proxy, format!("http://{}", nobody()))).await;
    golden.seeded(check, "link.proxy_authentication", async |p| p.set(proxy, refusing_proxy(407).await)).await;
    golden
        .seeded(check, "link.proxy_authentication", async |p| {
            p.set(base, "https://qyapi.weixin.qq.com");
            p.set(proxy, refusing_proxy(407).await);
        })
        .await;
    golden.seeded(check, "link.proxy_authentication", async |p| p.set(proxy, refusing_socks().await)).await;
    golden
        .seeded(check, "link.proxy_forbids", async |p| {
            p.set(base, "https://qyapi.weixin.qq.com");
            p.set(proxy, refusing_proxy(403).await);
        })
        .await;
    golden.compare();

    // The same way with a good certificate is no fault.
    let mut patient = Patient::healthy().await;
    trust(&mut patient, &authority);
    let url = authority.serve(Certificate::Good, address_of(&patient.wecom.api_base())).await;
    patient.set(base, url);
    assert!(patient.findings().await.iter().all(|finding| finding["status"] == "ok"));
}

fn trust(patient: &mut Patient, authority: &Authority) {
    let path = patient.dir.path().join("authority.pem");
    authority.write_to(&path);
    patient.variables.insert("SSL_CERT_FILE".to_owned(), path.display().to_string());
}

fn address_of(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").trim_end_matches("/v1").parse().unwrap()
}

#[tokio::test]
async fn strangers_in_wecoms_place() {
    let mut golden = Golden::new("strangers");
    let check = "wecom.reach";
    let base = "WECOM__API_BASE";
    golden.seeded(check, "wecom.page", async |p| p.set(base, page().await)).await;
    golden.seeded(check, "wecom.path_not_found", async |p| p.set(base, p.wecom.api_base() + "/relay")).await;
    golden.seeded(check, "wecom.gateway", async |p| p.wecom.trouble(|trouble| trouble.bad_gateway(true))).await;
    golden.seeded(check, "wecom.redirected", async |p| p.set(base, redirects().await)).await;
    golden
        .seeded(check, "wecom.stranger", async |p| p.set(base, answers(200, "application/json", "{\"ok\":true}").await))
        .await;
    golden.compare();
}

#[tokio::test]
async fn faults_of_the_application() {
    let mut golden = Golden::new("application");
    golden
        .seeded("wecom.secret", "wecom.corp_id_wrong", async |p| {
            *p = Patient::with_daemon(|variables| {
                variables.insert("QIMATE_WECOM__CORP_ID".to_owned(), "wwffffffffffffffff".to_owned());
            })
            .await;
            p.set("WECOM__CORP_ID", "wwffffffffffffffff");
        })
        .await;
    golden.seeded("wecom.secret", "wecom.secret_wrong", async |p| p.set("WECOM__SECRET", "of-another-app")).await;
    for (errcode, cause) in [
        ("40091", "wecom.secret_of_another_corp"),
        ("45031", "wecom.secret_expired"),
        ("301007", "wecom.corp_blocked"),
        ("45009", "wecom.too_many_calls"),
        ("-1", "wecom.busy"),
        ("987654", "wecom.refuses"),
    ] {
        let body = format!("{{\"errcode\":{errcode},\"errmsg\":\"in WeCom's words, hint: [1], from ip: 1.2.3.4\"}}");
        let body: &'static str = Box::leak(body.into_boxed_str());
        golden
            .seeded("wecom.secret", cause, async |p| p.set("WECOM__API_BASE", answers(200, "text/json", body).await))
            .await;
    }
    golden
        .seeded("wecom.address", "wecom.address_not_trusted", async |p| {
            p.wecom.trouble(|trouble| trouble.refuse_ip(true));
        })
        .await;
    golden
        .seeded("wecom.address", "wecom.address_changed", async |p| {
            assert!(p.run(&["--send-to", "zhangsan"]).await.status.success());
            p.sent_once();
            p.wecom.trouble(|trouble| trouble.refuse_ip(true));
        })
        .await;
    golden.seeded("wecom.agent", "wecom.agent_of_another_secret", async |p| p.set("WECOM__AGENT_ID", "1000009")).await;
    golden
        .seeded("wecom.agent", "wecom.agent_disabled", async |p| p.wecom.trouble(|trouble| trouble.disable_agent(true)))
        .await;
    golden
        .seeded("wecom.agent", "wecom.nobody_sees", async |p| p.wecom.trouble(|trouble| trouble.hide_agent(true)))
        .await;
    golden
        .seeded("send", "wecom.no_recipient", async |p| {
            p.wecom.trouble(|trouble| trouble.unknown_member("zhangsan", true));
        })
        .await;
    golden
        .seeded("send", "wecom.too_many_calls", async |p| p.wecom.trouble(|trouble| trouble.fail_sends(Some(45009))))
        .await;
    golden.seeded("send", "wecom.unsure", async |p| p.wecom.trouble(|trouble| trouble.lose_answers(1))).await;
    golden.compare();
}

#[tokio::test]
async fn faults_of_the_callback() {
    let mut golden = Golden::new("callback");
    let check = "callback.url";
    let url = "SERVER__PUBLIC_URL";
    let authority = Authority::new();
    golden.seeded(check, "outside.name_not_found", async |p| p.set(url, "https://qimate.invalid")).await;
    golden.seeded(check, "outside.refused", async |p| p.set(url, format!("http://{}", nobody()))).await;
    for (certificate, cause) in [
        (Certificate::SelfSigned, "outside.untrusted"),
        (Certificate::OfAnotherName, "outside.wrong_name"),
        (Certificate::Expired, "outside.expired"),
    ] {
        golden
            .seeded(check, cause, async |p| {
                trust(p, &authority);
                let served = authority.serve(certificate, p.daemon).await;
                p.set(url, served);
            })
            .await;
    }
    golden.seeded(check, "outside.no_tls", async |p| p.set(url, format!("https://{}", p.daemon))).await;
    golden.seeded(check, "callback.gateway", async |p| p.set(url, answers(502, "text/html", "<h1>502").await)).await;
    golden.seeded(check, "callback.path_not_found", async |p| p.set("SERVER__CALLBACK_PATH", "/wecom")).await;
    golden.seeded(check, "callback.redirected", async |p| p.set(url, redirects().await)).await;
    golden.seeded(check, "callback.page", async |p| p.set(url, page().await)).await;
    golden.seeded(check, "callback.blocked", async |p| p.set(url, answers(403, "text/html", "<h1>WAF").await)).await;
    golden
        .seeded(check, "callback.body_changed", async |p| p.set(url, quotes(format!("http://{}", p.daemon)).await))
        .await;
    for (variable, value, cause) in [
        ("QIMATE_WECOM__CALLBACK_TOKEN", "another", "callback.other_token"),
        ("QIMATE_WECOM__ENCODING_AES_KEY", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "callback.other_key"),
        ("QIMATE_WECOM__CORP_ID", "wwffffffffffffffff", "callback.other_corp"),
    ] {
        golden
            .seeded(check, cause, async |p| {
                *p = Patient::with_daemon(|variables| {
                    variables.insert(variable.to_owned(), value.to_owned());
                })
                .await;
            })
            .await;
    }
    golden.seeded("callback.seen", "callback.never_came", async |p| *p = Patient::never_called(|_| {}).await).await;
    for (reason, cause) in [
        ("wrong_signature", "callback.token_differs"),
        ("undecryptable", "callback.key_differs"),
        ("other_receiver", "callback.corp_differs"),
        ("malformed_xml", "callback.form_differs"),
        ("missing_parameter", "callback.strangers"),
        ("busy", "callback.unlucky"),
    ] {
        golden
            .seeded("callback.refused", cause, async |p| {
                let at = Clock::System.now() - Duration::from_secs(90);
                p.remember(|sightings| (0..3).for_each(|_| sightings.refused(reason, at))).await;
            })
            .await;
    }
    golden.compare();
}

#[tokio::test]
async fn faults_of_the_model() {
    let mut golden = Golden::new("model");
    let base = "LLM__BASE_URL";
    let check = "model.reach";
    golden.seeded(check, "link.name_not_found", async |p| p.set(base, "https://api.invalid/v1")).await;
    golden.seeded(check, "link.refused", async |p| p.set(base, format!("http://{}/v1", nobody()))).await;
    let authority = Authority::new();
    golden
        .seeded(check, "link.untrusted", async |p| {
            let url = authority.serve(Certificate::SelfSigned, address_of(&p.model.base_url())).await;
            p.set(base, format!("{url}/v1"));
        })
        .await;
    golden.seeded(check, "link.proxy_authentication", async |p| p.set("LLM__PROXY", refusing_proxy(407).await)).await;
    golden.seeded(check, "model.page", async |p| p.set(base, page().await + "/v1")).await;
    golden.seeded(check, "model.path_not_found", async |p| p.set(base, p.model.base_url().replace("/v1", "/v2"))).await;
    let error = |message: &str, code: &str| format!("{{\"error\":{{\"message\":\"{message}\",\"code\":\"{code}\"}}}}");
    for (status, body, id, cause) in [
        (401, error("Incorrect API key provided: sk-0123456789", "invalid_api_key"), "model.key", "model.key_refused"),
        (403, error("Country not supported", "unsupported_country"), "model.key", "model.forbidden"),
        (402, error("Insufficient Balance", ""), "model.answer", "model.quota_exhausted"),
        (429, error("You exceeded your quota", "insufficient_quota"), "model.answer", "model.quota_exhausted"),
        (429, error("Too many", "rate_limit_exceeded"), "model.answer", "model.rate_limited"),
        (404, error("The model `gpt-9` does not exist", "model_not_found"), "model.name", "model.model_not_found"),
        (400, error("Unsupported value: temperature", "unsupported_value"), "model.answer", "model.rejected"),
        (503, error("overloaded", ""), "model.answer", "model.upstream"),
    ] {
        golden.seeded(id, cause, async |p| p.model.push(ModelReply::status(status, body))).await;
    }
    golden
        .seeded("model.answer", "model.too_slow", async |p| {
            p.model.push(ModelReply::Hang);
            p.set("LLM__FIRST_DELTA_TIMEOUT_SECONDS", "1");
        })
        .await;
    golden.seeded("model.answer", "model.no_stream", async |p| p.model.push(ModelReply::Garbage)).await;
    golden.compare();
}

#[tokio::test]
async fn faults_of_the_transcription() {
    let mut golden = Golden::new("voice");
    let check = "voice.transcription";
    let hears = |p: &mut Patient| p.set("VOICE__TRANSCRIPTION_MODEL", "whisper-1");
    for (status, body, cause) in [
        (401, r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#, "voice.key_refused"),
        (
            404,
            r#"{"error":{"message":"The model 'whisper-1' does not exist","code":"model_not_found"}}"#,
            "voice.model_not_found",
        ),
        (404, r#"{"detail":"Not Found"}"#, "voice.path_not_found"),
        (
            429,
            r#"{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}"#,
            "voice.quota_exhausted",
        ),
        (429, r#"{"error":{"message":"slow down"}}"#, "voice.rate_limited"),
        (400, r#"{"error":{"message":"unsupported language"}}"#, "voice.rejected"),
        (500, r#"{"error":{"message":"out of memory"}}"#, "voice.upstream"),
        (200, "<html><body>Welcome</body></html>", "voice.page"),
        (200, "{}", "voice.no_transcript"),
    ] {
        golden
            .seeded(check, cause, async |p| {
                hears(p);
                p.model.push_transcript(Transcript::Status(status, body.to_owned()));
            })
            .await;
    }
    golden
        .seeded(check, "voice.too_slow", async |p| {
            hears(p);
            p.set("VOICE__TIMEOUT_SECONDS", "1");
            p.model.push_transcript(Transcript::Hang);
        })
        .await;
    golden
        .seeded(check, "link.refused", async |p| {
            hears(p);
            p.set("VOICE__TRANSCRIPTION_URL", format!("http://{}/v1", nobody()));
        })
        .await;
    golden.compare();
}

#[tokio::test]
async fn a_transcription_that_works_is_told_so_and_one_that_is_not_set_is_not_asked() {
    let mut patient = Patient::healthy().await;
    let of_voice =
        |findings: Vec<serde_json::Value>| findings.into_iter().find(|one| one["id"] == "voice.transcription");
    assert_eq!(of_voice(patient.findings().await), None);
    patient.set("VOICE__TRANSCRIPTION_MODEL", "whisper-1");
    let finding = of_voice(patient.findings().await).unwrap();
    assert_eq!(finding["status"], "ok");
    assert!(finding["found"].as_str().unwrap().starts_with("whisper-1，"), "{finding}");
    // A WAV of a second in 16 bits at 16 kHz, with its form.
    assert!((32_000..34_000).contains(&patient.model.heard()[0]), "{:?}", patient.model.heard());
}

#[tokio::test]
async fn operators_who_would_hear_of_nothing() {
    let mut golden = Golden::new("operators");
    golden
        .seeded("alerts.operators", "wecom.no_recipient", async |p| {
            p.set("ALERTS__OPERATORS", "zhangsan|boss");
            p.wecom.trouble(|trouble| trouble.unknown_member("boss", true));
        })
        .await;
    golden.compare();

    let mut patient = Patient::healthy().await;
    patient.set("ALERTS__OPERATORS", "zhangsan|boss");
    let findings = patient.findings().await;
    let finding = findings.iter().find(|one| one["id"] == "alerts.operators").unwrap();
    assert_eq!((finding["status"].as_str(), finding["found"].as_str()), (Some("ok"), Some("zhangsan、boss")));
}
