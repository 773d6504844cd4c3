use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser};

use super::render;
use crate::model::reply::{Format, PART_LIMIT};

/// What a model answers on an ordinary day.
const ANSWER: &str = r#"好的，下面是**Nginx 反向代理**的配置步骤：

## 一、准备工作

1. **系统要求：**Ubuntu 22.04
2. 已安装 `nginx`
   - 没有的话先安装：
     ```bash
     sudo apt install nginx
     ```
   - 有的话*跳过*
3. 有一个域名

---

#### 参数说明

| 参数 | 说明 | 默认值 |
|------|------|--------|
| `listen` | 监听的端口，可以写成 IP:端口 | 80 |
| `proxy_pass` | 转发的目标地址<br>必须带协议 | |

| 姓名 | 分机 |
|---|--:|
| 张三 | 8001 |
| 李四 | 8002 |

> 修改之前请先备份。
> 出错了可以恢复。

```nginx
server {
    listen 80;

}
```

待办：
- [x] 备份
- [ ] 重启

详见[官方文档](https://nginx.org/en/docs/)、[nginx.org](https://nginx.org/)，来源[1]。
![架构图](https://a.com/x.png)

5*3=15，6*2=12；~~100~~元，10~20元。

[1]: https://example.com/used
[2]: https://example.com/unused
"#;

const AS_TEXT: &str = r#"好的，下面是Nginx 反向代理的配置步骤：

【一、准备工作】
1. 系统要求：Ubuntu 22.04
2. 已安装 `nginx`
    ◦ 没有的话先安装：
```bash
sudo apt install nginx
```
    ◦ 有的话跳过
3. 有一个域名

———

▎参数说明
• 参数：`listen`
    说明：监听的端口，可以写成 IP:端口
    默认值：80
• 参数：`proxy_pass`
    说明：转发的目标地址 必须带协议

姓名 | 分机
张三 | 8001
李四 | 8002

│ 修改之前请先备份。
│ 出错了可以恢复。

```nginx
server {
    listen 80;

}
```

待办：
☑ 备份
☐ 重启

详见官方文档 (https://nginx.org/en/docs/)、https://nginx.org/，来源[1] (https://example.com/used)。
架构图 (https://a.com/x.png)

5*3=15，6*2=12；~~100~~元，10~20元。

[2]: https://example.com/unused"#;

const AS_MARKDOWN: &str = r#"好的，下面是**Nginx 反向代理**的配置步骤：

## 一、准备工作
1. **系统要求：**Ubuntu 22.04
2. 已安装 `nginx`
    ◦ 没有的话先安装：
`sudo apt install nginx`
    ◦ 有的话跳过
3. 有一个域名

———

#### 参数说明
• 参数：`listen`
    说明：监听的端口，可以写成 IP:端口
    默认值：80
• 参数：`proxy_pass`
    说明：转发的目标地址 必须带协议

**姓名 | 分机**
张三 | 8001
李四 | 8002

> 修改之前请先备份。
> 出错了可以恢复。

`server {`
`    listen 80;`

`}`

待办：
☑ 备份
☐ 重启

详见[官方文档](https://nginx.org/en/docs/)、[nginx.org](https://nginx.org/)，来源[1](https://example.com/used)。
[架构图](https://a.com/x.png)

5*3=15，6*2=12；~~100~~元，10~20元。

[2]: https://example.com/unused"#;

fn contents(markdown: &str, format: Format) -> Vec<String> {
    render(markdown, format).iter().map(|part| part.words().expect("words").content().to_owned()).collect()
}

fn text(markdown: &str) -> String {
    contents(markdown, Format::Text).concat()
}

#[test]
fn an_ordinary_answer_reads_well() {
    assert_eq!(contents(ANSWER, Format::Text), [AS_TEXT]);
    assert_eq!(contents(ANSWER, Format::Markdown), [AS_MARKDOWN]);
}

#[test]
fn small_things_are_kept() {
    let cases = [
        ("2", "2"),
        ("2.", "2."),
        ("3. 接着\n4. 再来", "3. 接着\n4. 再来"),
        ("1) 甲\n3) 丙\n3) 又", "1) 甲\n3) 丙\n4) 又"),
        ("1. 甲\n\n   说明\n\n2. 乙", "1. 甲\n    说明\n\n2. 乙"),
        ("- 甲\n\n- 乙", "• 甲\n• 乙"),
        ("1. [ ] 甲", "1. ☐ 甲"),
        ("1. ```\n   a\n   ```", "1.\n```\na\n```"),
        ("- - - a", "        ▪ a"),
        ("> > 甲\n> 乙", "│ │ 甲\n│ │ 乙"),
        ("# 【通知】放假", "▎【通知】放假"),
        ("# 大\n## 小\n文", "【大】\n【小】\n文"),
        ("**结论：**可以。***真的！***行", "结论：可以。真的！行"),
        (r"\*\*原样\*\* 2**3", "**原样** 2**3"),
        ("``a`b``", "``a`b``"),
        (
            "```这一句话不是语言，而是模型忘了换行之后写在围栏后面的话\nx\n```",
            "这一句话不是语言，而是模型忘了换行之后写在围栏后面的话\n\n```\nx\n```",
        ),
        ("~~~\n```\n~~~", "````\n```\n````"),
        ("<https://a.cn/b_(c)> <a@b.cn>", "https://a.cn/b_(c) a@b.cn"),
        ("[](https://a.cn) ![](b.png) [甲]()", "https://a.cn b.png 甲"),
        ("甲<br>乙 <b>丙</b>", "甲\n乙 <b>丙</b>"),
        ("&lt;&#10;&amp;", "<\n&"),
        ("| | 甲 |\n|-|-|\n| 乙 | |", " | 甲\n乙 | "),
        ("---\n\n甲\n\n---", "甲"),
        ("甲\r\n乙\r\n\r\n\u{5d0}\u{5d1}\t\0", "甲\n乙\n\n\u{5d0}\u{5d1}\t\0"),
    ];
    for (markdown, expected) in cases {
        assert_eq!(text(markdown), expected, "{markdown}");
    }
}

#[test]
fn what_shows_nothing_is_no_part() {
    for markdown in
        ["", " \n\t\r\n\u{3000}", "&nbsp;", "```\n```", "---", "#", "-", "- \n  -", "| |\n|-|", "&#10;", "<br>"]
    {
        assert!(render(markdown, Format::Text).is_empty(), "{markdown:?}");
        assert!(render(markdown, Format::Markdown).is_empty(), "{markdown:?}");
    }
}

#[test]
fn parts_end_between_blocks_and_a_heading_stays_with_its_text() {
    let paragraph = "一".repeat(500);
    let parts =
        contents(&format!("{paragraph}\n\n# 标题\n\n如下：\n\n{paragraph}\n\n---\n\n{paragraph}"), Format::Text);
    assert_eq!(parts, [paragraph.clone(), format!("【标题】\n如下：\n{paragraph}"), paragraph]);
}

#[test]
fn a_long_list_is_cut_between_items() {
    let item = format!("- 甲\n  - {}\n", "一".repeat(200));
    for part in contents(&format!("前言\n\n{}", item.repeat(10)), Format::Text) {
        assert!(part.starts_with("前言") || part.starts_with("• 甲\n    ◦ 一"), "{part}");
        assert!(part.ends_with('一'), "{part}");
    }
}

#[test]
fn a_long_line_is_cut_at_sentences_and_keeps_its_quote() {
    let sentence = format!("{}。", "话".repeat(90));
    let parts = contents(&format!("> {}", sentence.repeat(20)), Format::Text);
    assert_eq!(parts.len(), 3);
    assert!(parts.iter().all(|part| part.starts_with("│ 话") && part.ends_with('。')), "{parts:?}");
}

#[test]
fn links_are_not_cut() {
    let link = "[看](https://example.com/long/way?to=go&and=more)";
    for (format, piece) in [(Format::Markdown, link), (Format::Text, "https://example.com/long/way?to=go&and=more")] {
        let joined = contents(&format!("字{link}").repeat(300), format);
        assert_eq!(joined.iter().map(|part| part.matches(piece).count()).sum::<usize>(), 300);
    }
}

#[test]
fn code_goes_on_in_a_fence_of_its_own() {
    let code: String = (0..300).map(|line| format!("    let x{line} = \"*一*\";\n")).collect();
    let parts = contents(&format!("看：\n\n```rust title=\"a\"\n{code}```\n\n完"), Format::Text);
    assert!(parts.len() > 3);
    let mut joined = String::new();
    for (index, part) in parts.iter().enumerate() {
        let part = part.strip_prefix("看：\n").unwrap_or(part);
        let part = part.strip_suffix("\n\n完").unwrap_or(part);
        let fence = if index == 0 { "```rust title=\"a\"\n" } else { "```rust\n" };
        let piece = part.strip_prefix(fence).and_then(|part| part.strip_suffix("```")).expect("closed fence");
        assert!(piece.starts_with("    let") && piece.ends_with('\n'));
        joined.push_str(piece);
    }
    assert_eq!(joined, code);
}

#[test]
fn code_made_of_backticks_has_fences_all_the_same() {
    let code = "`".repeat(5_000);
    let joined = text(&format!("~~~\n{code}\n~~~"));
    assert!(joined.matches('`').count() > code.len());
}

#[test]
fn hostile_input_is_only_text() {
    const MIB: usize = 1 << 20;
    let flags = "🇨🇳".repeat(500);
    let family = "👩\u{200D}👩\u{200D}👧\u{200D}👦".repeat(300);
    let deep_list: String = (0..600).map(|depth| format!("{}- a\n", "  ".repeat(depth))).collect();
    let wide_table = format!("{}\n{}\n{}", "|头".repeat(500), "|-".repeat(500), "|一".repeat(20_000));
    let inputs = [
        "字".repeat(MIB / 3),
        "a".repeat(MIB),
        "\"".repeat(MIB),
        "> ".repeat(10_000) + "a",
        "[".repeat(100_000),
        "*".repeat(100_001) + "a",
        "`a".repeat(100_000),
        "**a：**b".repeat(20_000),
        "1. ".repeat(50_000) + "a",
        "> - ".repeat(20_000) + "a",
        "e\u{301}".to_owned() + &"\u{301}".repeat(5_000),
        format!("[{}]({})", "a".repeat(5_000), "b".repeat(5_000)),
        format!("a{}b", " ".repeat(100_000)),
        "[a]: b\n".repeat(10_000),
        flags,
        family,
        deep_list,
        wide_table,
    ];
    for input in inputs {
        for format in [Format::Text, Format::Markdown] {
            let parts = render(&input, format);
            let start: String = input.chars().take(20).collect();
            assert!(!parts.is_empty(), "{start}");
            let length: usize = parts.iter().map(|part| part.words().expect("words").content().len()).sum();
            assert!(length <= 8 * input.len(), "{start} grew to {length}");
        }
    }
}

#[test]
fn an_emoji_of_several_is_not_taken_apart() {
    let family = "👩\u{200D}👩\u{200D}👧";
    for part in contents(&format!("a{}", family.repeat(300)), Format::Text) {
        assert_eq!(part.trim_start_matches('a').replace(family, ""), "");
    }
}

/// The characters that are not white space.
fn ink(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|char| !char.is_whitespace())
}

/// Words and code as the parser sees them, without the stars that rendering may repair.
fn content(markdown: &str) -> String {
    let mut content = String::new();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS) {
        if let Event::Text(text) | Event::Code(text) | Event::Html(text) | Event::InlineHtml(text) = event {
            content.extend(ink(&text).filter(|char| *char != '*'));
        }
    }
    content
}

/// Markdown without tables, whose order changes.
fn markdown() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-z0-9中文。！？；.:：，#*`>_~+()!<& -]{0,50}",
        4 => r"(\n|\n\n|# |- |  - |1\. |```\n|~~~a\n|> |\*\*|\[a\]\(b\)|\[甲\]: u\n|\t|\r\n|    )",
        1 => (1usize..900).prop_map(|length| "长句子。".repeat(length)),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn plain_text_is_all_there(words in proptest::collection::vec(("[a-z一-龥，。！？、“”（）👩🇨\u{301}]{1,99}", " |\n|\n\n"), 1..50)) {
        let input: String = words.iter().flat_map(|(word, space)| [word.as_str(), space]).collect();
        for format in [Format::Text, Format::Markdown] {
            let output = contents(&input, format).concat();
            prop_assert!(ink(&output).eq(ink(&input)), "{output}");
        }
    }

    #[test]
    fn no_content_is_lost_and_every_part_fits(input in markdown()) {
        for format in [Format::Text, Format::Markdown] {
            let parts = contents(&input, format);
            prop_assert!(parts.iter().all(|part| part.len() <= PART_LIMIT && !part.trim().is_empty()));
            let output = parts.concat();
            let mut shown = ink(&output);
            let lost = content(&input).chars().find(|char| !shown.any(|other| other == *char));
            prop_assert_eq!(lost, None, "{}", output);
        }
    }

    #[test]
    fn code_is_kept_to_the_byte(lines in proptest::collection::vec("[ -~中\t]{0,300}", 1..60)) {
        let code = lines.join("\n") + "\n";
        prop_assume!(!code.trim().is_empty());
        let fence = "`".repeat(301);
        let input = format!("{fence}rust\n{code}{fence}");
        let mut joined = String::new();
        for part in contents(&input, Format::Text) {
            let (_, code) = part.split_once('\n').expect("fence");
            joined.push_str(code.trim_end_matches('`'));
        }
        prop_assert_eq!(joined, code);
    }
}
