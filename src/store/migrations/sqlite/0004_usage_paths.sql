-- Admitted requests by key, minute, route and agent. Every line has one of the same key and minute in `usage`, which
-- counts no fewer: that is written first, and both are forgotten together.

-- No agent: the route has none, and both of its columns are empty. `agent` is its slug when it was counted, because
-- the count outlives the agent.
CREATE TABLE usage_paths (
    key_id    TEXT   NOT NULL,
    at_minute BIGINT NOT NULL,
    route     TEXT   NOT NULL,
    agent_id  TEXT   NOT NULL,
    agent     TEXT   NOT NULL,
    requests  BIGINT NOT NULL,
    PRIMARY KEY (key_id, at_minute, route, agent_id)
) WITHOUT ROWID;
