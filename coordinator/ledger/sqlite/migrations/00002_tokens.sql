-- +goose Up
ALTER TABLE agent ADD COLUMN caller INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agent ADD COLUMN public_key TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX agent_key ON agent (public_key) WHERE public_key <> '';

CREATE TABLE token (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  id         TEXT NOT NULL UNIQUE,
  hash       BLOB NOT NULL UNIQUE, -- SHA-256 of the token; the token itself is kept nowhere
  kind       TEXT NOT NULL CHECK (kind IN ('api','enrol')),
  name       TEXT NOT NULL,
  scopes     TEXT NOT NULL, -- JSON array
  agent      TEXT NOT NULL,
  made_by    TEXT NOT NULL,
  created_ns INTEGER NOT NULL,
  expires_ns INTEGER NOT NULL,
  used_ns    INTEGER NOT NULL DEFAULT 0,
  spent_ns   INTEGER NOT NULL DEFAULT 0,
  revoked_ns INTEGER NOT NULL DEFAULT 0
) STRICT;

-- +goose Down
DROP TABLE token;
DROP INDEX agent_key;
ALTER TABLE agent DROP COLUMN public_key;
ALTER TABLE agent DROP COLUMN caller;
