-- What a conversation is beside its texts: media, settings of members, what is remembered.

-- Media: what members sent and the bot made.

-- Several messages as one turn.

-- What members chose, who is blocked, announcements, cards and the menu.

-- What is remembered: summaries, facts, profiles.

-- What is sent beside text.

-- Counts of what was held back or masked.
