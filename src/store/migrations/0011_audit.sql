-- What administrators changed. Each row's hash is over that of the row before and all of its own columns; what is added
-- is the next number, and nothing is changed or deleted. Userids, and what was written about members, are here by a
-- pseudonym of `audit_name`.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,             -- 1, 2, 3, ... without a gap
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,                 -- command/USER, operator/NAME/TOKEN, member/CORP/#PSEUDONYM, daemon
    action  TEXT   NOT NULL,
    object  TEXT   NOT NULL,
    changes TEXT   NOT NULL,                 -- JSON: {"field": [before, after]}; {"#": "PSEUDONYM"} for what is a member's
    result  TEXT   NOT NULL,
    hash    BLOB   NOT NULL                  -- SHA-256
);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_has_no_gaps BEFORE INSERT ON audit
WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit)
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;

-- What a pseudonym stands for: it is the beginning of the SHA-256 of salt and text, so it cannot be given to another
-- text. Rows of a member go when they are erased, and then nothing tells what it was.
CREATE TABLE audit_name (
    pseudonym TEXT NOT NULL PRIMARY KEY,
    member    TEXT NOT NULL,                 -- with whom it goes: the userid in lower case
    text      TEXT NOT NULL,
    salt      BLOB NOT NULL                  -- 16 random bytes
) WITHOUT ROWID;
CREATE INDEX audit_name_of ON audit_name (member, text);
CREATE TRIGGER audit_name_is_not_changed BEFORE UPDATE OF pseudonym, text, salt ON audit_name
BEGIN SELECT RAISE(ABORT, 'names of the audit log are not changed'); END;
