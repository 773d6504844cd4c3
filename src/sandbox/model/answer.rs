//! What the demo model says: a fixed text about the question, in the question's language.
//!
//! The same messages always give the same answer. That is what makes a continuation possible: asked to go on after a
//! part of its answer, it knows the whole and writes the rest.

use std::{fmt::Write, io::Cursor, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use image::ImageReader;
use serde_json::Value;

use super::samples;

/// What a request to go on with an interrupted answer says, in some words or others.
const GO_ON: [&str; 8] = ["continue", "继续", "接着", "go on", "carry on", "pick up", "interrupted", "中断"];
/// Words that stand in the last paragraph of every answer, and nowhere before.
pub const ENDINGS: [&str; 4] = ["看看消息会不会丢", "see whether a message gets lost", "——完——", "The end."];
/// How much of a question is quoted, in characters.
const QUOTED: usize = 24;

/// The answer to a request's messages; only what is missing of it, if they ask to go on with it.
pub fn answer(request: &Value) -> String {
    let messages: Vec<Message> = request["messages"].as_array().into_iter().flatten().map(Message::from).collect();
    let rest = match messages.as_slice() {
        [before @ .., Message { role: "assistant", text: begun, .. }] => rest_of(before, begun),
        [before @ .., Message { role: "assistant", text: begun, .. }, Message { role: "user", text: asked, .. }] => {
            let asked = asked.to_lowercase();
            GO_ON.iter().any(|words| asked.contains(words)).then(|| rest_of(before, begun)).flatten()
        }
        _ => None,
    };
    rest.unwrap_or_else(|| compose(&messages))
}

struct Message<'a> {
    role: &'a str,
    text: String,
    /// Width and height of each picture.
    pictures: Vec<(u32, u32)>,
}

/// The pictures of a message: what stands in it as data URLs.
pub(super) fn pictures_of(message: &Value) -> Vec<Vec<u8>> {
    let urls = message["content"].as_array().into_iter().flatten().filter_map(|part| part["image_url"]["url"].as_str());
    urls.filter_map(|url| STANDARD.decode(url.split_once(";base64,")?.1).ok()).collect()
}

fn size_of(picture: &[u8]) -> (u32, u32) {
    let reader = ImageReader::new(Cursor::new(picture)).with_guessed_format();
    reader.ok().and_then(|reader| reader.into_dimensions().ok()).unwrap_or_default()
}

impl<'a> From<&'a Value> for Message<'a> {
    fn from(message: &'a Value) -> Self {
        let text = match &message["content"] {
            Value::String(text) => text.clone(),
            // The form with typed parts.
            Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            _ => String::new(),
        };
        let pictures = pictures_of(message).iter().map(|picture| size_of(picture)).collect();
        Self { role: message["role"].as_str().unwrap_or_default(), text, pictures }
    }
}

/// What follows after `begun`, if that is how the answer to `before` begins and there is more of it.
fn rest_of(before: &[Message<'_>], begun: &str) -> Option<String> {
    let whole = compose(before);
    // The blanks at the end of a part may have been left out.
    let rest = whole.strip_prefix(begun).or_else(|| whole.strip_prefix(begun.trim_end()))?;
    (!begun.trim().is_empty() && !rest.trim().is_empty()).then(|| rest.to_owned())
}

fn compose(messages: &[Message<'_>]) -> String {
    let questions: Vec<&str> = messages.iter().filter(|m| m.role == "user").map(|m| m.text.trim()).collect();
    let (question, earlier) = questions.split_last().map_or(("", [].as_slice()), |(last, earlier)| (*last, earlier));
    let seen: Vec<(u32, u32)> =
        messages.iter().rev().find(|m| m.role == "user").map(|m| m.pictures.clone()).unwrap_or_default();
    let chinese = speaks_chinese(&questions);
    let lower = question.to_lowercase();
    let wants = |words: [&str; 2]| words.iter().any(|word| lower.contains(word));
    if !seen.is_empty() {
        return about_pictures(question, &seen, chinese);
    }
    if wants(["表格", "table"]) {
        return samples::table(chinese);
    }
    if wants(["代码", "code"]) {
        return samples::code(chinese);
    }
    match (chinese, wants(["诗", "poem"])) {
        (true, true) => POEM_ZH.to_owned(),
        (false, true) => POEM_EN.to_owned(),
        (true, false) => about_zh(question, earlier),
        (false, false) => about_en(question, earlier),
    }
}

/// The pause between two of so many words: nobody waits longer than eight seconds for a table.
pub(super) fn pace(words: usize, usual: Duration) -> Duration {
    usual.min(Duration::from_secs(8) / u32::try_from(words.max(1)).unwrap_or(u32::MAX))
}

/// By the newest question that has letters: a smile is in the language of what was said before it.
fn speaks_chinese(questions: &[&str]) -> bool {
    let said = questions.iter().rev().find(|question| question.chars().any(char::is_alphabetic));
    said.is_none_or(|question| question.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)))
}

/// Characters of the messages, for counting model tokens. A picture counts for what models take for one, and not for
/// the text that it is sent as.
pub(super) fn size_of_prompt(messages: &Value) -> usize {
    const PICTURE: usize = 1600;
    let parts = messages.as_array().into_iter().flatten().filter_map(|message| message["content"].as_array()).flatten();
    let urls: Vec<usize> = parts.filter_map(|part| part["image_url"]["url"].as_str().map(str::len)).collect();
    let text = messages.to_string().chars().count();
    text.saturating_sub(urls.iter().sum()) + urls.len() * PICTURE
}

/// It cannot see, and says what it can tell all the same.
fn about_pictures(question: &str, seen: &[(u32, u32)], chinese: bool) -> String {
    let sizes: Vec<String> = seen.iter().map(|(width, height)| format!("{width}×{height}")).collect();
    let (count, sizes) = (seen.len(), sizes.join(if chinese { "、" } else { ", " }));
    // What stands in brackets says that the picture came alone.
    let with = match (question.starts_with(['（', '(']), chinese) {
        (true, _) => String::new(),
        (false, true) => format!("，和您的话“{}”在同一轮里", quoted(question)),
        (false, false) => format!(", together with your words “{}”", quoted(question)),
    };
    if chinese {
        format!(
            "我是**演示模型**，看不懂图，但我收到了：{count} 张图片，大小 {sizes} 像素{with}。\n\n\
             图片由企伴从企业微信取来，转正、缩小、重新编码，存在数据目录里；再问一句“左边是什么？”，我还会再收到它。"
        )
    } else {
        format!(
            "I am the **demo model** and cannot see, but I was given {count} picture(s) of {sizes} pixels{with}.\n\n\
             Qimate fetched it from WeCom, turned it upright, scaled it and keeps it in its data directory; ask “and what is on the left?”, and I am given it again."
        )
    }
}

fn about_zh(question: &str, earlier: &[&str]) -> String {
    let mut text =
        "您好，我是**演示模型**。我不是真正的人工智能，只是一段固定的程序，用来让您亲眼看看企伴是怎样工作的。\n\n"
            .to_owned();
    let (count, turn) = (question.chars().count(), earlier.len() + 1);
    let _ = write!(text, "您刚才问的是“{}”，一共 {count} 个字。这是我们这段对话的第 {turn} 轮", quoted(question));
    match last_words(earlier) {
        Some(previous) => {
            let _ = writeln!(text, "；我还记得，上一轮您说的是“{}”。\n", quoted(previous));
        }
        None => text.push_str("；接着再问一句，您会看到我记得这一句。\n\n"),
    }
    text.push_str(
        "就在这几秒钟里，发生了这些事：\n\n\
         - 您的消息被加密、签名，送到了企伴的回调地址\n\
         - 企伴验过签名，先存盘，再应答，然后才来问我\n\
         - 我一个词一个词地写，写好一段，企伴就先送一段给您\n\n\
         把 `llm.base_url` 指向真正的模型，坐在这里回答您的就是它了。现在不妨打开旁边的“捣乱”开关，看看消息会不会丢。",
    );
    text
}

fn about_en(question: &str, earlier: &[&str]) -> String {
    let mut text =
        "Hello, I am the **demo model**. I am no real AI, only a fixed program that lets you watch how Qimate \
                    works.\n\n"
            .to_owned();
    let (count, turn) = (question.chars().count(), earlier.len() + 1);
    let characters = if count == 1 { "character" } else { "characters" };
    let _ =
        write!(text, "You wrote “{}”, {count} {characters}. This is turn {turn} of our conversation", quoted(question));
    match last_words(earlier) {
        Some(previous) => {
            let _ = writeln!(text, ", and I remember that before it you wrote “{}”.\n", quoted(previous));
        }
        None => text.push_str("; ask again, and you will see that I remember this question.\n\n"),
    }
    text.push_str(
        "In these few seconds the following happened:\n\n\
         - your message was encrypted, signed and sent to Qimate's callback address\n\
         - Qimate checked the signature, saved the message, said yes, and only then asked me\n\
         - I write word by word, and Qimate sends you each paragraph as soon as it is finished\n\n\
         Point `llm.base_url` at a real model, and that model will sit here in my place. Until then, try the trouble \
         switches beside the phone and see whether a message gets lost.",
    );
    text
}

/// What was said before; a picture may have come without words.
fn last_words<'a>(earlier: &[&'a str]) -> Option<&'a str> {
    earlier.iter().rev().find(|words| !words.is_empty()).copied()
}

fn quoted(text: &str) -> String {
    let mut quote: String = text.chars().take(QUOTED).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(QUOTED).is_some() {
        quote.push('…');
    }
    quote
}

const POEM_ZH: &str = "我只是演示模型，诗是事先写好的。它足够长，您可以慢慢看它一段一段地到。

**《传话的人》**

清晨的第一句话
从一只手机出发
它先穿上密文的外衣
再系好签名的纽扣
在网线的巷子里
走得不慌不忙

门口有人验过印章
把它写进一本账簿
墨迹干了
才点头说一声：收到
从此哪怕灯火熄灭
账簿还记得它的名字

楼上有一位写字的人
落笔很慢，一次一个词
楼下的信差并不催促
一段写完，就先送一段
读信的人抬起头时
第二段已经到了门前

有时风大，门被吹上
有时路口说：你的令牌旧了
信差便回去换一枚新的
数着自己的脚步
不多送一封
也不少送一封

如果有谁在半夜拔掉电源
请不要为这首诗担心
等灯再亮的时候
他会翻开账簿
找到停笔的那一行
从下一个字写起

傍晚，办公室渐渐空了
窗外的高楼一层层暗下去
只有那本账簿还醒着
上面写着：
今日来信，全部答复
无一遗失

——完——";

const POEM_EN: &str =
    "I am only the demo model, and this poem was written beforehand. It is long enough to watch it arrive part \
by part.

**The Messenger**

The first word of the morning
sets out from somebody's phone;
it puts on a coat of cipher,
it buttons a signature on,
and walks down an alley of cable
in no great hurry, alone.

A porter looks at the seal first,
then writes its name in a book,
and only when ink is drying
he nods, and his nod is: it's took.
Should every lamp now go out here,
the page will know where to look.

Upstairs there is one who is writing,
a word, and a word, and a word;
the runner who waits on the staircase
takes each stanza down to be heard,
and before you have finished the second
there is somebody bringing the third.

Some evenings the wind slams the door shut,
some evenings the pass is too old;
he goes and he fetches a new one,
he counts every step, and, all told,
not a letter is carried there double,
not a letter is left in the cold.

And should someone pull out the power
while the pen is still far from the end,
the lamp, when it burns again, finds him
with the book in the crook of his hand,
at the line where the writing was broken,
at the very next word, my friend.

By nightfall the office is empty,
the towers go dark, floor by floor;
the book is awake on the table,
and it says, as it said before:
all letters that came here are answered,
and none was lost at the door.

*The end.*";
