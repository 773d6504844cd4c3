//! What is not kept: texts go when they are answered and delivered, and nothing is lost before.

use std::{io::Cursor, path::PathBuf, time::Duration};

use image::{DynamicImage, ImageFormat, RgbImage};

use qimate::{
    clock::Clock,
    media::voice::Recording,
    sandbox::model::{ModelReply, Transcript},
};

use crate::{company::Company, disk, harness::within_seconds};

const OWED: &str = "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'open')
                         + (SELECT COUNT(*) FROM outbox WHERE state = 'waiting')";
/// Everything that was said is recognisable.
const SECRET: &str = "秘密";

/// The files of the data directory that hold what was said.
fn holding(company: &Company) -> Vec<PathBuf> {
    disk::holding(company.dir.path(), SECRET)
}

/// Waits until what was said is nowhere on the disk.
async fn is_gone(company: &Company) {
    let gone = async {
        while !holding(company).is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(30), gone).await.is_err() {
        panic!("{:?}", holding(company));
    }
}

async fn company(privacy: &str) -> Company {
    let mut company = Company::open(&[("QIMATE_CHAT__PRIVACY", privacy)]).await;
    company.model.set_script(|body| {
        let messages = body["messages"].as_array().unwrap();
        let question = messages.last().unwrap()["content"].as_str().unwrap();
        if question.contains("代码") {
            return ModelReply::Answer(format!("```rust\n{}```\n", "// 秘密代码的一行\n".repeat(80)));
        }
        ModelReply::Answer(format!("秘密答案：{question}"))
    });
    company.start().await;
    company
}

async fn say(company: &Company, member: &str, text: &str) -> String {
    assert!(company.wecom.say(member, text).await.accepted());
    company.until(OWED, 0).await;
    company.wecom.messages_for(member).last().unwrap().content.clone()
}

fn count(company: &Company, sql: &str) -> i64 {
    company.database().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn asked(company: &Company) -> String {
    company.model.requests().last().unwrap().body.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_gone_once_they_are_delivered_and_figures_stay() {
    let company = company("metadata").await;
    for n in 0..6 {
        let answer = say(&company, "li", &format!("秘密问题{n}")).await;
        assert!(answer.contains(&format!("秘密答案：秘密问题{n}")), "{answer}");
        if n == 0 {
            // Emptying the log is no change by a command, after which nothing would be known any more.
            is_gone(&company).await;
        }
    }
    assert!(asked(&company).contains("秘密问题0"), "the running conversation is known from memory");
    say(&company, "wang", "给我一段秘密代码").await;
    assert!(company.wecom.messages_for("wang").iter().any(|message| message.msgtype == "file"));
    is_gone(&company).await;
    assert_eq!(count(&company, "SELECT COUNT(*) FROM media"), 0, "files go too");
    assert_eq!(count(&company, "SELECT COUNT(*) FROM turn WHERE output_tokens > 0"), 7);
    assert_eq!(count(&company, "SELECT COUNT(*) FROM outbox WHERE state <> 'sent'"), 0);
    for command in ["/history", "/export", "/retry", "/remember 秘密爱好"] {
        assert!(say(&company, "li", command).await.contains("不保存聊天内容"), "{command}");
    }
    assert!(say(&company, "li", "/help").await.contains("不保存聊天内容"));
    assert!(say(&company, "li", "/usage").await.contains("6 个问题"));
    is_gone(&company).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_delivered_survives_a_crash_and_goes_then() {
    let mut company = company("metadata").await;
    company.wecom.trouble(|trouble| trouble.fail_sends(Some(-1)));
    assert!(company.wecom.say("li", "秘密问题").await.accepted());
    company.until("SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND attempts > 0", 1).await;
    assert!(!holding(&company).is_empty());
    company.kill().await;
    company.wecom.trouble(|trouble| trouble.clear());
    company.start().await;
    company.until(OWED, 0).await;
    assert!(company.wecom.messages_for("li").last().unwrap().content.contains("秘密答案：秘密问题"));
    is_gone(&company).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_kept_there_is_no_row_of_it_and_each_is_answered_once() {
    let company = company("nothing").await;
    let (id, at) = (4_000_000_001, Clock::System.now());
    assert!(company.wecom.say_with("li", "秘密问题，送了两次", id, at).await.accepted());
    company.until(OWED, 0).await;
    let (shown, requests) = (company.wecom.messages_for("li").len(), company.model.requests().len());
    assert!(company.wecom.say_with("li", "秘密问题，送了两次", id, at).await.accepted());
    company.until(OWED, 0).await;
    assert_eq!((company.wecom.messages_for("li").len(), company.model.requests().len()), (shown, requests));
    say(&company, "li", "秘密之二").await;
    assert!(!asked(&company).contains("送了两次"), "each for itself: {}", asked(&company));
    is_gone(&company).await;
    for table in ["turn", "conversation", "media", "step", "summary"] {
        assert_eq!(count(&company, &format!("SELECT COUNT(*) FROM {table}")), 0, "{table}");
    }
    assert_eq!(count(&company, "SELECT COUNT(*) FROM inbox WHERE lane <> '' OR event <> ''"), 0);
    assert!(say(&company, "li", "/help").await.contains("不记得前面说过的"));
    // What was used is counted all the same.
    within_seconds(20, async {
        loop {
            let output = company.run(&["usage", "--json"]).await;
            let usage: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            if usage["total"]["calls"] == 2 {
                return;
            }
        }
    })
    .await;
}

/// A picture whose bytes stand in the file as they are.
fn picture() -> Vec<u8> {
    let mut file = Vec::new();
    let plain = RgbImage::from_pixel(64, 64, image::Rgb([200, 80, 160]));
    DynamicImage::ImageRgb8(plain).write_to(&mut Cursor::new(&mut file), ImageFormat::Png).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_what_was_spoken_go_as_well() {
    for privacy in ["metadata", "nothing"] {
        let mut company = Company::open(&[
            ("QIMATE_CHAT__PRIVACY", privacy),
            ("QIMATE_LLM__VISION", "true"),
            ("QIMATE_PICTURES__QUESTION_SECONDS", "0"),
            ("QIMATE_VOICE__TRANSCRIPTION_MODEL", "whisper-1"),
        ])
        .await;
        company.model.set_script(|_| ModelReply::Answer("秘密答案".to_owned()));
        company.model.push_transcript(Transcript::Text("秘密的话".to_owned()));
        company.start().await;
        let tone = |n: u32| ((f64::from(n) / 8000.0 * 440.0 * std::f64::consts::TAU).sin() * 8000.0) as i16;
        let voice = Recording { sample_rate: 8000, samples: (0..8000).map(tone).collect() }.to_amr().unwrap();
        assert!(company.wecom.speak("li", Some(voice)).await.accepted());
        assert!(company.wecom.show("wang", Some(picture())).await.accepted());
        company.until(OWED, 0).await;
        assert!(company.wecom.messages_for("li").iter().any(|message| message.content.contains("秘密的话")));
        let asked = company.model.requests();
        assert!(asked.iter().any(|request| !request.pictures("user").is_empty()), "{privacy}");
        is_gone(&company).await;
        for table in ["media", "media_use", "upload"] {
            assert_eq!(count(&company, &format!("SELECT COUNT(*) FROM {table}")), 0, "{privacy}: {table}");
        }
        let shelf = company.dir.path().join("data/media");
        within_seconds(30, async {
            while !disk::files(&shelf).is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_before_goes_when_no_texts_are_kept_any_more() {
    for privacy in ["metadata", "nothing"] {
        let mut company = company("full").await;
        say(&company, "li", "秘密问题").await;
        say(&company, "li", "/remember 秘密爱好").await;
        say(&company, "li", "给我一段秘密代码").await;
        assert!(say(&company, "li", "/history").await.contains("秘密问题"));
        assert!(!holding(&company).is_empty());
        assert!(company.terminate().await.success());
        company.set("QIMATE_CHAT__PRIVACY", privacy);
        company.start().await;
        is_gone(&company).await;
        assert_eq!(count(&company, "SELECT COUNT(*) FROM fact"), 0, "{privacy}");
        assert!(company.has_logged("texts of before"), "{privacy}");
    }
}
