-- Secrets that administrators put in by a command or over HTTP. Nothing here is in clear text: a value is sealed by a
-- data key of the ring, and a data key by a master key that is never stored (src/vault).
CREATE TABLE secret_key (
    number  INTEGER PRIMARY KEY,
    master  TEXT   NOT NULL,                 -- which master key wraps it; tells nothing about that
    sealed  BLOB   NOT NULL,
    made_at BIGINT NOT NULL
);

CREATE TABLE secret (
    name   TEXT   NOT NULL PRIMARY KEY,      -- the setting
    key    BIGINT NOT NULL,                  -- secret_key.number
    sealed BLOB   NOT NULL,
    set_at BIGINT NOT NULL,
    set_by TEXT   NOT NULL                   -- as in audit.actor
) WITHOUT ROWID;
