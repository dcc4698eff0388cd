-- The ledger of limits and the counts of requests. Times are unix milliseconds unless named otherwise.

-- One line for each key and kind of window: how much of the quota was granted to the process, used or not.
CREATE TABLE ledger (
    key_id    TEXT   NOT NULL,
    quota_per TEXT   NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at   BIGINT NOT NULL,
    granted   BIGINT NOT NULL,
    PRIMARY KEY (key_id, quota_per)
);
CREATE INDEX ledger_by_end ON ledger (ends_at);

-- When each key's bucket will be full again, and what one request costs, both in nanoseconds.
CREATE TABLE ledger_rates (
    key_id      TEXT   NOT NULL PRIMARY KEY,
    full_at_ns  BIGINT NOT NULL,
    interval_ns BIGINT NOT NULL
);
CREATE INDEX ledger_rates_by_full ON ledger_rates (full_at_ns);

-- How many requests of a key the running process may admit before it asks again, and how many it has counted in
-- `usage`. After a crash the difference is booked as allowed. Empty at the start of a process.
CREATE TABLE ledger_meters (
    key_id  TEXT   NOT NULL PRIMARY KEY,
    granted BIGINT NOT NULL,
    settled BIGINT NOT NULL
);

-- One line: until when the running process may admit, and whether it left cleanly.
CREATE TABLE ledger_life (
    id           BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    may_admit_to BIGINT NOT NULL,
    left_cleanly BIGINT NOT NULL
);

-- Requests by key and minute.
CREATE TABLE usage (
    key_id             TEXT   NOT NULL,
    at_minute          BIGINT NOT NULL,
    allowed            BIGINT NOT NULL,
    failed             BIGINT NOT NULL,
    denied_rate        BIGINT NOT NULL,
    denied_quota       BIGINT NOT NULL,
    denied_concurrency BIGINT NOT NULL,
    denied_other       BIGINT NOT NULL,
    PRIMARY KEY (key_id, at_minute)
);
CREATE INDEX usage_by_minute ON usage (at_minute);
