-- Times are milliseconds since 1970; 0 is "not yet". Booleans are 0 and 1. Both databases read this file.
CREATE TABLE datasets (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created BIGINT NOT NULL,
    -- JSON
    report TEXT NOT NULL
);
CREATE UNIQUE INDEX datasets_name ON datasets (name);

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    created BIGINT NOT NULL,
    started BIGINT NOT NULL,
    finished BIGINT NOT NULL,
    dataset TEXT NOT NULL,
    -- JSON: what was asked for
    plan TEXT NOT NULL,
    -- whoever holds the lease
    worker TEXT NOT NULL,
    -- counts claims: writes of an older claim change nothing
    epoch BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    -- claims in a row that died without a new checkpoint
    barren BIGINT NOT NULL,
    -- newest checkpoint at the claim
    claimed_at_step BIGINT NOT NULL,
    step BIGINT NOT NULL,
    steps BIGINT NOT NULL,
    checkpoint_step BIGINT NOT NULL,
    sample_step BIGINT NOT NULL,
    -- what clients ask of whoever runs the job
    pause_wanted BIGINT NOT NULL,
    saves_wanted BIGINT NOT NULL,
    samples_wanted BIGINT NOT NULL,
    -- events written
    events BIGINT NOT NULL,
    -- JSON: how it ended
    outcome TEXT NOT NULL
);
CREATE INDEX jobs_status ON jobs (status, created);

CREATE TABLE events (
    job TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    -- JSON
    data TEXT NOT NULL,
    PRIMARY KEY (job, seq)
);

CREATE TABLE adapters (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    -- JSON: dataset, recipe, base, job, metrics
    lineage TEXT NOT NULL
);

CREATE TABLE aliases (
    name TEXT PRIMARY KEY,
    adapter TEXT NOT NULL,
    -- counts moves
    version BIGINT NOT NULL
);

CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    -- hash of the request
    fingerprint TEXT NOT NULL,
    -- what the request made
    made TEXT NOT NULL
);
