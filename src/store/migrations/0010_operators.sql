-- Who administers by HTTP. What they prove it by is here as hashes alone.
CREATE TABLE operator (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    name             TEXT   NOT NULL UNIQUE,     -- in lower case
    role             TEXT   NOT NULL,
    password         TEXT,                       -- $argon2id$v=19$m=...; NULL: none was set since the last reset
    password_set_at  BIGINT,
    invitation_id    TEXT   UNIQUE,              -- the public part of the code by which a password may be set
    invitation_hash  BLOB,                       -- SHA-256 of its secret
    invitation_until BIGINT,
    created_at       BIGINT NOT NULL,
    disabled_at      BIGINT,
    last_login_at    BIGINT
);

-- By which their programs ask.
CREATE TABLE operator_token (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT   NOT NULL UNIQUE,         -- the public part
    operator     BIGINT NOT NULL,                -- operator.number
    label        TEXT   NOT NULL,
    scopes       TEXT   NOT NULL,                -- words, separated by spaces
    hash         BLOB   NOT NULL,                -- SHA-256 of the secret
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT                          -- to a minute
);
CREATE INDEX operator_token_of ON operator_token (operator);

-- By which their browsers ask. A session that is over for another reason than time has no row.
CREATE TABLE operator_session (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT   NOT NULL UNIQUE,           -- names it and opens nothing
    operator   BIGINT NOT NULL,
    hash       BLOB   NOT NULL UNIQUE,           -- SHA-256 of the cookie
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,                  -- to a minute
    address    TEXT   NOT NULL,
    agent      TEXT   NOT NULL
);
CREATE INDEX operator_session_of ON operator_session (operator);

-- From where somebody logged in before: there, whoever tries their name elsewhere does not slow them down.
CREATE TABLE operator_place (
    operator BIGINT NOT NULL,
    address  TEXT   NOT NULL,                    -- an IPv4 address, or the first 64 bits of an IPv6 one
    last_at  BIGINT NOT NULL,
    PRIMARY KEY (operator, address)
) WITHOUT ROWID;
