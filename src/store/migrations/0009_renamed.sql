-- Members who have another userid now, so that what is kept of them beside this file can follow (usage.db). Both ids are in
-- lower case; at is when it was heard, in epoch milliseconds. Pruned with age.
CREATE TABLE renamed (
    id   INTEGER PRIMARY KEY,
    corp TEXT   NOT NULL,
    old  TEXT   NOT NULL,
    new  TEXT   NOT NULL,
    at   BIGINT NOT NULL
);
