-- Operators prove a second factor by a code that is good once: the thirty seconds, counted from 1970, of the last one that
-- opened a session. What codes follow from is a row of `secret`, called operator/NAME.
ALTER TABLE operator ADD COLUMN second_factor_step BIGINT;
