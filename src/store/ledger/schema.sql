-- What model calls took. A file of its own (usage.db): it can be pruned, or lost, and nobody's messages with it.
-- Times are epoch milliseconds. What stands here as a number of `name` is a text there, so that a member is forgotten by
-- changing one row, and ten million rows stay small.

CREATE TABLE name (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    BIGINT NOT NULL,                 -- 1 member, 2 department, 3 application, 4 model, 5 upstream, 6 API key, 7 reason, 8 enterprise
    text    TEXT   NOT NULL,                 -- of the first three, and of a key: CORP/USERID and the like
    last_at BIGINT NOT NULL,                 -- the last call that named it
    UNIQUE (kind, text)
);

-- Erased members by a hash, for a day: a call that had begun before is written without their name.
CREATE TABLE erased (
    hash TEXT   PRIMARY KEY,
    at   BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE call (
    id         INTEGER PRIMARY KEY,
    at         BIGINT NOT NULL,              -- when it ended
    corp       BIGINT NOT NULL,
    member     BIGINT,                       -- NULL: a program of the enterprise
    department BIGINT,
    app        BIGINT,                       -- NULL: a program
    api_key    BIGINT,
    model      BIGINT NOT NULL,
    upstream   BIGINT,                       -- NULL: nobody was asked
    kind       BIGINT NOT NULL,              -- 0 chat, 1 summary, 2 picture, 3 speech, 4 transcription, 5 embedding
    result     BIGINT NOT NULL,              -- 0 ok, 1 stopped, 2 refused, 3 failed, 4 cut
    reason     BIGINT,
    input      BIGINT NOT NULL,              -- model tokens; those that were cached among them
    cached     BIGINT NOT NULL,
    output     BIGINT NOT NULL,
    estimated  BIGINT NOT NULL,
    money      BIGINT NOT NULL,              -- micro-units of the configured currency
    first_ms   BIGINT,
    total_ms   BIGINT NOT NULL
);
CREATE INDEX call_at ON call (at);

-- The same, as people read it.
CREATE VIEW call_in_words AS
    SELECT call.id, call.at, strftime('%Y-%m-%dT%H:%M:%fZ', call.at / 1000.0, 'unixepoch') AS time,
           corp.text AS corp, call.member AS member_name,
           substr(member.text, instr(member.text, '/') + 1) AS member,
           substr(department.text, instr(department.text, '/') + 1) AS department,
           substr(app.text, instr(app.text, '/') + 1) AS app, substr(api_key.text, instr(api_key.text, '/') + 1) AS api_key,
           model.text AS model, upstream.text AS upstream,
           CASE call.kind WHEN 0 THEN 'chat' WHEN 1 THEN 'summary' WHEN 2 THEN 'picture' WHEN 3 THEN 'speech'
                WHEN 4 THEN 'transcription' ELSE 'embedding' END AS kind,
           CASE call.result WHEN 0 THEN 'ok' WHEN 1 THEN 'stopped' WHEN 2 THEN 'refused' WHEN 3 THEN 'failed'
                ELSE 'cut' END AS result,
           reason.text AS reason, input, cached, output, estimated, money, first_ms, total_ms
    FROM call JOIN name corp ON corp.id = call.corp JOIN name model ON model.id = call.model
         LEFT JOIN name member ON member.id = call.member LEFT JOIN name app ON app.id = call.app
         LEFT JOIN name department ON department.id = call.department
         LEFT JOIN name api_key ON api_key.id = call.api_key LEFT JOIN name upstream ON upstream.id = call.upstream
         LEFT JOIN name reason ON reason.id = call.reason;

-- Sums of calls, by the hour and by the day of the company's time zone, for everybody and for each name. Written with
-- the calls, in one transaction; they outlive them.
CREATE TABLE total (
    grain     BIGINT NOT NULL,               -- 0 hour, 1 day
    dimension BIGINT NOT NULL,               -- 0 all, otherwise the kind of the name
    period    BIGINT NOT NULL,               -- when the hour or the day began
    name      BIGINT NOT NULL,               -- 0: none
    calls     BIGINT NOT NULL,
    stopped   BIGINT NOT NULL,
    refused   BIGINT NOT NULL,
    failed    BIGINT NOT NULL,
    cut       BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    input     BIGINT NOT NULL,
    cached    BIGINT NOT NULL,
    output    BIGINT NOT NULL,
    money     BIGINT NOT NULL,
    begun     BIGINT NOT NULL,               -- calls that first_ms is the sum of
    first_ms  BIGINT NOT NULL,
    total_ms  BIGINT NOT NULL,
    PRIMARY KEY (grain, dimension, period, name)
) WITHOUT ROWID;
