-- Times are epoch milliseconds. Only BIGINT, TEXT and BLOB columns, so that another database can hold the same.
-- AUTOINCREMENT: other rows name these keys, so a key must not come again after its row was pruned.

-- What WeCom delivered. Finished rows stay until they are pruned: a repeated callback is recognised by `dedup`.
CREATE TABLE inbox (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they were committed
    dedup       TEXT    NOT NULL UNIQUE,
    lane        TEXT    NOT NULL,
    kind        TEXT    NOT NULL,            -- for counting: text, image, ..., unknown
    event       TEXT    NOT NULL,            -- JSON
    stops       BIGINT  NOT NULL,            -- 1: asks to stop the answer that is under way
    state       TEXT    NOT NULL,            -- open | done | unreadable
    claims      BIGINT  NOT NULL DEFAULT 0,  -- how often a worker took it
    received_at BIGINT  NOT NULL
);
CREATE INDEX inbox_open ON inbox (lane, seq) WHERE state = 'open';

-- One row for each lane with open inbox rows: what a worker leases is the lane, so a member's messages are handled
-- one at a time and in order, and ten thousand of one member weigh no more than one.
CREATE TABLE inbox_lane (
    lane     TEXT   PRIMARY KEY,
    depth    BIGINT NOT NULL,                -- open rows
    ready_at BIGINT NOT NULL,
    told     BIGINT NOT NULL DEFAULT 0,      -- inbox.seq of the message at which the member was told of the backlog
    lease    BIGINT                          -- NULL: free
) WITHOUT ROWID;
CREATE INDEX inbox_lane_ready ON inbox_lane (ready_at) WHERE lease IS NULL;

CREATE TABLE conversation (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    lane      TEXT    NOT NULL,
    opened_at BIGINT  NOT NULL,
    last_at   BIGINT  NOT NULL,
    closed_at BIGINT
);
CREATE UNIQUE INDEX conversation_open ON conversation (lane) WHERE closed_at IS NULL;
CREATE INDEX conversation_closed ON conversation (closed_at) WHERE closed_at IS NOT NULL;

-- One question with its answer. The row appears with the first part that is committed, or at the end.
CREATE TABLE turn (
    cause         INTEGER PRIMARY KEY,       -- inbox.seq of the question
    id            TEXT    NOT NULL,
    conversation  BIGINT  NOT NULL,
    question      TEXT    NOT NULL,
    answer        TEXT    NOT NULL,          -- Markdown; while running: what is in the outbox already
    parts         BIGINT  NOT NULL,          -- outbox parts of the answer
    state         TEXT    NOT NULL,          -- running | answered | failed | stopped
    reason        TEXT,
    input_tokens  BIGINT,
    output_tokens BIGINT,
    estimated     BIGINT,
    ended_at      BIGINT
);
CREATE INDEX turn_of_conversation ON turn (conversation, cause);

-- What is to be said, in the order in which it is to be said.
CREATE TABLE outbox (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    lane         TEXT    NOT NULL,
    cause        BIGINT  NOT NULL,           -- inbox.seq of what it answers
    part         BIGINT  NOT NULL,           -- 0, 1, ... of the answer; negative: a notice
    corp         TEXT    NOT NULL,
    agent        BIGINT  NOT NULL,
    member       TEXT    NOT NULL,
    format       TEXT    NOT NULL,
    content      TEXT    NOT NULL,
    state        TEXT    NOT NULL,           -- waiting | sent | dead
    batch        BIGINT,                     -- seq of the first row of the message that it leaves in
    repetition   BIGINT  NOT NULL DEFAULT 0, -- on that first row: equal messages shortly before
    digest       BIGINT,                     -- on that first row: of the whole message
    attempts     BIGINT  NOT NULL DEFAULT 0,
    attempted_at BIGINT,                     -- the last attempt
    unsure_since BIGINT,                     -- the first attempt whose outcome is not known
    created_at   BIGINT  NOT NULL,
    ended_at     BIGINT,
    msg_id       TEXT,
    reason       TEXT
);
CREATE UNIQUE INDEX outbox_part ON outbox (cause, part);
CREATE INDEX outbox_waiting ON outbox (lane, seq) WHERE state = 'waiting';
CREATE INDEX outbox_attempted ON outbox (lane, attempted_at) WHERE batch = seq;
CREATE INDEX outbox_dead ON outbox (seq) WHERE state = 'dead';

CREATE TABLE outbox_lane (
    lane     TEXT   PRIMARY KEY,
    ready_at BIGINT NOT NULL,
    lease    BIGINT
) WITHOUT ROWID;
CREATE INDEX outbox_lane_ready ON outbox_lane (ready_at) WHERE lease IS NULL;

CREATE TABLE welcome (
    lane        TEXT   PRIMARY KEY,
    welcomed_at BIGINT NOT NULL
) WITHOUT ROWID;

-- Written and taken back by the check whether the store can be written.
CREATE TABLE probe (
    id   INTEGER PRIMARY KEY,
    page BLOB    NOT NULL
);
