//! The real process is killed at random instants while pictures are fetched and looked at, voices heard, pictures drawn
//! and files uploaded, and in the middle of calls of tools: everybody is answered, and nothing is shown or called twice.

use std::{io::Cursor, time::Duration};

use image::{DynamicImage, ImageFormat, RgbImage};
use qimate::{media::voice::Recording, sandbox::model::ModelReply};
use serde_json::{Value, json};

use crate::{
    company::Company,
    harness::within,
    tools::{
        calls,
        server::{FakeMcp, Manner},
    },
};

/// So often the process is killed, each time a little later in the work.
const ROUNDS: u64 = 12;
const STEP: Duration = Duration::from_millis(25);

fn picture(round: u64) -> Vec<u8> {
    let shade = u8::try_from(round).unwrap() * 20;
    let mut file = Vec::new();
    let plain = RgbImage::from_pixel(1200, 900, image::Rgb([shade, 80, 160]));
    DynamicImage::ImageRgb8(plain).write_to(&mut Cursor::new(&mut file), ImageFormat::Jpeg).unwrap();
    file
}

fn voice() -> Vec<u8> {
    let tone = |n: u32| ((f64::from(n) / 8000.0 * 440.0 * std::f64::consts::TAU).sin() * 8000.0) as i16;
    Recording { sample_rate: 8000, samples: (0..8000).map(tone).collect() }.to_amr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_media_loses_nothing_and_shows_nothing_twice() {
    let mut company = Company::open(&[
        ("QIMATE_LLM__VISION", "true"),
        ("QIMATE_PICTURES__QUESTION_SECONDS", "0"),
        ("QIMATE_VOICE__TRANSCRIPTION_MODEL", "whisper-1"),
        ("QIMATE_IMAGES__MODEL", "painter"),
        ("QIMATE_CHAT__SLOW_NOTICE_SECONDS", "0"),
        ("QIMATE_MENU__ENABLED", "false"),
    ])
    .await;
    let code: String = (0..60).map(|line| format!("print({line})\n")).collect();
    company.model.set_script(move |body| {
        let asked = body["messages"].to_string();
        ModelReply::Answer(match asked.contains("写代码") {
            true => format!("代码如下：\n\n```python\n{code}```"),
            false => "看到了。".to_owned(),
        })
    });
    company.start().await;
    for round in 0..ROUNDS {
        let (wecom, member) = (company.wecom.clone(), |kind: &str| format!("{kind}{round}"));
        assert!(wecom.show(&member("p"), Some(picture(round))).await.accepted());
        assert!(wecom.speak(&member("v"), Some(voice())).await.accepted());
        assert!(wecom.say(&member("d"), "画一只猫").await.accepted());
        assert!(wecom.say(&member("f"), "写代码").await.accepted());
        tokio::time::sleep(STEP * u32::try_from(round).unwrap()).await;
        company.kill().await;
        company.start().await;
    }
    company.until("SELECT COUNT(*) FROM inbox WHERE state = 'open'", 0).await;
    company.until("SELECT COUNT(*) FROM outbox WHERE state <> 'sent'", 0).await;
    for round in 0..ROUNDS {
        let got = |kind: &str| -> Vec<String> {
            let messages = company.wecom.messages_for(&format!("{kind}{round}"));
            messages.into_iter().map(|one| one.msgtype).collect()
        };
        assert_eq!(got("p"), ["text"], "round {round}");
        assert_eq!(got("v"), ["text", "text"], "what was understood, and the answer: round {round}");
        assert_eq!(got("d"), ["image"], "round {round}");
        assert_eq!(got("f").iter().filter(|kind| *kind == "file").count(), 1, "round {round}: {:?}", got("f"));
    }
}

const DONE: &str = "登记好了。";
const UNKNOWN: &str = "刚才重启过，不知道登记成了没有，请您看一下再决定。";

/// Who is asked for nothing but a call makes one, and then says what came of it.
fn caller(body: &Value) -> ModelReply {
    let asked = body["messages"].as_array().unwrap();
    let Some(result) = asked.iter().rfind(|message| message["role"] == "tool") else {
        let wish = asked.last().unwrap()["content"].as_str().unwrap();
        let (tool, round) = wish.split_once(' ').unwrap();
        return calls("", &[(tool, &json!({"name": round}).to_string())]);
    };
    let result = result["content"].as_str().unwrap();
    let answer = if result.contains("Whether it was carried out is not known") { UNKNOWN } else { DONE };
    ModelReply::Answer(answer.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_call_answers_everybody_once_and_repeats_only_what_changes_nothing() {
    let crm = FakeMcp::start().await;
    let mut company = Company::open(&[
        ("QIMATE_CHAT__SLOW_NOTICE_SECONDS", "0"),
        ("QIMATE_CHAT__SYSTEM_PROMPT", ""),
        ("QIMATE_MENU__ENABLED", "false"),
    ])
    .await;
    let tools = format!(
        "[[tools.mcp]]\nname = \"crm\"\nurl = \"http://{}/mcp\"\nallow = [\"find_customer\", \"look\"]\n",
        crm.address
    );
    std::fs::write(company.dir.path().join("tools.toml"), tools).unwrap();
    company.model.set_script(caller);
    let answers = Manner::After(Duration::from_millis(100), "张三，已登记");
    company.start_by(company.command(&["serve", "--config", "tools.toml"])).await;
    // `find_customer` may change something, `look` says that it only reads.
    let tools = [("w", "crm_find_customer", "🔧 正在查询：crm 查客户…"), ("r", "crm_look", "🔧 正在查询：crm look…")];
    for round in 0..ROUNDS {
        // Every other time it is certain that both calls are under way.
        let caught = round % 2 == 0;
        crm.set_manner(if caught { Manner::Hangs } else { answers.clone() });
        for (member, tool, _) in tools {
            let accepted = company.wecom.say(&format!("{member}{round}"), &format!("{tool} {member}{round}")).await;
            assert!(accepted.accepted());
        }
        match caught {
            true => {
                for (member, ..) in tools {
                    within(crm.wait_call(&json!({"name": format!("{member}{round}")}))).await;
                }
            }
            false => tokio::time::sleep(STEP * u32::try_from(round).unwrap()).await,
        }
        company.kill().await;
        crm.set_manner(answers.clone());
        company.start_by(company.command(&["serve", "--config", "tools.toml"])).await;
    }
    company.until("SELECT COUNT(*) FROM inbox WHERE state = 'open'", 0).await;
    company.until("SELECT COUNT(*) FROM outbox WHERE state <> 'sent'", 0).await;
    let made = crm.calls();
    for round in 0..ROUNDS {
        for (member, _, line) in tools {
            let name = format!("{member}{round}");
            let said: Vec<_> = company.wecom.messages_for(&name).into_iter().map(|one| one.content).collect();
            let times = made.iter().filter(|(_, with)| *with == json!({"name": name})).count();
            let answer = match (member, round % 2) {
                ("w", 0) => UNKNOWN,
                ("w", _) if times == 0 || said.contains(&UNKNOWN.to_owned()) => UNKNOWN,
                _ => DONE,
            };
            assert_eq!(said, [line, answer], "{name}, called {times} times");
            assert!(member == "r" || times <= 1, "{name}: called {times} times");
        }
    }
}
