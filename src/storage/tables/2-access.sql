CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    -- owner of what is made with it; two keys of one name are one owner
    name TEXT NOT NULL,
    -- first characters, to tell keys apart
    prefix TEXT NOT NULL,
    -- SHA-256 of the key, hexadecimal
    hash TEXT NOT NULL,
    -- names, separated by spaces
    scopes TEXT NOT NULL,
    created BIGINT NOT NULL,
    revoked BIGINT NOT NULL
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);

-- Every row belongs to the name of a key, to 'anonymous', or, as '', to everyone.
ALTER TABLE datasets ADD COLUMN owner TEXT NOT NULL DEFAULT 'anonymous';
UPDATE datasets SET owner = '' WHERE id = 'set-demo';
DROP INDEX datasets_name;
CREATE UNIQUE INDEX datasets_name ON datasets (owner, name);

ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT 'anonymous';
CREATE INDEX jobs_owner ON jobs (owner, id);

-- Adapters are named by their content: two owners may have made the same one.
CREATE TABLE owned_adapters (
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    created BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    -- JSON: dataset, recipe, base, job, metrics
    lineage TEXT NOT NULL,
    PRIMARY KEY (id, owner)
);
INSERT INTO owned_adapters (id, owner, created, bytes, lineage) SELECT id, 'anonymous', created, bytes, lineage FROM adapters;
DROP TABLE adapters;
ALTER TABLE owned_adapters RENAME TO adapters;

CREATE TABLE owned_aliases (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    adapter TEXT NOT NULL,
    -- counts moves
    version BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);
INSERT INTO owned_aliases (owner, name, adapter, version) SELECT 'anonymous', name, adapter, version FROM aliases;
DROP TABLE aliases;
ALTER TABLE owned_aliases RENAME TO aliases;

CREATE TABLE owned_idempotency (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    created BIGINT NOT NULL,
    -- hash of the request
    fingerprint TEXT NOT NULL,
    -- what the request made
    made TEXT NOT NULL,
    PRIMARY KEY (owner, key)
);
INSERT INTO owned_idempotency (owner, key, created, fingerprint, made) SELECT 'anonymous', key, created, fingerprint, made FROM idempotency;
DROP TABLE idempotency;
ALTER TABLE owned_idempotency RENAME TO idempotency;
