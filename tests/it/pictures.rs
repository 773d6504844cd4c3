//! Pictures: fetched once, shown to a model that sees, known to the conversation; and an honest sentence where nothing
//! can be seen.

use std::{fs, io::Cursor, time::Duration};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use qimate::{config::Config, sandbox::model::ModelReply};

use crate::{
    company::Company,
    harness::{App, within, within_seconds},
};

const MEMBER: &str = "zhangsan";

/// A picture with a red left half and a blue right one.
fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let halves =
        RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([220, 30, 30]) } else { Rgb([30, 30, 220]) });
    let mut file = Vec::new();
    DynamicImage::ImageRgb8(halves).write_to(&mut Cursor::new(&mut file), format).unwrap();
    file
}

fn sees(config: &mut Config) {
    config.llm.vision = Some(true);
}

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

async fn show(app: &App, file: Option<Vec<u8>>) {
    let receipt = within(app.wecom.show(MEMBER, file)).await;
    assert!(receipt.accepted(), "{receipt:?}");
}

/// Waits until the turn that runs has so many pictures.
async fn has_pictures(app: &App, count: i64) {
    let sql = "SELECT COALESCE(SUM((LENGTH(pictures) + 1) / 65), 0) FROM turn WHERE state = 'running'";
    within(async {
        while app.count(sql) < count {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
}

/// The pictures of the last request, decoded.
fn last_seen(app: &App) -> Vec<RgbImage> {
    let request = app.model.requests().pop().unwrap();
    request.pictures("user").iter().map(|file| image::load_from_memory(file).unwrap().to_rgb8()).collect()
}

#[tokio::test]
async fn a_picture_and_its_question_are_one_turn_and_the_conversation_knows_it() {
    let app = App::start_with(sees).await;
    app.model.push(answer("左红右蓝。"));
    show(&app, Some(picture(3000, 1500, ImageFormat::Jpeg))).await;
    has_pictures(&app, 1).await;
    assert!(app.model.requests().is_empty(), "it waits for its question");
    app.say(MEMBER, "图里是什么？").await;
    assert_eq!(app.texts(MEMBER, 1).await, ["左红右蓝。"]);
    app.settled().await;
    let [seen] = last_seen(&app).try_into().unwrap();
    assert_eq!(seen.dimensions(), (1568, 784));
    assert!(seen.get_pixel(100, 100).0[0] > 150 && seen.get_pixel(1500, 100).0[2] > 150, "red and blue");
    assert_eq!(app.model.requests()[0].contents("user"), ["图里是什么？"]);
    assert_eq!(app.count("SELECT COUNT(*) FROM turn"), 1);
    assert_eq!(app.count("SELECT COUNT(*) FROM inbox WHERE state = 'done'"), 2);

    app.model.push(answer("红色。"));
    app.say(MEMBER, "左边是什么颜色？").await;
    app.texts(MEMBER, 2).await;
    app.settled().await;
    assert_eq!(last_seen(&app).len(), 1, "shown again");
    let last = app.model.requests().pop().unwrap();
    assert_eq!(last.contents("user"), ["图里是什么？", "左边是什么颜色？"]);
    assert!(last.body["messages"][1]["content"].is_array(), "with the question that it came with");
    assert_eq!(app.wecom.media_asked(), 1);
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE question LIKE '%base64%' OR LENGTH(pictures) > 64"), 0);

    // What is gone is named, not guessed.
    fs::remove_dir_all(app.dir.path().join("media")).unwrap();
    app.model.push(answer("看不到了。"));
    app.say(MEMBER, "右边呢？").await;
    app.texts(MEMBER, 3).await;
    app.settled().await;
    let last = app.model.requests().pop().unwrap();
    assert!(last.pictures("user").is_empty() && last.contents("user")[0].contains("现在看不到了"));
}

#[tokio::test]
async fn a_question_may_come_first_and_pictures_may_be_two() {
    let app = App::start_with(sees).await;
    app.model.push(ModelReply::Hang);
    app.model.push(answer("一样大。"));
    app.say(MEMBER, "哪张大？").await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.model.set_script(|_| ModelReply::Hang);
    show(&app, Some(picture(64, 32, ImageFormat::Png))).await;
    assert_eq!(app.texts(MEMBER, 1).await, ["一样大。"]);
    app.settled().await;
    assert_eq!(last_seen(&app)[0].dimensions(), (64, 32));
    assert_eq!(app.model.requests().len(), 2, "asked again with the picture");

    app.clock.advance(Duration::from_secs(60));
    app.model.set_script(|_| answer("第二张大。"));
    show(&app, Some(picture(20, 10, ImageFormat::Png))).await;
    show(&app, Some(picture(40, 10, ImageFormat::Png))).await;
    has_pictures(&app, 2).await;
    app.say(MEMBER, "这两张呢？").await;
    assert_eq!(app.texts(MEMBER, 2).await[1], "第二张大。");
    app.settled().await;
    let widths: Vec<u32> = last_seen(&app).iter().map(RgbImage::width).collect();
    assert_eq!(widths, [64, 20, 40], "the one of before, and these in their order");
    assert_eq!(app.count("SELECT COUNT(*) FROM turn"), 2);
}

#[tokio::test]
async fn a_picture_without_a_word_is_described_when_its_time_is_over() {
    let app = App::start_with(sees).await;
    app.model.push(answer("左红右蓝，要我做什么？"));
    show(&app, Some(picture(40, 10, ImageFormat::Gif))).await;
    has_pictures(&app, 1).await;
    app.advance_to_sleeper(5.9..=6.0).await;
    assert_eq!(app.texts(MEMBER, 1).await, ["左红右蓝，要我做什么？"]);
    app.settled().await;
    let request = app.model.requests().pop().unwrap();
    assert!(request.contents("user")[0].contains("没有附文字"));
    assert_eq!(request.pictures("user").len(), 1);
}

#[tokio::test]
async fn what_cannot_be_seen_gets_a_sentence_that_says_why() {
    let app = App::start_with(|config| {
        sees(config);
        config.pictures.max_bytes = 1 << 20;
    })
    .await;
    let broken = picture(400, 300, ImageFormat::Png)[..300].to_vec();
    let stories = [
        (None, "已经过期"),
        (Some(b"%PDF-1.7".to_vec()), "打不开"),
        (Some(broken), "打不开"),
        (Some(vec![0; 2 << 20]), "太大"),
    ];
    for (count, (file, told)) in (1..).zip(stories) {
        show(&app, file).await;
        let texts = app.texts(MEMBER, count).await;
        assert!(texts[count - 1].contains(told) && texts[count - 1].contains("编号"), "{texts:?}");
        app.settled().await;
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'failed'"), 4);
    assert!(app.model.requests().is_empty());

    // The model takes none, although it was thought to.
    app.model.push(ModelReply::status(400, r#"{"error":{"message":"unknown variant `image_url`, expected `text`"}}"#));
    show(&app, Some(picture(40, 10, ImageFormat::Png))).await;
    has_pictures(&app, 1).await;
    app.say(MEMBER, "这是什么？").await;
    assert!(app.texts(MEMBER, 5).await[4].contains("看不了图片"));
    app.settled().await;

    // It is known to see nothing: nothing is fetched.
    let app = App::start().await;
    show(&app, Some(picture(40, 10, ImageFormat::Png))).await;
    assert_eq!(app.texts(MEMBER, 1).await, ["现在用的模型看不了图片。请用文字告诉我图里的内容，我马上回答。"]);
    app.settled().await;
    assert_eq!(app.wecom.media_asked(), 0);
}

#[tokio::test]
async fn a_file_above_twenty_megabytes_is_fetched_in_pieces() {
    let app = App::start_with(|config| {
        sees(config);
        config.pictures.max_bytes = 40 << 20;
    })
    .await;
    app.model.push(answer("收到。"));
    // What stands behind the end of a JPEG is nobody's.
    let mut large = picture(40, 10, ImageFormat::Jpeg);
    large.resize(25 << 20, 0);
    show(&app, Some(large)).await;
    has_pictures(&app, 1).await;
    app.say(MEMBER, "看看").await;
    assert_eq!(app.texts(MEMBER, 1).await, ["收到。"]);
    app.settled().await;
    assert_eq!(app.wecom.media_asked(), 2);
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_download_and_after_it_costs_nothing_but_the_wait() {
    let mut app = App::start_with(sees).await;
    app.wecom.stall_media();
    show(&app, Some(picture(400, 100, ImageFormat::Jpeg))).await;
    within(async {
        while app.wecom.media_asked() == 0 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    app.drop_everything().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM turn"), 0);
    app.launch().await;
    has_pictures(&app, 1).await;
    assert_eq!(app.wecom.media_asked(), 2, "the half was thrown away");
    let half = fs::read_dir(app.dir.path().join("media/unfinished")).unwrap().count();
    assert_eq!(half, 0, "and is nowhere");

    app.drop_everything().await;
    app.model.push(answer("左红右蓝。"));
    app.launch().await;
    app.say(MEMBER, "图里是什么？").await;
    assert_eq!(app.texts(MEMBER, 1).await, ["左红右蓝。"]);
    app.settled().await;
    assert_eq!(app.wecom.media_asked(), 2, "not fetched again");
    assert_eq!(last_seen(&app).len(), 1);
    assert_eq!(app.count("SELECT COUNT(*) FROM turn"), 1);

    // Where it is gone when it should be shown, that is said.
    show(&app, Some(picture(30, 10, ImageFormat::Jpeg))).await;
    has_pictures(&app, 1).await;
    app.drop_everything().await;
    fs::remove_dir_all(app.dir.path().join("media")).unwrap();
    app.launch().await;
    app.say(MEMBER, "这张呢？").await;
    assert!(app.texts(MEMBER, 2).await[1].contains("已经不在了"));
    app.settled().await;
}

#[tokio::test]
async fn stop_stops_while_a_picture_is_fetched() {
    let app = App::start_with(sees).await;
    app.wecom.stall_media();
    show(&app, Some(picture(400, 100, ImageFormat::Jpeg))).await;
    within(async {
        while app.wecom.media_asked() == 0 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    app.say(MEMBER, "/stop").await;
    assert_eq!(app.texts(MEMBER, 1).await, ["好的，已停止。"]);
    app.settled().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'stopped'"), 1);
}

/// What the process holds of the machine's memory.
#[cfg(target_os = "linux")]
fn resident_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Two hundred members send five megabytes each at once; some of the pictures are what a camera of twelve megapixels
/// makes. The process is the real one, and what is looked at is the most that it ever held.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_pictures_at_once_fit_into_two_hundred_megabytes() {
    const MEMBERS: usize = 200;
    // On a busy machine some wait long enough to be told that it takes a while; that is another story.
    let settings = [
        ("QIMATE_LLM__VISION", "true"),
        ("QIMATE_PICTURES__QUESTION_SECONDS", "0"),
        ("QIMATE_CHAT__SLOW_NOTICE_SECONDS", "0"),
    ];
    let mut company = Company::open(&settings).await;
    company.model.set_script(|_| answer("收到。"));
    company.start().await;
    let padded = |mut file: Vec<u8>| {
        file.resize(5 * 1024 * 1024, 0);
        file
    };
    let camera = padded(picture(4000, 3000, ImageFormat::Jpeg));
    let small = padded(picture(320, 240, ImageFormat::Jpeg));
    let mut showing = tokio::task::JoinSet::new();
    for n in 0..MEMBERS {
        let (wecom, file) = (company.wecom.clone(), if n % 50 == 0 { camera.clone() } else { small.clone() });
        showing.spawn(async move { wecom.show(&format!("member{n}"), Some(file)).await.accepted() });
    }
    assert!(within_seconds(120, showing.join_all()).await.into_iter().all(|accepted| accepted));
    within_seconds(300, company.wecom.wait_delivered(|all| all.len() >= MEMBERS)).await;
    let most = resident_mib(company.pid());
    println!("memory: at most {most} MiB with {MEMBERS} pictures of 5 MiB at once");
    assert!(most < 200, "{most} MiB");
    assert!(company.wecom.delivered().iter().all(|one| one.content.starts_with("收到。")));
    assert_eq!(company.model.requests().len(), MEMBERS);
}
