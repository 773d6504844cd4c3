//! What happens on the way to WeCom: messages that are sent, pauses, access tokens. Knows nothing of why a message is
//! sent, or what WeCom's codes mean.

use std::time::Duration;

use super::{
    Metrics,
    labels::{self, ByErrcode, ByResult, PAUSES, RefreshLabels},
};

impl Metrics {
    /// WeCom answered a `message/send`. `errcode` is 0, a code of WeCom's documentation, or `None` for any other.
    pub fn send_answered(&self, errcode: Option<i64>) {
        self.sends.get_or_create(&ByErrcode { errcode: labels::errcode(errcode) }).inc();
    }

    /// A `message/send` did not leave.
    pub fn send_unreachable(&self) {
        self.sends.get_or_create(&ByErrcode { errcode: "unreachable".into() }).inc();
    }

    /// A `message/send` left, and nobody knows what came of it.
    pub fn send_unsure(&self) {
        self.sends.get_or_create(&ByErrcode { errcode: "unsure".into() }).inc();
    }

    /// WeCom took a message, `after` it was put into the outbox.
    pub fn delivered(&self, after: Duration) {
        self.deliveries.get_or_create(&ByResult { result: "delivered" }).inc();
        self.delivery.observe(after.as_secs_f64());
    }

    /// A message is to be sent again.
    pub fn sent_again(&self) {
        self.deliveries.get_or_create(&ByResult { result: "again" }).inc();
    }

    /// A message became a dead letter.
    pub fn given_up(&self) {
        self.deliveries.get_or_create(&ByResult { result: "given_up" }).inc();
    }

    /// Nothing can be sent, for this reason and no other. `reason` is one of a fixed set of words.
    pub fn sending_paused(&self, reason: &'static str) {
        debug_assert!(PAUSES.contains(&reason), "{reason} is to be among the known");
        for other in PAUSES {
            self.pause(other).set(i64::from(other == reason));
        }
    }

    /// Messages can be sent.
    pub fn sending_goes_on(&self) {
        for reason in PAUSES {
            self.pause(reason).set(0);
        }
    }

    /// An access token was fetched at `since_epoch`.
    pub fn access_token_fetched(&self, since_epoch: Duration) {
        self.refreshes.get_or_create(&RefreshLabels { result: "fetched", errcode: "0".into() }).inc();
        self.access_token_fetched
            .get_or_create(&self.app)
            .set(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX));
    }

    /// WeCom gave no access token. `errcode` as in [`Metrics::send_answered`].
    pub fn access_token_refused(&self, errcode: Option<i64>) {
        let errcode = labels::errcode(errcode);
        self.refreshes.get_or_create(&RefreshLabels { result: "refused", errcode }).inc();
    }

    /// `gettoken` gave no answer of WeCom's.
    pub fn access_token_unreachable(&self) {
        self.refreshes.get_or_create(&RefreshLabels { result: "unreachable", errcode: "".into() }).inc();
    }

    /// When the access token in use was fetched, since the epoch; `None` before the first.
    pub fn access_token_since(&self) -> Option<Duration> {
        u64::try_from(self.access_token_fetched.get_or_create(&self.app).get())
            .ok()
            .filter(|secs| *secs > 0)
            .map(Duration::from_secs)
    }
}
