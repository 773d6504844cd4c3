//! `[[llm.upstreams]]`: the places that offer models, each with its keys.
//!
//! A list of tables, where every other key is one value: so it is parsed here as a whole.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    fault::Wrong,
    llm::{base_url, headers},
    reader::credential,
    setting::Value,
    table::{self, Table, missing},
    url,
    vision::is_known_to_see,
};
use crate::{clock::zone::Zone, secret::Secret};

/// One place that offers models.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name in logs and figures.
    pub name: Arc<str>,
    /// As [`super::Llm::base_url`].
    pub base_url: String,
    /// Its keys; empty for one that asks for none. Several are for rotation and for accounts of departments: keys of
    /// one account share its limits.
    pub api_keys: Vec<Secret<String>>,
    /// What it offers, at least one.
    pub models: Vec<OfferedModel>,
    /// How much of the load it gets beside the others.
    pub weight: u32,
    /// How many answers it may write at once; `None`: any number.
    pub max_concurrent: Option<u32>,
    /// How often it may be asked in any minute.
    pub requests_per_minute: Option<u32>,
    /// How many model tokens it may be given and write in any minute.
    pub tokens_per_minute: Option<u32>,
    /// As [`super::Llm::proxy`].
    pub proxy: Option<Secret<String>>,
    /// As [`super::Llm::extra_headers`].
    pub extra_headers: BTreeMap<String, Secret<String>>,
    /// Its manner of speaking, where it is not to be guessed from the address.
    pub dialect: Option<String>,
    /// Fields added to every request, as the upstream wants them.
    pub extra_body: serde_json::Map<String, serde_json::Value>,
}

/// A model that an upstream offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedModel {
    /// The name that members and keys see.
    pub alias: Arc<str>,
    /// The upstream's own name for it.
    pub name: String,
    /// What a million model tokens in cost, in millionths of the currency.
    pub input_price: Option<u64>,
    /// The same for those of them that the upstream has in its cache; `None`: the same as for the others.
    pub cached_price: Option<u64>,
    /// The same for model tokens out.
    pub output_price: Option<u64>,
    /// What changes of these, and when.
    pub later: Vec<LaterPrice>,
    /// Whether it sees pictures.
    pub vision: bool,
    /// Whether it is one of the premium models, which a member may have until a date of their own.
    pub premium: bool,
}

/// Prices that hold from a day on; what is `None` stays as it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaterPrice {
    /// The day, as `2026-12-01`.
    pub from: String,
    /// As [`OfferedModel::input_price`].
    pub input: Option<u64>,
    /// As [`OfferedModel::cached_price`].
    pub cached: Option<u64>,
    /// As [`OfferedModel::output_price`].
    pub output: Option<u64>,
}

impl OfferedModel {
    /// Under its own name, with nothing known of it but what the name says.
    pub(super) fn plain(name: &str) -> Self {
        Self {
            alias: name.into(),
            name: name.to_owned(),
            input_price: None,
            cached_price: None,
            output_price: None,
            later: Vec::new(),
            vision: is_known_to_see(name),
            premium: false,
        }
    }
}

const UPSTREAM: [&str; 12] = [
    "name",
    "base_url",
    "api_keys",
    "models",
    "weight",
    "max_concurrent",
    "requests_per_minute",
    "tokens_per_minute",
    "proxy",
    "extra_headers",
    "dialect",
    "extra_body",
];
const MODEL: [&str; 8] =
    ["alias", "name", "input_price", "cached_price", "output_price", "prices", "vision", "premium"];
const LATER: [&str; 4] = ["from", "input_price", "cached_price", "output_price"];
/// The dialects that `llm::dialect` knows.
pub const DIALECTS: [&str; 4] = ["openai", "azure", "plain", "ollama"];

/// The list, and what may be shown of it.
pub(super) fn upstreams(value: &Value) -> Result<(Vec<Upstream>, String), Wrong> {
    let upstreams = table::list(value, "llm.upstreams", upstream)?;
    table::all_differ(upstreams.iter().map(|upstream| &*upstream.name), "每个上游应有自己的名字")?;
    let shown = upstreams.iter().map(shown).collect::<Vec<_>>().join("; ");
    Ok((upstreams, if shown.is_empty() { super::reader::NOT_SET.to_owned() } else { shown }))
}

fn shown(upstream: &Upstream) -> String {
    let models: Vec<&str> = upstream.models.iter().map(|model| &*model.alias).collect();
    format!("{} ({}, {} keys: {})", upstream.name, upstream.base_url, upstream.api_keys.len(), models.join(", "))
}

fn upstream(value: &Value) -> Result<Upstream, Wrong> {
    let table = Table::new(value, &UPSTREAM)?;
    let name = table.text("name")?.ok_or_else(|| missing("name", ["自己起的短名字", "a short name of your own"]))?;
    let base_url = table.text("base_url")?.ok_or_else(|| missing("base_url", ["接口地址", "the API's address"]))?;
    let api_keys = table.list("api_keys")?.iter().map(|key| credential(key.text()?)).collect::<Result<_, _>>();
    let models = table.list("models")?.iter().map(model).collect::<Result<Vec<_>, _>>();
    let models = models.map_err(|wrong| wrong.within("models"))?;
    if models.is_empty() {
        return Err(missing(
            "models",
            ["它提供的模型，如 [\"deepseek-chat\"]", "the models that it offers, such as [\"deepseek-chat\"]"],
        ));
    }
    let dialect = table.text("dialect")?;
    if dialect.is_some_and(|dialect| !DIALECTS.contains(&dialect)) {
        return Err(Wrong::new(
            ["不是已知的方言", "names no dialect"],
            [format!("应为以下之一：{}", DIALECTS.join("、")), format!("expected one of {}", DIALECTS.join(", "))],
        )
        .within("dialect"));
    }
    Ok(Upstream {
        name: name.into(),
        base_url: self::base_url(base_url).map_err(|wrong| wrong.within("base_url"))?,
        api_keys: api_keys.map_err(|wrong| wrong.within("api_keys"))?,
        models,
        weight: table.number("weight", 1..=1000)?.unwrap_or(1),
        max_concurrent: table.number("max_concurrent", 1..=100_000)?,
        requests_per_minute: table.number("requests_per_minute", 1..=1_000_000)?,
        tokens_per_minute: table.number("tokens_per_minute", 1000..=1_000_000_000)?,
        proxy: table.text("proxy")?.map(url::proxy).transpose().map_err(|wrong| wrong.within("proxy"))?.map(|p| p.url),
        extra_headers: match table.get("extra_headers") {
            Some(value) => headers(value).map_err(|wrong| wrong.within("extra_headers"))?,
            None => BTreeMap::new(),
        },
        dialect: dialect.map(str::to_owned),
        extra_body: match table.get("extra_body").map(Value::to_json) {
            Some(serde_json::Value::Object(fields)) => fields,
            Some(_) => {
                return Err(Wrong::new(
                    ["不是表", "is no table"],
                    ["应形如 { enable_thinking = false }", "expected such as { enable_thinking = false }"],
                )
                .within("extra_body"));
            }
            None => serde_json::Map::new(),
        },
    })
}

/// A name, or a table where there is more to say.
fn model(value: &Value) -> Result<OfferedModel, Wrong> {
    if let Value::Text(name) = value {
        let name = name.trim();
        return if name.is_empty() {
            Err(Wrong::new(["有空名字", "holds an empty name"], ["应为模型名", "expected a model"]))
        } else {
            Ok(OfferedModel::plain(name))
        };
    }
    let table = Table::new(value, &MODEL)?;
    let name = table
        .text("name")?
        .ok_or_else(|| missing("name", ["上游对该模型的叫法", "the upstream's name for the model"]))?;
    Ok(OfferedModel {
        alias: table.text("alias")?.unwrap_or(name).into(),
        name: name.to_owned(),
        input_price: table.price("input_price")?,
        cached_price: table.price("cached_price")?,
        output_price: table.price("output_price")?,
        later: later(table.list("prices")?).map_err(|wrong| wrong.within("prices"))?,
        vision: table
            .get("vision")
            .map(Value::flag)
            .transpose()
            .map_err(|wrong| wrong.within("vision"))?
            .unwrap_or_else(|| is_known_to_see(name)),
        premium: table
            .get("premium")
            .map(Value::flag)
            .transpose()
            .map_err(|wrong| wrong.within("premium"))?
            .unwrap_or_default(),
    })
}

/// Prices that hold later, each from its own day on.
fn later(list: &[Value]) -> Result<Vec<LaterPrice>, Wrong> {
    let right = ["日期，如 \"2026-12-01\"", "a date such as \"2026-12-01\""];
    let mut prices: Vec<LaterPrice> = Vec::new();
    for value in list {
        let table = Table::new(value, &LATER)?;
        let from = table.text("from")?.ok_or_else(|| missing("from", right))?;
        let is_day = Zone::parse("UTC").is_ok_and(|utc| utc.date(from).is_some());
        if !is_day || prices.iter().any(|other| other.from == from) {
            let wrong = if is_day { ["出现两次", "is there twice"] } else { ["不是日期", "is no date"] };
            let right = [format!("应为{}", right[0]), format!("expected {}", right[1])];
            return Err(Wrong::new(wrong, right).within("from"));
        }
        prices.push(LaterPrice {
            from: from.to_owned(),
            input: table.price("input_price")?,
            cached: table.price("cached_price")?,
            output: table.price("output_price")?,
        });
    }
    prices.sort_by(|one, other| one.from.cmp(&other.from));
    Ok(prices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<Upstream>, String> {
        upstreams(&Value::Untyped(json.to_owned())).map(|(list, _)| list).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn an_upstream_is_read_with_all_it_has() {
        let list = read(
            r#"[{"name":"ds","base_url":"https://api.deepseek.com/v1/","api_keys":["sk-hunter2","sk-hunter3"],
                "models":["deepseek-chat",{"alias":"smart","name":"deepseek-reasoner","input_price":0.27,"output_price":1.1,"vision":true}],
                "weight":3,"requests_per_minute":60,"tokens_per_minute":0,"extra_body":{"enable_thinking":false}}]"#,
        )
        .expect("read");
        let upstream = &list[0];
        assert_eq!((&*upstream.name, upstream.base_url.as_str()), ("ds", "https://api.deepseek.com/v1"));
        assert_eq!((upstream.weight, upstream.requests_per_minute, upstream.tokens_per_minute), (3, Some(60), None));
        let aliases: Vec<_> = upstream.models.iter().map(|model| (&*model.alias, model.input_price)).collect();
        assert_eq!(aliases, [("deepseek-chat", None), ("smart", Some(270_000))]);
        assert_eq!(shown(upstream), "ds (https://api.deepseek.com/v1, 2 keys: deepseek-chat, smart)");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_without_a_secret() {
        let good = r#"{"name":"a","base_url":"https://a/v1","models":["m"]}"#;
        for (json, told) in [
            (r#"{"a":1}"#.to_owned(), "is a section; expected a list of objects"),
            (r#"[{"base_url":"https://a/v1"}]"#.to_owned(), "[1]: lacks name; expected a short name of your own"),
            (
                r#"[{"name":"a","base_url":"https://a/v1"}]"#.to_owned(),
                "[1]: lacks models; expected the models that it offers, such as [\"deepseek-chat\"]",
            ),
            (
                r#"[{"name":"a","base_url":"https://a/v1","models":["m"],"api_key":"hunter2"}]"#.to_owned(),
                "[1]: holds a key that is not known; did you mean api_keys?",
            ),
            (
                r#"[{"name":"a","base_url":"hunter2","models":["m"]}]"#.to_owned(),
                "[1]: base_url: does not begin with http:// or https://; \
                 expected a URL such as https://api.example.com/v1",
            ),
            (
                r#"[{"name":"a","base_url":"https://a/v1","models":[{"alias":"x"}]}]"#.to_owned(),
                "[1]: models: lacks name; expected the upstream's name for the model",
            ),
            (format!("[{good},{good}]"), "has the name a twice; expected a name of its own for each"),
        ] {
            assert_eq!(read(&json).expect_err("wrong"), told);
        }
    }
}
