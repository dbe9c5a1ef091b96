-- Edits that the judge thought little of, kept to train on where `capture.low_scores` is on.
CREATE TABLE captured (
    id TEXT PRIMARY KEY,
    -- name of the key that asked for the edit
    owner TEXT NOT NULL,
    created BIGINT NOT NULL,
    -- of the picture
    bytes BIGINT NOT NULL,
    -- JSON: instruction, edit type, object, score
    edit TEXT NOT NULL
);
CREATE INDEX captured_created ON captured (created);
