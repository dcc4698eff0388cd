-- Records of the control plane. Times are Unix milliseconds, ids are UUIDs as text, limits are JSON as the API shows them.
-- Texts compare byte by byte, as they do in SQLite, whatever the database's own order is.

CREATE TABLE organizations (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    slug TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    time_zone TEXT COLLATE "C" NOT NULL,
    limits TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE TABLE agents (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    slug TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    UNIQUE (organization_id, slug)
);

-- No agent: the key opens every agent of its organization.
-- hash is BLAKE3 of the secret, the only form in which a secret is kept; hint is what people are shown of it.
CREATE TABLE keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    agent_id TEXT COLLATE "C" REFERENCES agents (id),
    name TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    access TEXT COLLATE "C" NOT NULL,
    hint TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    last_used_at BIGINT,
    expires_at BIGINT,
    disabled BOOLEAN NOT NULL,
    limits TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX keys_by_organization ON keys (organization_id, id);
CREATE INDEX keys_by_agent ON keys (agent_id);

-- Programs that run the deployment. hash is BLAKE3 of the token.
CREATE TABLE management_tokens (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- The outbox: what changed, in the order of commits, without gaps. A follower reads the record itself.
CREATE TABLE changes (
    seq BIGINT NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL
);

-- The last number given out in `changes`. One row; whoever changes a record updates it first, which puts all changes
-- of all processes in one order.
CREATE TABLE change_sequence (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    last BIGINT NOT NULL
);
INSERT INTO change_sequence (id, last) VALUES (1, 0);

-- Who did what to which record, and when. Outlives the records, so it refers to none.
CREATE TABLE audit (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    subject_name TEXT COLLATE "C" NOT NULL,
    organization_id TEXT COLLATE "C"
);
CREATE INDEX audit_by_organization ON audit (organization_id, id);
