-- What the people who run Qimate ask after the fact.

-- Moments worth remembering, by name: callback_verified, callback_accepted, started, stopped.
CREATE TABLE moment (
    name TEXT   PRIMARY KEY,
    at   BIGINT NOT NULL
) WITHOUT ROWID;

-- Refused callbacks by reason. Counted in memory and written now and then: strangers can send as many as they like.
CREATE TABLE refusal (
    reason   TEXT   PRIMARY KEY,
    count    BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at  BIGINT NOT NULL
) WITHOUT ROWID;

-- Alerts, so that a restart neither repeats one nor forgets to say that it is well. Outbox rows that bring one to the
-- operators answer no inbox row: their `cause` is -id, their `part` twice the operator's place, and one more where they
-- say that it is well.
CREATE TABLE alert (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    condition   TEXT   NOT NULL,
    state       TEXT   NOT NULL,             -- raised | told | resolved (and to be told) | closed
    withheld    BIGINT NOT NULL,             -- 1: beyond alerts.max_per_hour, so only logged; 2: and summed up since
    since       BIGINT NOT NULL,             -- when it began to be wrong
    raised_at   BIGINT NOT NULL,
    resolved_at BIGINT,
    detail      TEXT   NOT NULL,
    remedy      TEXT   NOT NULL
);
CREATE UNIQUE INDEX alert_raised ON alert (condition) WHERE state IN ('raised', 'told');
CREATE INDEX alert_time ON alert (raised_at);
CREATE INDEX outbox_dead_at ON outbox (ended_at) WHERE state = 'dead';
