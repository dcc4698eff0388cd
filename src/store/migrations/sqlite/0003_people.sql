-- People: one record for everybody who signs in, with a place in each of their organizations. The tables that this
-- replaces held operators; nothing was ever written to the others.

CREATE TABLE people (
    id             TEXT    NOT NULL PRIMARY KEY,
    email          TEXT    NOT NULL UNIQUE,
    name           TEXT,
    time_zone      TEXT,
    password_hash  TEXT,
    openid_issuer  TEXT,
    openid_subject TEXT,
    is_operator    BOOLEAN NOT NULL,
    created_at     BIGINT  NOT NULL,
    UNIQUE (openid_issuer, openid_subject)
);
INSERT INTO people (id, email, password_hash, is_operator, created_at)
    SELECT id, email, password_hash, TRUE, created_at FROM operators;

DROP TABLE sessions;
DROP TABLE member_agents;
DROP TABLE members;
DROP TABLE operators;

-- accepted: the person has come. Until then invitation_hash (BLAKE3 of the link's token) lets them in up to
-- invited_until, once.
CREATE TABLE members (
    id              TEXT    NOT NULL PRIMARY KEY,
    organization_id TEXT    NOT NULL REFERENCES organizations (id),
    person_id       TEXT    NOT NULL REFERENCES people (id),
    role            TEXT    NOT NULL,
    accepted        BOOLEAN NOT NULL,
    disabled        BOOLEAN NOT NULL,
    invitation_hash BLOB    UNIQUE,
    invited_until   BIGINT,
    created_at      BIGINT  NOT NULL,
    revision        BIGINT  NOT NULL,
    UNIQUE (organization_id, person_id)
);
CREATE INDEX members_by_organization ON members (organization_id, id);
CREATE INDEX members_by_person ON members (person_id);

-- The agents of an agent admin.
CREATE TABLE member_agents (
    member_id TEXT NOT NULL REFERENCES members (id),
    agent_id  TEXT NOT NULL REFERENCES agents (id),
    PRIMARY KEY (member_id, agent_id)
);
CREATE INDEX member_agents_by_agent ON member_agents (agent_id);

-- Sign-ins. hash is BLAKE3 of what the cookie holds. A session ends at expires_at, or when it was not seen for the
-- time that is configured.
CREATE TABLE sessions (
    hash       BLOB   NOT NULL PRIMARY KEY,
    id         TEXT   NOT NULL UNIQUE,
    person_id  TEXT   NOT NULL REFERENCES people (id),
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    address    TEXT,
    user_agent TEXT   NOT NULL
);
CREATE INDEX sessions_by_person ON sessions (person_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Browsers that somebody has signed in with, so that guessing from elsewhere does not lock them out. hash is BLAKE3 of
-- what the browser keeps.
CREATE TABLE browsers (
    hash       BLOB   NOT NULL PRIMARY KEY,
    person_id  TEXT   NOT NULL REFERENCES people (id),
    expires_at BIGINT NOT NULL
);
CREATE INDEX browsers_by_person ON browsers (person_id);
CREATE INDEX browsers_by_expiry ON browsers (expires_at);

-- Forms that were sent, so that sending one again does not do its work twice.
CREATE TABLE forms_sent (
    hash BLOB   NOT NULL PRIMARY KEY,
    at   BIGINT NOT NULL
);
CREATE INDEX forms_sent_by_time ON forms_sent (at);

-- Whose action it was, however they are called later; and which fields changed, as JSON.
ALTER TABLE audit ADD COLUMN actor_id TEXT;
ALTER TABLE audit ADD COLUMN fields TEXT;
CREATE INDEX audit_by_actor ON audit (organization_id, actor_id, id);
