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

-- Alerts that are raised and not yet over, so that a restart neither repeats one nor forgets to say that it is well.
CREATE TABLE alert (
    condition TEXT   PRIMARY KEY,
    raised_at BIGINT NOT NULL,
    detail    TEXT   NOT NULL
) WITHOUT ROWID;
