//! The help and the documents are made from the table of commands.

use std::fs;

use qimate::{
    config::chat::Language,
    model::{
        command::{Row, TABLE, Who},
        person::Role,
    },
};

use super::{app, ask};

#[tokio::test]
async fn the_help_names_every_command_in_chinese() {
    let app = app(|_| {}).await;
    let help = ask(&app, "zhangsan", "/help").await;
    assert_eq!(
        help,
        "直接发消息，我就会回答。\n\n可用的命令：\n\
         /new（/新对话）开始新对话，之前的内容不再参考\n\
         /stop（/停止）停止正在写的回答\n\
         /retry（/重试）把上一个问题再问一遍\n\
         /image 画面（/画）画一张图\n\
         /model [名称或序号]（/模型）查看或选择模型\n\
         /persona [名称或序号]（/角色）查看或选择角色\n\
         /lang [中文|英文]（/语言）提示语用中文或英文\n\
         /voice [开|关]（/语音）语音提问时是否用语音回答\n\
         /markdown [开|关|自动]（/格式）回答是否带格式\n\
         /usage（/用量）查看用量\n\
         /more [原因]（/申请）额度快用完时，向管理员申请更多\n\
         /history（/历史）最近问过的问题\n\
         /export（/导出）导出本次对话\n\
         /remember 内容（/记住）让我记住一件事\n\
         /memory（/记忆）查看我记住的事\n\
         /forget 序号|全部（/忘记）忘掉其中一件或全部\n\
         /help（/帮助）显示这段说明"
    );
}

#[tokio::test]
async fn the_help_names_every_command_in_english() {
    let app = app(|config| config.chat.language = Language::English).await;
    let help = ask(&app, "zhangsan", "/帮助").await;
    assert_eq!(
        help,
        "Just write, and I will answer.\n\nCommands:\n\
         /new: begins a new conversation and forgets the one before\n\
         /stop: stops the answer that is being written\n\
         /retry: asks your last question again\n\
         /image WHAT: draws a picture\n\
         /model [name or number]: shows the models, or chooses one\n\
         /persona [name or number]: shows the parts I can play, or chooses one\n\
         /lang [zh|en]: the language of my own sentences\n\
         /voice [on|off]: whether what you ask by voice is answered by voice\n\
         /markdown [on|off|auto]: whether answers are formatted\n\
         /usage: what you used\n\
         /more [reason]: asks the operators for more, when a limit is nearly used up\n\
         /history: your last questions\n\
         /export: this conversation to keep\n\
         /remember TEXT: lets me remember something\n\
         /memory: what I remember\n\
         /forget NUMBER|all: forgets one of it, or all\n\
         /help: shows this"
    );
}

#[tokio::test]
async fn a_misspelt_command_is_a_question_back_and_a_path_is_a_message() {
    let app = app(|_| {}).await;
    assert_eq!(ask(&app, "zhangsan", "/modle").await, "没有这个命令。你是不是想发 /model？发 /help 查看全部命令。");
    assert!(app.model.requests().is_empty());
    for message in ["/etc", "/modle 2", "/etc/hosts 是什么"] {
        assert_eq!(ask(&app, "zhangsan", message).await, "好", "{message}");
    }
}

/// The table in `docs/commands.md` and its twin, between two marks.
fn table(language: Language) -> String {
    let (head, everybody, separator) = match language {
        Language::Chinese => ("| 命令 | 也可以写 | 作用 | 谁能用 |\n|---|---|---|---|\n", "所有人", "、"),
        Language::English => ("| command | also | what it does | who may |\n|---|---|---|---|\n", "everybody", ", "),
    };
    let roles = match language {
        Language::Chinese => ["所有者", "管理员", "审计员", "部门经理", "成员"],
        Language::English => ["owners", "operators", "auditors", "managers", "members"],
    };
    let row = |row: &Row| {
        let who = match row.who {
            Who::Members => everybody.to_owned(),
            Who::Those(_) => {
                let names = Role::ALL.into_iter().zip(roles).filter(|(role, _)| row.who.includes(*role));
                names.map(|(_, name)| name).collect::<Vec<_>>().join(separator)
            }
        };
        let what = match language {
            Language::Chinese => row.zh,
            Language::English => row.en,
        };
        let also: Vec<_> = row.names[1..].iter().map(|name| format!("`{name}`")).collect();
        format!("| `{}` | {} | {what} | {who} |\n", row.form(language).replace('|', "\\|"), also.join(" "))
    };
    head.to_owned() + &TABLE.iter().map(row).collect::<String>()
}

#[test]
fn the_docs_have_the_table_of_commands() {
    const MARKS: (&str, &str) = ("<!-- commands -->\n", "<!-- end of commands -->");
    for (name, language) in [("commands.md", Language::English), ("commands.zh-CN.md", Language::Chinese)] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        let page = fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(MARKS.0).expect("the first mark");
        let (there, after) = rest.split_once(MARKS.1).expect("the second mark");
        let made = table(language);
        if std::env::var_os("QIMATE_UPDATE_DOCS").is_some() {
            fs::write(&path, format!("{before}{}{made}{}{after}", MARKS.0, MARKS.1)).unwrap();
        } else {
            assert_eq!(there, made, "docs/{name} is not made from the table: run with QIMATE_UPDATE_DOCS=1");
        }
    }
}
