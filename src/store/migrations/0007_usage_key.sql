-- The key by which upstreams are told of members without their names. Drawn once; whoever has it can find out whose an
-- identifier is.
CREATE TABLE usage_key (
    id  BIGINT PRIMARY KEY,                  -- 1
    key BLOB   NOT NULL
) WITHOUT ROWID;
