//! ETags. That of a single thing is `"VERSION-CONTENT"`: what an administrator changes, and a hash of the whole body.
//! `If-None-Match` compares all of it, `If-Match` the version, so that it is no obstacle when a key was merely used
//! meanwhile. That of a list is the hash alone.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::store::terms::{Expected, Version};

/// Of a body of these bytes.
pub(super) fn tag(version: Option<&Version>, body: &[u8]) -> Option<HeaderValue> {
    let content = hex::encode(&Sha256::digest(body)[..8]);
    let text = match version {
        Some(version) => format!("\"{}-{content}\"", version.as_str()),
        None => format!("\"{content}\""),
    };
    HeaderValue::try_from(text).ok()
}

/// What a request that changes something expects of the thing; `None`: it does not say.
pub(super) fn expected(headers: &HeaderMap) -> Result<Option<Expected>, Problem> {
    let none = tags(headers, &header::IF_NONE_MATCH)?;
    let some = tags(headers, &header::IF_MATCH)?;
    match (some.as_deref(), none.as_deref()) {
        (None, None) => Ok(None),
        (None, Some(["*"])) => Ok(Some(Expected::Nothing)),
        (Some(["*"]), None) => Ok(Some(Expected::Something)),
        // A weak one never fits here, nor does one that is not ours: nothing is then what was expected.
        (Some(tags), None) => Ok(Some(Expected::OneOf(tags.iter().filter_map(|tag| version(tag)).collect()))),
        (_, Some(_)) => {
            let detail = "to change what was seen, send If-Match with its ETag; to make what is not there, \
                          'If-None-Match: *'; not both";
            Err(Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail))
        }
    }
}

fn version(tag: &str) -> Option<Version> {
    let (version, _) = tag.strip_prefix('"')?.strip_suffix('"')?.split_once('-')?;
    Version::parse(version)
}

fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<Vec<&'a str>>, Problem> {
    let mut tags = Vec::new();
    for value in headers.get_all(name) {
        let unreadable = |_| Problem::new(StatusCode::BAD_REQUEST, "bad-request", format!("{name} cannot be read"));
        tags.extend(value.to_str().map_err(unreadable)?.split(',').map(str::trim).filter(|tag| !tag.is_empty()));
    }
    Ok(Some(tags).filter(|_| headers.contains_key(name)))
}

/// 304 in its place, where whoever asks has this answer already.
pub(super) fn unless_known(asked: &HeaderMap, mut response: Response<Body>) -> Response<Body> {
    let Some(ours) = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()) else { return response };
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',')).map(str::trim);
    if known.any(|tag| tag == "*" || tag.trim_start_matches("W/") == ours) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
            response.headers_mut().remove(name);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(HeaderName::try_from(*name).expect("name"), value.parse().expect("value"));
        }
        headers
    }

    #[test]
    fn what_is_expected_is_read_from_the_headers() {
        let ours = Version::parse("0123456789abcdef").expect("a version");
        let expected = |all: &[(&str, &str)]| expected(&headers(all)).ok();
        assert_eq!(expected(&[]), Some(None));
        assert_eq!(expected(&[("if-none-match", "*")]), Some(Some(Expected::Nothing)));
        assert_eq!(expected(&[("if-match", "*")]), Some(Some(Expected::Something)));
        let one = Some(Some(Expected::OneOf(vec![ours])));
        assert_eq!(expected(&[("if-match", "\"0123456789abcdef-00\"")]), one);
        assert_eq!(expected(&[("if-match", "\"x\", \"0123456789abcdef-00\"")]), one);
        assert_eq!(expected(&[("if-match", "\"x\""), ("if-match", "\"0123456789abcdef-00\"")]), one);
        for never in ["W/\"0123456789abcdef-00\"", "0123456789abcdef-00", "\"0123456789abcdef\"", "", "\"*\""] {
            assert_eq!(expected(&[("if-match", never)]), Some(Some(Expected::OneOf(Vec::new()))), "{never}");
        }
        for wrong in [&[("if-none-match", "\"x\"")][..], &[("if-none-match", "*"), ("if-match", "*")]] {
            assert_eq!(expected(wrong), None);
        }
    }
}
