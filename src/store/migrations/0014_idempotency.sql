-- What operators asked for with an Idempotency-Key, for a day: so that it is not done twice.
CREATE TABLE idempotency (
    id      BLOB   NOT NULL PRIMARY KEY,     -- SHA-256 of the operator and the key
    request BLOB   NOT NULL,                 -- SHA-256 of the key and the request
    at      BIGINT NOT NULL,
    answer  TEXT                             -- JSON, never a secret; NULL: it was done, and its answer was not kept
) WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);
