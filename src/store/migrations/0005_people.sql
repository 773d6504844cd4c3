-- People: who they are, what they may, and whom the applications are for.

-- A member of an enterprise. The row appears with a person's first message, with what WeCom says of its address book, or
-- by command.
CREATE TABLE member (
    corp          TEXT   NOT NULL,
    member        TEXT   NOT NULL,                  -- the userid in lower case
    userid        TEXT   NOT NULL,                  -- as it was first written
    name          TEXT,                             -- NULL: not known
    role          TEXT   NOT NULL DEFAULT 'member', -- owner | operator | auditor | manager | member
    expires_at    BIGINT,                           -- NULL: never
    premium_until BIGINT,                           -- the same for the premium models; NULL: as expires_at, 0: not at all
    note          TEXT   NOT NULL DEFAULT '',
    first_at      BIGINT,                           -- their first message; NULL: none yet
    changed_at    BIGINT NOT NULL,
    PRIMARY KEY (corp, member)
) WITHOUT ROWID;
INSERT INTO member (corp, member, userid, first_at, changed_at)
    SELECT substr(lane, 1, instr(lane, '/') - 1),
           substr(substr(lane, instr(lane, '/') + 1), instr(substr(lane, instr(lane, '/') + 1), '/') + 1) AS member,
           substr(substr(lane, instr(lane, '/') + 1), instr(substr(lane, instr(lane, '/') + 1), '/') + 1),
           MIN(first_at), MIN(first_at)
    FROM known_member WHERE true GROUP BY 1, 2;

-- A department, by WeCom's number.
CREATE TABLE department (
    corp       TEXT   NOT NULL,
    id         BIGINT NOT NULL,
    parent     BIGINT NOT NULL,                     -- 0: none
    name       TEXT,                                -- NULL: not known
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (corp, id)
) WITHOUT ROWID;

-- Who is in which department; a member may be in several.
CREATE TABLE member_of (
    corp       TEXT   NOT NULL,
    member     TEXT   NOT NULL,
    department BIGINT NOT NULL,
    PRIMARY KEY (corp, member, department)
) WITHOUT ROWID;
CREATE INDEX member_of_department ON member_of (corp, department);

-- Whether somebody is in the visible range of an application, as WeCom said it last. Without a row it never said, and
-- nobody is kept out for that.
CREATE TABLE visible (
    app    TEXT   NOT NULL,                         -- corp/agent
    member TEXT   NOT NULL,
    is_in  BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (app, member)
) WITHOUT ROWID;

-- When the address book was last read for an application, and what came of it.
CREATE TABLE directory (
    app     TEXT   PRIMARY KEY,
    at      BIGINT NOT NULL,
    failure TEXT,                                   -- NULL: the list was complete
    listed  BIGINT NOT NULL                         -- members in it
) WITHOUT ROWID;

-- When questions are answered. Whom it is for is written as in plan_of: company/CORP, department/CORP/NUMBER or
-- member/CORP/USERID.
CREATE TABLE service_hours (
    subject    TEXT   PRIMARY KEY,
    hours      TEXT   NOT NULL,
    changed_at BIGINT NOT NULL
) WITHOUT ROWID;

-- To whom the bot does not listen: a member of an enterprise, in all its applications.
ALTER TABLE blocked_member RENAME TO blocked_member_before;
CREATE TABLE blocked_member (
    corp   TEXT   NOT NULL,
    member TEXT   NOT NULL,
    userid TEXT   NOT NULL,                         -- as the operator wrote it
    reason TEXT   NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (corp, member)
) WITHOUT ROWID;
INSERT INTO blocked_member (corp, member, userid, reason, at)
    SELECT substr(lane, 1, instr(lane, '/') - 1),
           substr(substr(lane, instr(lane, '/') + 1), instr(substr(lane, instr(lane, '/') + 1), '/') + 1),
           member, reason, MIN(at)
    FROM blocked_member_before GROUP BY 1, 2;
DROP TABLE blocked_member_before;
