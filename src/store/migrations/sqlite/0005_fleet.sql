-- What a fleet keeps: which publisher and which lineage of the hub, the gateways that were seen, and how far their
-- counts are on record.

-- For whoever passes changes on: whose the record is, and of a deleted key the hash that is to be refused.
ALTER TABLE changes ADD COLUMN organization_id TEXT;
ALTER TABLE changes ADD COLUMN key_hash BLOB;

-- One row. Both numbers only grow: term with each publisher, epoch with each lineage of what the hub holds.
CREATE TABLE fleet (
    id    BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch BIGINT NOT NULL,
    term  BIGINT NOT NULL
);
INSERT INTO fleet (id, epoch, term) VALUES (1, 0, 0);

-- One row for each life of a gateway. left_at: it has said that it admits nothing any more.
CREATE TABLE fleet_gateways (
    gateway_id TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    version    TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    goes_on_ms BIGINT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    left_at    BIGINT
);
CREATE INDEX fleet_gateways_by_last_seen ON fleet_gateways (last_seen);

-- The number of the last batch of counts of each gateway that is in `usage`, written in the same transaction.
CREATE TABLE usage_batches (
    gateway_id TEXT   NOT NULL PRIMARY KEY,
    recorded   BIGINT NOT NULL,
    at         BIGINT NOT NULL
);
CREATE INDEX usage_batches_by_time ON usage_batches (at);

-- The log is kept for a limited time.
CREATE INDEX audit_by_time ON audit (at);
