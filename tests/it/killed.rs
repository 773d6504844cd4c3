//! The real process is killed at random instants while pictures are fetched and looked at, voices heard, pictures drawn
//! and files uploaded: everybody is answered, and nothing is shown twice.

use std::{io::Cursor, time::Duration};

use image::{DynamicImage, ImageFormat, RgbImage};
use qimate::{media::voice::Recording, sandbox::model::ModelReply};

use crate::company::Company;

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
