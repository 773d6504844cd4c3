-- Keys that members make themselves, and the one-time links by which they get them. A link goes when it is used.
ALTER TABLE api_key ADD COLUMN self_made BIGINT NOT NULL DEFAULT 0;  -- 1: the member made it
CREATE TABLE key_link (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    hash       BLOB   NOT NULL UNIQUE,       -- SHA-256 of the token, which stands in the message to the member alone
    corp       TEXT   NOT NULL,
    agent      BIGINT NOT NULL,              -- the application in which it was asked for
    member     TEXT   NOT NULL,              -- the userid in lower case
    userid     TEXT   NOT NULL,              -- as WeCom wrote it
    name       TEXT   NOT NULL,              -- of the key
    rotates    TEXT,                         -- api_key.id that gets a new secret; NULL: a new key
    language   TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX key_link_member ON key_link (member);
