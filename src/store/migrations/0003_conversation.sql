-- What a conversation is beside its texts: media, settings of members, what is remembered.

-- Media: what members sent and the bot made.

-- A file under media/, by the SHA-256 of its content. The row is there before its file, and goes after it.
CREATE TABLE media (
    hash       TEXT   PRIMARY KEY,           -- 64 hexadecimal digits
    media_type TEXT   NOT NULL,              -- image/jpeg, audio/amr, text/markdown, ...
    bytes      BIGINT NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;

-- In whose chat it is. A file that is in nobody's is deleted.
CREATE TABLE media_use (
    hash TEXT   NOT NULL,
    lane TEXT   NOT NULL,
    at   BIGINT NOT NULL,                    -- the last time that it was sent or made there
    PRIMARY KEY (hash, lane)
) WITHOUT ROWID;
CREATE INDEX media_use_lane ON media_use (lane);
CREATE INDEX media_use_at ON media_use (at);

ALTER TABLE turn ADD COLUMN pictures TEXT NOT NULL DEFAULT ''; -- media.hash of each, with a space between

-- Several messages as one turn.

-- inbox.seq of the last message that the turn answers: all of the lane that are open from `cause` to there. NULL: only
-- that of `cause`.
ALTER TABLE turn ADD COLUMN through BIGINT;

-- What members chose, who is blocked, announcements, cards and the menu.
-- NULL: as it is configured.
CREATE TABLE member_preference (
    lane          TEXT   PRIMARY KEY,
    output        TEXT,                      -- auto | text | markdown
    client        TEXT   NOT NULL,           -- unknown | wecom | wechat
    model         TEXT,                      -- the alias
    persona       TEXT,                      -- its name
    language      TEXT,                      -- zh | en
    voice_answers BIGINT,                    -- 0 | 1
    changed_at    BIGINT NOT NULL
) WITHOUT ROWID;

-- To whom the bot does not listen.
CREATE TABLE blocked_member (
    lane   TEXT   PRIMARY KEY,
    member TEXT   NOT NULL,                  -- as the operator wrote it
    reason TEXT   NOT NULL,
    at     BIGINT NOT NULL
) WITHOUT ROWID;

-- Who ever asked something: whom an announcement reaches. Stays until the member is erased.
CREATE TABLE known_member (
    lane     TEXT   PRIMARY KEY,
    first_at BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO known_member SELECT lane, MIN(opened_at) FROM conversation GROUP BY lane;

-- What operators announce. Outbox rows of one answer no inbox row: their `cause` is -(2^40) - id, their `part` eight
-- times the member's place and the piece of the text; below zero: what the operator is told at its end.
CREATE TABLE announcement (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    lane     TEXT   NOT NULL,                -- the operator's
    text     TEXT   NOT NULL,
    state    TEXT   NOT NULL,                -- shown | sending | sent | cancelled
    shown_at BIGINT NOT NULL,
    reached  TEXT   NOT NULL DEFAULT '',     -- the last lane that has it; they are taken in their order
    sent     BIGINT NOT NULL DEFAULT 0       -- how many have it
);
CREATE INDEX announcement_of_lane ON announcement (lane);
CREATE INDEX announcement_sending ON announcement (id) WHERE state = 'sending';

-- A member's conversations, open and closed: for what they look at.
CREATE INDEX conversation_of_lane ON conversation (lane);
-- inbox.seq of the command that asked the question again (/retry). Once that turn has an answer, this one is no longer
-- part of the conversation.
ALTER TABLE turn ADD COLUMN replaced_by BIGINT;

-- What is remembered: summaries, facts, profiles.
-- What a member asked to be remembered (/remember). Stays until they or an operator take it back.
CREATE TABLE fact (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    lane TEXT   NOT NULL,
    text TEXT   NOT NULL,
    at   BIGINT NOT NULL
);
CREATE INDEX fact_of_lane ON fact (lane, id);

-- What was said earlier in a conversation, summed up. In its tokens, what all its versions cost.
CREATE TABLE summary (
    conversation  INTEGER PRIMARY KEY,
    up_to         BIGINT NOT NULL,           -- turn.cause of the last turn that is in it
    text          TEXT   NOT NULL,
    at            BIGINT NOT NULL,
    input_tokens  BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    estimated     BIGINT NOT NULL
);

-- Who a member is, as WeCom said it last. NULL: it did not say.
CREATE TABLE profile (
    lane       TEXT   PRIMARY KEY,
    name       TEXT,
    department TEXT,
    refused    BIGINT,                       -- the errcode with which it refused
    fetched_at BIGINT NOT NULL
) WITHOUT ROWID;

-- What is sent beside text.

-- What WeCom has of a file, for three days. A message that is repeated names the same upload.
CREATE TABLE upload (
    corp        TEXT   NOT NULL,
    hash        TEXT   NOT NULL,             -- media.hash
    kind        TEXT   NOT NULL,             -- as what it was to go: image | voice | file
    name        TEXT   NOT NULL,
    repetition  BIGINT NOT NULL,             -- outbox.repetition of the message
    sent_as     TEXT   NOT NULL,             -- as what WeCom took it
    media_id    TEXT   NOT NULL,
    uploaded_at BIGINT NOT NULL,
    PRIMARY KEY (corp, hash, kind, name, repetition)
) WITHOUT ROWID;
CREATE INDEX upload_at ON upload (uploaded_at);

-- What a turn that is being answered has read and called. The rows go with its end, or with the turn.
CREATE TABLE step (
    cause     BIGINT NOT NULL,                -- inbox.seq of the question
    number    BIGINT NOT NULL,
    round     BIGINT NOT NULL,                -- what the model asked for at once; 0: the page behind a link
    tool      TEXT   NOT NULL,                -- '' for that page
    call      TEXT   NOT NULL,
    arguments TEXT   NOT NULL,
    thought   TEXT   NOT NULL,
    result    TEXT,                           -- NULL: under way
    PRIMARY KEY (cause, number)
);
CREATE TRIGGER step_ends AFTER UPDATE OF state ON turn WHEN OLD.state = 'running' AND NEW.state <> 'running'
BEGIN
    DELETE FROM step WHERE cause = NEW.cause;
END;
CREATE TRIGGER step_goes AFTER DELETE ON turn
BEGIN
    DELETE FROM step WHERE cause = OLD.cause;
END;

-- Counts of what was held back or masked.

-- Several applications in one process: each works its own lanes. An application is what a lane begins with, up to its
-- second slash, so nobody has to write it: SQLite computes it from the lane. (Another database stores it.)
ALTER TABLE inbox_lane ADD COLUMN app TEXT GENERATED ALWAYS AS
    (substr(lane, 1, instr(lane, '/') + instr(substr(lane, instr(lane, '/') + 1), '/') - 1)) VIRTUAL;
ALTER TABLE outbox_lane ADD COLUMN app TEXT GENERATED ALWAYS AS
    (substr(lane, 1, instr(lane, '/') + instr(substr(lane, instr(lane, '/') + 1), '/') - 1)) VIRTUAL;
DROP INDEX inbox_lane_ready;
CREATE INDEX inbox_lane_ready ON inbox_lane (app, ready_at) WHERE lease IS NULL;
DROP INDEX outbox_lane_ready;
CREATE INDEX outbox_lane_ready ON outbox_lane (app, ready_at) WHERE lease IS NULL;

-- Refused callbacks of each application by its name; '' is that of [wecom]. Moments have the name behind theirs.
ALTER TABLE refusal RENAME TO refusal_before;
CREATE TABLE refusal (
    app      TEXT   NOT NULL DEFAULT '',
    reason   TEXT   NOT NULL,
    count    BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    PRIMARY KEY (app, reason)
) WITHOUT ROWID;
INSERT INTO refusal (reason, count, first_at, last_at) SELECT reason, count, first_at, last_at FROM refusal_before;
DROP TABLE refusal_before;
