-- Plans, and what was used of them.

-- What somebody may use. Read and written as one: JSON of `model::quota::plan::Plan`.
CREATE TABLE plan (
    name       TEXT   PRIMARY KEY,
    plan       TEXT   NOT NULL,
    changed_at BIGINT NOT NULL
) WITHOUT ROWID;

-- To whom a plan is attached: company/CORP, department/CORP/NUMBER, member/CORP/USERID, or member for all members that
-- have none of their own.
CREATE TABLE plan_of (
    subject TEXT   PRIMARY KEY,
    plan    TEXT   NOT NULL,
    since   BIGINT NOT NULL
) WITHOUT ROWID;

-- What somebody may use beyond the plan until a date.
CREATE TABLE allowance (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    subject    TEXT   NOT NULL,
    requests   BIGINT NOT NULL,
    tokens     BIGINT NOT NULL,
    money      BIGINT NOT NULL,              -- micro-units of the configured currency
    until      BIGINT NOT NULL,
    reason     TEXT   NOT NULL,
    granted_at BIGINT NOT NULL
);
CREATE INDEX allowance_until ON allowance (until);

-- What was used, by the quarter of an hour (UTC: the time zones of the world begin their hours at one), and in the row
-- -1 ever. Every calendar window is a sum of such rows, whatever the plan says, so a change of plan keeps what was used.
CREATE TABLE used (
    subject  TEXT   NOT NULL,
    quarter  BIGINT NOT NULL,                -- its beginning; -1: ever
    requests BIGINT NOT NULL,
    tokens   BIGINT NOT NULL,
    money    BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    PRIMARY KEY (subject, quarter)
) WITHOUT ROWID;
CREATE INDEX used_quarter ON used (quarter);
