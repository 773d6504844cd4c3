-- What members asked for beyond a limit, and what became of it. Outbox rows about one answer no inbox row: their `cause`
-- is -(2^41) - 64 * id - place, where the place is that of the operator who is asked, and 63 of the member who is told.
CREATE TABLE quota_request (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    corp        TEXT   NOT NULL,
    member      TEXT   NOT NULL,             -- the userid in lower case
    userid      TEXT   NOT NULL,             -- as WeCom wrote it
    agent       BIGINT NOT NULL,             -- the application in which they asked
    quota_limit TEXT   NOT NULL,             -- such as requests=50/day
    allowed     BIGINT NOT NULL,             -- with what was granted by then
    used        BIGINT NOT NULL,
    reason      TEXT   NOT NULL,
    words       TEXT   NOT NULL,             -- what an operator reads whose client shows no card
    asked_at    BIGINT NOT NULL,
    decided_at  BIGINT,                      -- NULL: open
    decided_by  TEXT,                        -- the operator's userid; NULL: nobody did, and it was asked for anew
    decided_in  BIGINT,                      -- inbox.seq of the press or command, so that it can be done again
    grant_id    BIGINT                       -- allowance.id; NULL: it was not granted
);
CREATE UNIQUE INDEX quota_request_open ON quota_request (corp, member, quota_limit) WHERE decided_at IS NULL;
CREATE INDEX quota_request_member ON quota_request (member);
