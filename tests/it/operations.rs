//! What the people who run Qimate see, and strangers do not.

use qimate::secret::Secret;

use crate::harness::{App, get};

const KEY: &str = "a-key-that-nobody-finds-by-trying";

#[tokio::test]
async fn metrics_are_for_those_who_run_it() {
    let app = App::start_with(|config| config.server.operator_key = Some(Secret::new(KEY.to_owned()))).await;
    let (status, text) = get(app.operations_url("/metrics"), None).await;
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"), "{text}");

    assert_eq!(get(app.url("/metrics"), Some(KEY)).await.0, 200);
    for wrong in [None, Some("another"), Some("")] {
        assert_eq!(get(app.url("/metrics"), wrong).await.0, 404, "{wrong:?}");
    }
    let without_a_key = App::start().await;
    for given in [None, Some(""), Some("***")] {
        assert_eq!(get(without_a_key.url("/metrics"), given).await.0, 404, "{given:?}");
    }
}
