//! `[llm]`: the model.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
    sync::Arc,
    time::Duration,
};

use reqwest::header::{HeaderName, HeaderValue};

use super::{
    fault::Wrong,
    reader::{NOT_SET, Reader, Reported, any, credential, texts},
    setting::Value,
    upstream::{LaterPrice, OfferedModel, Upstream, upstreams},
    url,
};
use crate::{
    clock::{Timestamp, zone::Zone},
    model::quota::{
        amounts::Price,
        prices::{Listed, Prices, Rate},
    },
    secret::Secret,
};

/// The section's values.
#[derive(Clone, Debug)]
pub struct Llm {
    /// Where the OpenAI-compatible API is, with its version, without a trailing slash: `https://api.openai.com/v1`.
    pub base_url: String,
    /// The key; `None` for an upstream that asks for none.
    pub api_key: Option<Secret<String>>,
    /// The model's name as the upstream knows it.
    pub model: String,
    /// Another model of the same place, which only sums up (`chat.summary_model`); `None` where places are listed.
    pub summary_model: Option<String>,
    /// Whether `model` sees pictures; `None`: as its name says. Listed upstreams say it of each model themselves.
    pub vision: Option<bool>,
    /// The places that offer models. Empty: the three above are the only one, and it offers `model`.
    pub upstreams: Vec<Upstream>,
    /// The aliases that members may choose among; empty: all that are offered. Of an application alone.
    pub allowed: Vec<Arc<str>>,
    /// Without `upstreams`: models beside `model` that applications ask for.
    pub more_models: Vec<String>,
    /// Whether upstreams are told who asks, by an identifier that does not say who; `None`: OpenAI and Azure are.
    pub safety_identifier: Option<bool>,
    /// What the model is told before every conversation. Empty: nothing.
    pub system_prompt: String,
    /// Sampling temperature; `None` leaves it to the upstream.
    pub temperature: Option<f64>,
    /// `reasoning_effort`, where the model takes one.
    pub reasoning_effort: Option<String>,
    /// The longest answer in model tokens; `None` leaves it to the upstream.
    pub max_output_tokens: Option<u32>,
    /// Headers sent with every request.
    pub extra_headers: BTreeMap<String, Secret<String>>,
    /// The proxy for every call. May hold a password.
    pub proxy: Option<Secret<String>>,
    /// The longest a connection may take to be made.
    pub connect_timeout: Duration,
    /// The longest until the first piece of the answer.
    pub first_delta_timeout: Duration,
    /// The longest between two pieces.
    pub gap_timeout: Duration,
    /// The longest a whole answer may take.
    pub answer_timeout: Duration,
    /// How often a request is tried again before its first piece came. 0: never.
    pub max_retries: u32,
    /// How often an answer that was cut at the limit of its length is continued. 0: never.
    pub max_continuations: u32,
}

impl Llm {
    /// What the models of the upstreams cost, with days that begin in `zone`.
    pub fn prices(&self, zone: &Zone) -> Prices {
        let mut listed = Vec::new();
        for upstream in &self.upstreams {
            for model in &upstream.models {
                let OfferedModel { input_price: input, cached_price: cached, output_price: output, later, .. } = model;
                let mut held = LaterPrice { from: String::new(), input: *input, cached: *cached, output: *output };
                let mut changes = later.iter();
                loop {
                    let price = Price { input: held.input.unwrap_or(0), output: held.output.unwrap_or(0) };
                    let rate = Rate { price, cached: held.cached.unwrap_or(price.input) };
                    // The first holds since ever.
                    let from = zone.date(&held.from).map_or(Timestamp::from_millis(i64::MIN), |(from, _)| from);
                    let (alias, upstream) = (Arc::clone(&model.alias), Arc::clone(&upstream.name));
                    listed.push(Listed { alias, upstream, from, rate });
                    let Some(next) = changes.next() else { break };
                    held = LaterPrice {
                        from: next.from.clone(),
                        input: next.input.or(held.input),
                        cached: next.cached.or(held.cached),
                        output: next.output.or(held.output),
                    };
                }
            }
        }
        Prices::new(listed)
    }

    /// The aliases of the premium models: an alias is one where any upstream says so.
    pub fn premium(&self) -> BTreeSet<Arc<str>> {
        let offered = self.upstreams.iter().flat_map(|upstream| &upstream.models);
        offered.filter(|offered| offered.premium).map(|offered| Arc::clone(&offered.alias)).collect()
    }

    /// The aliases that can be asked for.
    pub fn aliases(&self) -> BTreeSet<Arc<str>> {
        let offered = self.upstreams.iter().flat_map(|upstream| &upstream.models);
        let aliases: BTreeSet<_> = offered.map(|offered| Arc::clone(&offered.alias)).collect();
        if !aliases.is_empty() {
            return aliases;
        }
        iter::once(&self.model).chain(&self.more_models).map(|model| model.as_str().into()).collect()
    }

    /// The aliases of every model of every upstream.
    pub fn every_alias(&self) -> BTreeSet<Arc<str>> {
        let upstreams = self.all_upstreams();
        upstreams.iter().flat_map(|upstream| &upstream.models).map(|model| Arc::clone(&model.alias)).collect()
    }

    /// Every upstream: those that are listed, or the one that the three settings make.
    pub fn all_upstreams(&self) -> Vec<Upstream> {
        if !self.upstreams.is_empty() {
            return self.upstreams.clone();
        }
        let mut models = vec![self.only_model()];
        for name in self.summary_model.iter().chain(&self.more_models) {
            if models.iter().all(|model| model.name != *name) {
                models.push(OfferedModel::plain(name));
            }
        }
        vec![Upstream {
            name: "default".into(),
            base_url: self.base_url.clone(),
            api_keys: self.api_key.iter().cloned().collect(),
            models,
            weight: 1,
            max_concurrent: None,
            requests_per_minute: None,
            tokens_per_minute: None,
            proxy: self.proxy.clone(),
            extra_headers: self.extra_headers.clone(),
            dialect: None,
            extra_body: serde_json::Map::new(),
        }]
    }

    /// Sees to it that `model` is offered: the one place that there is offers it, and of listed ones some must.
    pub(super) fn offer_for_summaries(&mut self, model: Option<&str>, reader: &mut Reader<'_>) {
        let Some(model) = model.filter(|model| *model != self.model) else { return };
        if self.upstreams.is_empty() {
            self.summary_model = Some(model.to_owned());
        } else if !self.offers(model) {
            let wrong = Wrong::new(
                ["没有任何上游提供", "is offered by no upstream"],
                ["应为 llm.upstreams 中某个模型的别名", "expected the alias of one of llm.upstreams' models"],
            );
            let _ = reader.contradiction("chat.summary_model", wrong);
        }
    }

    fn only_model(&self) -> OfferedModel {
        let model = OfferedModel::plain(&self.model);
        OfferedModel { vision: self.vision.unwrap_or(model.vision), ..model }
    }

    /// Whether one of the upstreams that are listed offers a model of this alias.
    pub(super) fn offers(&self, alias: &str) -> bool {
        self.upstreams.iter().flat_map(|upstream| &upstream.models).any(|offered| *offered.alias == *alias)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let upstreams = reader.take("llm.upstreams", upstreams);
        let base_url = reader.text("llm.base_url", base_url);
        let mut api_key = reader.optional_text("llm.api_key", credential);
        if let (Ok(base_url), Ok(None)) = (&base_url, &api_key)
            && is_openai(base_url)
            && upstreams.as_ref().is_ok_and(Vec::is_empty)
        {
            api_key = Err(reader.missing(
                "llm.api_key",
                [
                    "OpenAI 的 API Key；用别的接口则设置 llm.base_url",
                    "your OpenAI key, or set llm.base_url to another API",
                ],
            ));
        }
        let model = reader.text("llm.model", any);
        if let (Ok(model), Ok(upstreams)) = (&model, &upstreams)
            && !upstreams.is_empty()
            && !upstreams.iter().flat_map(|upstream| &upstream.models).any(|offered| *offered.alias == **model)
        {
            let wrong = Wrong::new(
                ["没有任何上游提供", "is offered by no upstream"],
                ["应为 llm.upstreams 中某个模型的别名", "expected the alias of one of llm.upstreams' models"],
            );
            let _ = reader.contradiction("llm.model", wrong);
        }
        let vision = reader.choice("llm.vision", &[("auto", None), ("true", Some(true)), ("false", Some(false))]);
        let safety_identifier =
            reader.choice("llm.safety_identifier", &[("auto", None), ("true", Some(true)), ("false", Some(false))]);
        let system_prompt = reader.optional_text("llm.system_prompt", any);
        let temperature = reader.fraction_or_none("llm.temperature", 0.0..=2.0);
        let reasoning_effort = reader.optional_text("llm.reasoning_effort", any);
        let max_output_tokens = reader.whole_or_none("llm.max_output_tokens", 1..=1_000_000);
        let proxy = reader.proxy("llm.proxy");
        let connect_timeout = reader.whole("llm.connect_timeout_seconds", 1..=3600);
        let first_delta_timeout = reader.whole("llm.first_delta_timeout_seconds", 1..=3600);
        let gap_timeout = reader.whole("llm.gap_timeout_seconds", 1..=3600);
        let answer_timeout = reader.whole("llm.answer_timeout_seconds", 1..=3600);
        let max_retries = reader.whole("llm.max_retries", 0..=10);
        let max_continuations = reader.whole("llm.max_continuations", 0..=20);
        let extra_headers = reader.take("llm.extra_headers", |value| headers(value).map(starred));
        Ok(Self {
            base_url: base_url?,
            api_key: api_key?,
            model: model?,
            summary_model: None,
            vision: vision?,
            safety_identifier: safety_identifier?,
            upstreams: upstreams?,
            allowed: Vec::new(),
            more_models: Vec::new(),
            system_prompt: system_prompt?.unwrap_or_default(),
            temperature: temperature?,
            reasoning_effort: reasoning_effort?,
            max_output_tokens: max_output_tokens?,
            extra_headers: extra_headers?,
            proxy: proxy?,
            connect_timeout: Duration::from_secs(connect_timeout?),
            first_delta_timeout: Duration::from_secs(first_delta_timeout?),
            gap_timeout: Duration::from_secs(gap_timeout?),
            answer_timeout: Duration::from_secs(answer_timeout?),
            max_retries: max_retries?,
            max_continuations: max_continuations?,
        })
    }
}

/// OpenAI's own API, which answers nobody without a key.
const OPENAI: [&str; 2] = ["https://api.openai.com", "http://api.openai.com"];

fn is_openai(base_url: &str) -> bool {
    OPENAI
        .iter()
        .any(|openai| base_url.strip_prefix(openai).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

pub(super) fn base_url(text: &str) -> Result<String, Wrong> {
    let url = url::api(text)?;
    if url.ends_with("/completions") {
        return Err(Wrong::new(
            ["是某个接口的地址", "is the address of one call"],
            ["去掉末尾的 /chat/completions", "expected it without /chat/completions at the end"],
        ));
    }
    if OPENAI.contains(&url.as_str()) {
        return Err(Wrong::new(
            ["缺少接口的版本", "lacks the API's version"],
            ["应为 https://api.openai.com/v1", "expected https://api.openai.com/v1"],
        ));
    }
    Ok(url)
}

pub(super) fn headers(value: &Value) -> Result<BTreeMap<String, Secret<String>>, Wrong> {
    let pairs = texts(value, "llm.extra_headers")?;
    let mut headers = BTreeMap::new();
    for (name, value) in pairs {
        // Neither is quoted: whoever writes "X-Key: secret" as a name would find the secret in the log.
        let Ok(name) = name.parse::<HeaderName>() else {
            return Err(Wrong::new(
                ["里有不能作请求头的名字", "holds a name that no header can have"],
                ["名字只能有字母、数字和 -", "expected letters, digits and - only"],
            ));
        };
        if HeaderValue::from_str(&value).is_err() {
            return Err(Wrong::new(
                [format!("里 {name} 的值不能作请求头"), format!("holds a value for {name} that no header can have")],
                ["值应为一行可显示的字符", "expected one line of printable characters"],
            ));
        }
        if headers.insert(name.to_string(), Secret::new(value)).is_some() {
            return Err(Wrong::new(
                [format!("里 {name} 出现了两次"), format!("holds {name} twice")],
                ["每个请求头只写一次，不分大小写", "expected each header once, in large or small letters"],
            ));
        }
    }
    Ok(headers)
}

fn starred(headers: BTreeMap<String, Secret<String>>) -> (BTreeMap<String, Secret<String>>, String) {
    let shown = match headers.is_empty() {
        true => NOT_SET.to_owned(),
        false => headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", "),
    };
    (headers, shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_the_apis_not_one_calls() {
        for good in ["https://api.openai.com/v1", "http://localhost:11434/v1/", "https://openrouter.ai/api/v1"] {
            assert_eq!(base_url(good).ok().as_deref(), Some(good.trim_end_matches('/')));
        }
        for bad in ["https://api.openai.com", "https://api.openai.com/", "https://a/v1/chat/completions", "sk-abc"] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_openai_itself_needs_a_key() {
        assert!(is_openai("https://api.openai.com/v1"));
        assert!(!is_openai("https://api.openai.com.example/v1"));
        assert!(!is_openai("http://localhost:11434/v1"));
    }

    #[test]
    fn headers_are_names_and_values_that_can_be_sent() {
        let read = |json: &str| headers(&Value::Untyped(json.to_owned()));
        let taken = read(r#"{"X-Team":"sales","x-key":"hunter2"}"#).ok().map(|headers| starred(headers).1);
        assert_eq!(taken.as_deref(), Some("x-key: ***, x-team: ***"));
        for bad in [
            "X-A: hunter2",
            r#"{"X-A":"hunter2""#,
            r#"{"X-A":["hunter2"]}"#,
            r#"{"X-A: hunter2":""}"#,
            r#"{"X-A":"hunter2\n"}"#,
            r#"{"X-A":"hunter2","x-a":"hunter2"}"#,
        ] {
            let told = format!("{:?}", read(bad).err());
            assert!(told.starts_with("Some") && !told.contains("hunter2"), "{told}");
        }
    }
}
