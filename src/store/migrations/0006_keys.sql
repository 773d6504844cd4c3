-- Keys by which programs ask.
CREATE TABLE api_key (
    number         INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT   NOT NULL UNIQUE,       -- the public part
    corp           TEXT   NOT NULL,
    member         TEXT,                         -- the owner's userid in lower case; NULL: a program of the company
    userid         TEXT,                         -- as it was written
    name           TEXT   NOT NULL,
    scope          TEXT   NOT NULL,              -- JSON: models, endpoints, networks
    external_id    TEXT,
    hash           BLOB   NOT NULL,              -- SHA-256 of the secret, which is nowhere
    previous       BLOB,                         -- of the secret before
    previous_until BIGINT,                       -- and until when that is good
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT,
    revoked_at     BIGINT,
    last_used_at   BIGINT                        -- to a minute
);
CREATE UNIQUE INDEX api_key_external ON api_key (corp, external_id) WHERE external_id IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX api_key_member ON api_key (member) WHERE member IS NOT NULL;
