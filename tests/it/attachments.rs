//! What goes out beside plain text: files uploaded once and sent once, whatever breaks; and answers in the form that a
//! member's client shows.

use std::{fs, time::Duration};

use qimate::{
    media::voice::Recording,
    model::media::MediaId,
    sandbox::{
        emulator::Delivered,
        model::{Gate, ModelReply},
        trouble::Breakage,
    },
};
use rusqlite::params;

use crate::harness::{App, within};

const HOUR: Duration = Duration::from_secs(3600);

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

/// Code of forty lines: more than a bubble shows.
fn code() -> String {
    (0..40).map(|n| format!("print({n})\n")).collect()
}

fn with_code() -> String {
    format!("## 读取配置\n\n代码如下，可以直接运行：\n\n```python\n{}```\n\n运行前请先安装依赖。", code())
}

/// What `member` was shown: words as they are, of anything else its kind.
fn shown(app: &App, member: &str) -> Vec<String> {
    let show = |one: Delivered| match one.msgtype.as_str() {
        "text" | "markdown" => one.content.trim_end_matches(['\u{200B}', '\u{200C}']).to_owned(),
        kind => format!("<{kind}>"),
    };
    app.wecom.messages_for(member).into_iter().map(show).collect()
}

/// Name and content of each file that `member` was shown.
fn files(app: &App, member: &str) -> Vec<(String, Vec<u8>)> {
    let messages = app.wecom.messages_for(member).into_iter().filter(|one| one.msgtype == "file");
    messages
        .map(|one| {
            let file = app.wecom.uploaded(&one.content).expect("uploaded");
            (file.name, file.bytes.to_vec())
        })
        .collect()
}

/// Waits until `member` was shown so many messages of the kind.
async fn of_kind(app: &App, member: &str, kind: &str, count: usize) {
    let is_it = |one: &&Delivered| one.member == member && one.msgtype == kind;
    within(app.wecom.wait_delivered(|all| all.iter().filter(is_it).count() >= count)).await;
}

/// Puts a part into the outbox of `zhangsan`, as whatever makes pictures and voice does, with its bytes unless they are
/// gone.
fn put(app: &App, kind: &str, name: &str, bytes: &[u8], is_kept: bool) {
    let media = MediaId::of(bytes).to_string();
    if is_kept {
        let dir = app.dir.path().join("media").join(&media[..2]);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(&media), bytes).unwrap();
    }
    let content = serde_json::json!({"media": media, "name": name}).to_string();
    let settings = app.wecom.settings();
    let (corp, agent) = (settings.corp_id.as_str(), settings.agent_id.get() as i64);
    let lane = format!("{corp}/{agent}/zhangsan");
    let mut conn = app.database();
    let tx = conn.transaction().unwrap();
    let now = 1_790_000_000_000_i64;
    tx.execute(
        "INSERT INTO media (hash, media_type, bytes, created_at) VALUES (?1, 'x', ?2, ?3)",
        params![media, bytes.len(), now],
    )
    .unwrap();
    tx.execute("INSERT INTO media_use (hash, lane, at) VALUES (?1, ?2, ?3)", params![media, lane, now]).unwrap();
    tx.execute(
        "INSERT INTO outbox (lane, cause, part, corp, agent, member, format, content, state, created_at)
         VALUES (?1, (SELECT COALESCE(MAX(cause), 900) + 1 FROM outbox), 0, ?2, ?3, 'zhangsan', ?4, ?5, 'waiting', ?6)",
        params![lane, corp, agent, kind, content, now],
    )
    .unwrap();
    tx.execute("INSERT INTO outbox_lane (lane, ready_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING", params![lane, now])
        .unwrap();
    tx.commit().unwrap();
}

/// Waits until the answer is written to its end: what a crash then finds is only what is to be sent.
async fn written(app: &App) {
    within(async {
        while app.count("SELECT COUNT(*) FROM inbox WHERE state = 'open'") > 0 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
}

/// Lets the daemon see what another process wrote: it looks every second.
async fn noticed(app: &App) {
    while app.count("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'") > 0 {
        app.clock.advance(Duration::from_millis(250));
        tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
    }
}

#[tokio::test]
async fn long_code_comes_as_a_file_between_the_words_and_the_model_remembers_it_as_it_was() {
    let app = App::start().await;
    app.model.push(answer(&with_code()));
    app.say("zhangsan", "写段代码").await;
    of_kind(&app, "zhangsan", "text", 3).await;
    app.settled().await;
    let sentence = "📎 代码共 40 行，放在文件里：读取配置.py";
    assert_eq!(
        shown(&app, "zhangsan"),
        ["【读取配置】\n代码如下，可以直接运行：", sentence, "<file>", "运行前请先安装依赖。"]
    );
    assert_eq!(files(&app, "zhangsan"), [("读取配置.py".to_owned(), code().into_bytes())]);
    assert_eq!(app.wecom.counters().uploads, 1);

    app.model.push(answer("好"));
    app.say("zhangsan", "谢谢").await;
    of_kind(&app, "zhangsan", "text", 4).await;
    app.settled().await;
    assert_eq!(app.model.requests().pop().unwrap().contents("assistant"), [with_code()]);
}

#[tokio::test]
async fn code_that_is_still_being_written_does_not_leak_and_a_crash_repeats_nothing() {
    let mut app = App::start().await;
    let code = code();
    let (first, second) = code.split_at(200);
    let before = format!("先说一句完整的开场白在这里。\n\n```python\n{first}");
    app.model.push(ModelReply::Held { before, gate: Gate::new(), after: second.to_owned() });
    app.say("zhangsan", "写段代码").await;
    of_kind(&app, "zhangsan", "text", 1).await;
    assert_eq!(shown(&app, "zhangsan"), ["先说一句完整的开场白在这里。"], "half of a block is not said");
    app.drop_everything().await;

    let gate = Gate::new();
    let before = format!("```python\n{code}```\n\n最后还有一段没有写");
    app.model.push(ModelReply::Held { before, gate: gate.clone(), after: "完。".to_owned() });
    app.launch().await;
    of_kind(&app, "zhangsan", "file", 1).await;
    app.drop_everything().await;

    app.model.push(answer("最后还有一段。"));
    app.launch().await;
    of_kind(&app, "zhangsan", "text", 3).await;
    app.settled().await;
    let sentence = "📎 代码共 40 行，放在文件里：代码.py";
    assert_eq!(shown(&app, "zhangsan"), ["先说一句完整的开场白在这里。", sentence, "<file>", "最后还有一段。"]);
    assert_eq!(app.wecom.counters().uploads, 1);
    gate.open();
}

#[tokio::test]
async fn a_large_table_comes_as_a_spreadsheet() {
    let app = App::start().await;
    let rows: String = (1..=12).map(|n| format!("| 员工{n} | 研发中心平台组 | 高级工程师 | =1+{n} |\n")).collect();
    app.model.push(answer(&format!(
        "**花名册**如下：\n\n| 姓名 | 部门 | 职位 | 备注 |\n|---|---|---|---|\n{rows}\n共 12 人。"
    )));
    app.say("zhangsan", "列个表").await;
    of_kind(&app, "zhangsan", "text", 2).await;
    app.settled().await;
    let [(name, content)] = files(&app, "zhangsan").try_into().unwrap();
    assert_eq!(name, "表格.csv");
    let content = String::from_utf8(content).unwrap();
    assert!(
        content.starts_with("\u{FEFF}姓名,部门,职位,备注\r\n员工1,研发中心平台组,高级工程师,'=1+1\r\n"),
        "{content}"
    );
    assert_eq!(content.lines().count(), 13);
    assert_eq!(shown(&app, "zhangsan")[2], "共 12 人。");
}

#[tokio::test]
async fn a_very_long_answer_ends_in_a_file_with_all_of_it() {
    let app = App::start_with(|config| config.chat.file_messages = 3).await;
    let paragraph = |n: usize| format!("第{n}段。{}", "这里写得很长很长。".repeat(60));
    let whole = format!("# 年度总结\n\n{}", (1..=12).map(paragraph).collect::<Vec<_>>().join("\n\n"));
    app.model.push(answer(&whole));
    app.say("zhangsan", "写总结").await;
    of_kind(&app, "zhangsan", "file", 1).await;
    app.settled().await;
    let messages = shown(&app, "zhangsan");
    assert_eq!(messages.len(), 5, "{messages:?}");
    assert!(messages[0].contains("第1段") && messages[3].contains("年度总结.md"), "{messages:?}");
    assert_eq!(files(&app, "zhangsan"), [("年度总结.md".to_owned(), whole.clone().into_bytes())]);

    app.model.push(answer("好"));
    app.say("zhangsan", "谢谢").await;
    of_kind(&app, "zhangsan", "text", 5).await;
    app.settled().await;
    assert_eq!(app.model.requests().pop().unwrap().contents("assistant"), [whole]);
}

#[tokio::test]
async fn nothing_becomes_a_file_where_that_is_switched_off() {
    let app = App::start_with(|config| (config.chat.file_lines, config.chat.file_messages) = (0, 0)).await;
    app.model.push(answer(&with_code()));
    app.say("zhangsan", "写段代码").await;
    of_kind(&app, "zhangsan", "text", 1).await;
    app.settled().await;
    assert_eq!(app.wecom.counters().uploads, 0);
    assert!(shown(&app, "zhangsan").concat().contains("print(39)"));
}

#[tokio::test]
async fn a_file_that_has_to_be_sent_again_is_not_uploaded_again() {
    let app = App::start().await;
    app.model.push(answer(&with_code()));
    app.wecom.trouble(|trouble| trouble.fail_next_file(-1));
    app.say("zhangsan", "写段代码").await;
    app.advance_to_sleeper(1.001..=2.5).await;
    of_kind(&app, "zhangsan", "text", 3).await;
    app.settled().await;
    assert_eq!(shown(&app, "zhangsan")[2..], ["<file>", "运行前请先安装依赖。"], "and the order holds");
    assert_eq!(app.wecom.counters().uploads, 1);
}

#[tokio::test]
async fn a_file_whose_answer_was_lost_is_shown_once_also_after_a_crash() {
    let mut app = App::start().await;
    app.model.push(answer(&with_code()));
    app.wecom.trouble(|trouble| trouble.lose_next_file_by(Breakage::Hang));
    app.say("zhangsan", "写段代码").await;
    of_kind(&app, "zhangsan", "file", 1).await;
    written(&app).await;
    app.drop_everything().await;
    app.launch().await;
    of_kind(&app, "zhangsan", "text", 3).await;
    app.settled().await;
    assert_eq!(shown(&app, "zhangsan")[2..], ["<file>", "运行前请先安装依赖。"]);
    let counters = app.wecom.counters();
    assert_eq!((counters.uploads, counters.duplicates), (1, 1), "the same upload was named");
}

#[tokio::test]
async fn a_crash_in_the_middle_of_an_upload_loses_nothing_and_sends_once() {
    let mut app = App::start().await;
    app.model.push(answer(&with_code()));
    app.wecom.trouble(|trouble| trouble.lose_next_upload_by(Breakage::Hang));
    app.say("zhangsan", "写段代码").await;
    of_kind(&app, "zhangsan", "text", 1).await;
    within(async {
        while app.wecom.counters().uploads == 0 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    written(&app).await;
    app.drop_everything().await;
    app.launch().await;
    of_kind(&app, "zhangsan", "text", 3).await;
    app.settled().await;
    assert_eq!(shown(&app, "zhangsan")[2..], ["<file>", "运行前请先安装依赖。"]);
    assert_eq!(app.wecom.counters().uploads, 2);
}

#[tokio::test]
async fn an_upload_that_breaks_is_done_again() {
    let app = App::start().await;
    app.model.push(answer(&with_code()));
    app.wecom.trouble(|trouble| {
        trouble.lose_next_upload_by(Breakage::Cut);
        trouble.fail_next_upload(42001);
    });
    app.say("zhangsan", "写段代码").await;
    app.advance_to_sleeper(1.001..=2.5).await;
    of_kind(&app, "zhangsan", "text", 3).await;
    app.settled().await;
    assert_eq!(files(&app, "zhangsan").len(), 1);
    assert_eq!(app.count("SELECT COUNT(*) FROM outbox WHERE unsure_since IS NOT NULL"), 0, "it did no harm");
}

#[tokio::test]
async fn a_file_that_is_refused_ends_in_an_honest_sentence_and_the_rest_is_said() {
    let app = App::start().await;
    app.model.push(answer(&with_code()));
    app.wecom.trouble(|trouble| trouble.fail_next_upload(40004));
    app.say("zhangsan", "写段代码").await;
    of_kind(&app, "zhangsan", "text", 4).await;
    app.settled().await;
    let messages = shown(&app, "zhangsan");
    assert_eq!(messages[2], "运行前请先安装依赖。");
    assert!(messages[3].starts_with("抱歉，这里本来有一个文件，但没能发给你。"), "{messages:?}");
    let dead = "SELECT COUNT(*) FROM outbox WHERE state = 'dead' AND format = 'file' AND reason LIKE '%40004%'";
    assert_eq!(app.count(dead), 1);
}

#[tokio::test]
async fn an_honest_repetition_is_shown_and_an_upload_is_used_again_until_it_is_too_old() {
    let app = App::start().await;
    app.model.set_script(|_| answer(&with_code()));
    let ask = async |times: usize| {
        app.say("zhangsan", "写段代码").await;
        of_kind(&app, "zhangsan", "file", times).await;
        app.settled().await;
        app.wecom.counters().uploads
    };
    assert_eq!(ask(1).await, 1);
    assert_eq!(ask(2).await, 2, "WeCom compares the id: another upload is another message");
    app.clock.advance(5 * HOUR);
    assert_eq!(ask(3).await, 2, "by now its duplicate check has forgotten the first");
    app.clock.advance(5 * HOUR);
    app.wecom.forget_uploads();
    assert_eq!(ask(4).await, 3, "40007: uploaded anew, at once");
    app.clock.advance(61 * HOUR);
    assert_eq!(ask(5).await, 4, "too old to be begun with");
    assert_eq!(app.count("SELECT COUNT(*) FROM outbox WHERE state = 'dead'"), 0);
}

#[tokio::test]
async fn pictures_and_voice_go_as_such_where_wecom_takes_them_and_else_as_files() {
    let app = App::start().await;
    let spoken = Recording { sample_rate: 8000, samples: vec![500; 8000] }.to_amr().unwrap();
    put(&app, "image", "图.png", b"\x89PNG\r\n\x1a\n and more", true);
    put(&app, "image", "动图.gif", b"GIF89a and more", true);
    put(&app, "voice", "回答.amr", &spoken, true);
    put(&app, "voice", "回答.mp3", b"ID3 and more", true);
    put(&app, "file", "空.txt", b"12345", true);
    put(&app, "image", "没了.png", b"\x89PNG gone", false);
    noticed(&app).await;
    let messages = shown(&app, "zhangsan");
    assert_eq!(messages[..4], ["<image>", "<file>", "<voice>", "<file>"]);
    assert_eq!(files(&app, "zhangsan")[0].0, "动图.gif");
    assert_eq!(messages.iter().filter(|text| text.starts_with("抱歉，这里本来有一个文件")).count(), 2);
    let dead = |words: &str| {
        app.count(&format!("SELECT COUNT(*) FROM outbox WHERE state = 'dead' AND reason LIKE '%{words}%'"))
    };
    assert_eq!((dead("not stored any more"), dead("this one has 5")), (1, 1));
}

#[tokio::test]
async fn answers_take_the_form_that_the_members_client_shows() {
    let app = App::start().await;
    app.model.set_script(|_| answer("# 标题\n\n**粗体**"));
    let mut number = 0;
    let mut place = async |app_type: &str| {
        number += 1;
        let xml = format!(
            "<xml><ToUserName>ww1436e0e65a779aee</ToUserName><FromUserName>zhangsan</FromUserName>\
             <CreateTime>1790000000</CreateTime><MsgType>location</MsgType><Location_X>1</Location_X>\
             <Location_Y>2</Location_Y><Scale>1</Scale><Label>家</Label>{app_type}<MsgId>{number}</MsgId>\
             <AgentID>1000002</AgentID></xml>"
        );
        assert!(app.wecom.raw("zhangsan", &xml).await.accepted());
        app.settled().await;
    };
    let ask = async || {
        app.say("zhangsan", "喂").await;
        app.settled().await;
        app.wecom.messages_for("zhangsan").pop().unwrap().msgtype
    };
    assert_eq!(ask().await, "text", "nothing is known");
    place("").await;
    assert_eq!(ask().await, "text", "nothing was said");
    place("<AppType><![CDATA[wxwork]]></AppType>").await;
    assert_eq!(ask().await, "markdown");
    place("<AppType><![CDATA[]]></AppType>").await;
    assert_eq!(ask().await, "text", "the WeChat plugin");
}
