-- Records of the control plane. Times are Unix milliseconds, ids are UUIDs as text, limits are JSON as the API shows them.
-- Written for SQLite; queries keep to what PostgreSQL understands too.

CREATE TABLE organizations (
    id         TEXT   NOT NULL PRIMARY KEY,
    slug       TEXT   NOT NULL UNIQUE,
    name       TEXT   NOT NULL,
    time_zone  TEXT   NOT NULL,
    limits     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    revision   BIGINT NOT NULL
);

CREATE TABLE agents (
    id              TEXT   NOT NULL PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    slug            TEXT   NOT NULL,
    name            TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    revision        BIGINT NOT NULL,
    UNIQUE (organization_id, slug)
);

-- No agent: the key opens every agent of its organization.
-- hash is BLAKE3 of the secret, the only form in which a secret is kept; hint is what people are shown of it.
CREATE TABLE keys (
    id              TEXT    NOT NULL PRIMARY KEY,
    organization_id TEXT    NOT NULL REFERENCES organizations (id),
    agent_id        TEXT    REFERENCES agents (id),
    name            TEXT    NOT NULL,
    hash            BLOB    NOT NULL UNIQUE,
    access          TEXT    NOT NULL,
    hint            TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    created_by      TEXT    NOT NULL,
    last_used_at    BIGINT,
    expires_at      BIGINT,
    disabled        BOOLEAN NOT NULL,
    limits          TEXT    NOT NULL,
    revision        BIGINT  NOT NULL
);
CREATE INDEX keys_by_organization ON keys (organization_id, id);
CREATE INDEX keys_by_agent ON keys (agent_id);

-- People of an organization. Without a password: invited, and not yet come.
CREATE TABLE members (
    id              TEXT   NOT NULL PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    email           TEXT   NOT NULL UNIQUE,
    role            TEXT   NOT NULL,
    password_hash   TEXT,
    invitation_hash BLOB   UNIQUE,
    invited_until   BIGINT,
    created_at      BIGINT NOT NULL,
    revision        BIGINT NOT NULL
);
CREATE INDEX members_by_organization ON members (organization_id, id);

-- The agents of an agent admin.
CREATE TABLE member_agents (
    member_id TEXT NOT NULL REFERENCES members (id),
    agent_id  TEXT NOT NULL REFERENCES agents (id),
    PRIMARY KEY (member_id, agent_id)
);
CREATE INDEX member_agents_by_agent ON member_agents (agent_id);

-- People who run the deployment.
CREATE TABLE operators (
    id            TEXT   NOT NULL PRIMARY KEY,
    email         TEXT   NOT NULL UNIQUE,
    password_hash TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);

-- Programs that run the deployment. hash is BLAKE3 of the token.
CREATE TABLE management_tokens (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    hash       BLOB   NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- Sign-ins of people: either a member's or an operator's.
CREATE TABLE sessions (
    hash        BLOB   NOT NULL PRIMARY KEY,
    member_id   TEXT   REFERENCES members (id),
    operator_id TEXT   REFERENCES operators (id),
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    CHECK ((member_id IS NULL) <> (operator_id IS NULL))
);
CREATE INDEX sessions_by_member ON sessions (member_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- The outbox: what changed, in the order of commits, without gaps. A follower reads the record itself.
CREATE TABLE changes (
    seq     BIGINT NOT NULL PRIMARY KEY,
    kind    TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    at      BIGINT NOT NULL
);

-- The last number given out in `changes`. One row; whoever changes a record updates it first, which puts all changes
-- of all processes in one order.
CREATE TABLE change_sequence (
    id   BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    last BIGINT NOT NULL
);
INSERT INTO change_sequence (id, last) VALUES (1, 0);

-- Who did what to which record, and when. Outlives the records, so it refers to none.
CREATE TABLE audit (
    id              TEXT   NOT NULL PRIMARY KEY,
    at              BIGINT NOT NULL,
    actor           TEXT   NOT NULL,
    action          TEXT   NOT NULL,
    subject         TEXT   NOT NULL,
    subject_name    TEXT   NOT NULL,
    organization_id TEXT
);
CREATE INDEX audit_by_organization ON audit (organization_id, id);
