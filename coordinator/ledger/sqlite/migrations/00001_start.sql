-- +goose Up
CREATE TABLE run (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  state       TEXT NOT NULL CHECK (state IN ('open','judging','more','decided','cancelled')),
  project     TEXT NOT NULL,
  suite       TEXT NOT NULL,
  branch      TEXT NOT NULL,
  commit_id   TEXT NOT NULL,
  lane        TEXT NOT NULL,
  created_ns  INTEGER NOT NULL,
  rounds      INTEGER NOT NULL,
  doc         TEXT NOT NULL, -- result.Run as JSON
  faults      TEXT NOT NULL, -- JSON array
  options     TEXT NOT NULL, -- JSON
  reason      TEXT NOT NULL DEFAULT '',
  verdict     TEXT NOT NULL DEFAULT '',
  exit_code   INTEGER NOT NULL DEFAULT 0,
  decided_ns  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX run_commit ON run (commit_id);

CREATE TABLE judgement (
  run_id  TEXT NOT NULL REFERENCES run (id),
  pass    INTEGER NOT NULL,
  at_ns   INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  exit_code INTEGER NOT NULL,
  input   BLOB NOT NULL, -- JSON, zstd
  report  BLOB NOT NULL, -- JSON, zstd
  PRIMARY KEY (run_id, pass)
) STRICT;

CREATE TABLE agent (
  id          TEXT PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE,
  state       TEXT NOT NULL CHECK (state IN ('idle','busy','lost','draining','quarantined','retired')),
  reason      TEXT NOT NULL DEFAULT '',
  labels      TEXT NOT NULL,
  devices     TEXT NOT NULL,
  build       TEXT NOT NULL,
  local       INTEGER NOT NULL,
  enrolled_ns INTEGER NOT NULL,
  seen_ns     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE attempt (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  run_id      TEXT NOT NULL REFERENCES run (id),
  state       TEXT NOT NULL CHECK (state IN ('queued','leased','running','uploading','done','error','lost','cancelled','expired')),
  created_ns  INTEGER NOT NULL,
  doc         TEXT NOT NULL, -- what was asked: ledger.Attempt as JSON; the columns hold what happened
  agent_id    TEXT REFERENCES agent (id),
  claim_id    TEXT UNIQUE,
  leased_ns   INTEGER NOT NULL DEFAULT 0,
  leased      TEXT NOT NULL DEFAULT '[]',
  beat        INTEGER NOT NULL DEFAULT 0,
  ended_ns    INTEGER NOT NULL DEFAULT 0,
  problem     TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX attempt_run ON attempt (run_id);
CREATE INDEX attempt_live ON attempt (state) WHERE state IN ('queued','leased','running','uploading');

-- Who holds which device. The partial index is what forbids a double lease.
CREATE TABLE device_lease (
  attempt_id TEXT NOT NULL REFERENCES attempt (id),
  agent_id   TEXT NOT NULL REFERENCES agent (id),
  device     TEXT NOT NULL,
  active     INTEGER NOT NULL,
  PRIMARY KEY (attempt_id, device)
) STRICT;
CREATE UNIQUE INDEX device_active ON device_lease (agent_id, device) WHERE active = 1;

-- Claims that got nothing, so that a repeated one gets nothing again. The newest of
-- each agent are kept.
CREATE TABLE claim_none (
  seq      INTEGER PRIMARY KEY AUTOINCREMENT,
  claim_id TEXT NOT NULL UNIQUE,
  agent_id TEXT NOT NULL REFERENCES agent (id),
  why      TEXT NOT NULL
) STRICT;
CREATE INDEX claim_none_agent ON claim_none (agent_id, seq);

CREATE TABLE batch (
  seq_id     INTEGER PRIMARY KEY,
  attempt_id TEXT NOT NULL REFERENCES attempt (id),
  stream     TEXT NOT NULL,
  seq        INTEGER NOT NULL,
  records    INTEGER NOT NULL,
  stored_ns  INTEGER NOT NULL,
  sum        BLOB NOT NULL, -- SHA-256 of body
  body       BLOB NOT NULL, -- as it came
  UNIQUE (attempt_id, stream, seq)
) STRICT;

-- The last sequence of each stream without a gap before it.
CREATE TABLE stream (
  attempt_id TEXT NOT NULL REFERENCES attempt (id),
  stream     TEXT NOT NULL,
  high       INTEGER NOT NULL,
  PRIMARY KEY (attempt_id, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE round (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  run_id      TEXT NOT NULL REFERENCES run (id),
  attempt_id  TEXT NOT NULL REFERENCES attempt (id),
  agent_id    TEXT NOT NULL REFERENCES agent (id),
  idx         INTEGER NOT NULL,
  at_ns       INTEGER NOT NULL UNIQUE,
  machine     TEXT NOT NULL,
  project     TEXT NOT NULL,
  suite       TEXT NOT NULL,
  branch      TEXT NOT NULL,
  commit_id   TEXT NOT NULL,
  commit_ns   INTEGER NOT NULL,
  lane        TEXT NOT NULL,
  build       TEXT NOT NULL,
  valid       INTEGER NOT NULL,
  faults      INTEGER NOT NULL,
  synthetic   INTEGER NOT NULL,
  baseline    TEXT NOT NULL DEFAULT 'none' CHECK (baseline IN ('none','joined','pending','former')),
  doc         BLOB NOT NULL -- result.Round as JSON, zstd
) STRICT;
CREATE INDEX round_run ON round (run_id, idx);
CREATE INDEX round_level ON round (branch, suite, baseline) WHERE baseline IN ('joined','pending');

CREATE TABLE series (
  id        INTEGER PRIMARY KEY,
  digest    TEXT NOT NULL,
  key       TEXT NOT NULL, -- result.Key as JSON
  project   TEXT NOT NULL,
  suite     TEXT NOT NULL,
  workload  TEXT NOT NULL,
  point     TEXT NOT NULL,
  metric    TEXT NOT NULL,
  target    TEXT NOT NULL,
  model     TEXT NOT NULL,
  synthetic INTEGER NOT NULL,
  last_ns   INTEGER NOT NULL,
  UNIQUE (digest)
) STRICT;
CREATE INDEX series_order ON series (project, suite, workload, metric);

CREATE TABLE round_value (
  series_id INTEGER NOT NULL REFERENCES series (id),
  at_ns     INTEGER NOT NULL, -- the round's time plus the value's index in the round
  round_seq INTEGER NOT NULL REFERENCES round (seq),
  value     REAL NOT NULL,
  spread    REAL NOT NULL,
  n         INTEGER NOT NULL,
  valid     INTEGER NOT NULL,
  PRIMARY KEY (series_id, at_ns)
) STRICT, WITHOUT ROWID;
CREATE INDEX round_value_round ON round_value (round_seq);

CREATE TABLE probe (
  machine   TEXT NOT NULL,
  device    TEXT NOT NULL,
  kind      TEXT NOT NULL,
  round_seq INTEGER NOT NULL REFERENCES round (seq),
  idx       INTEGER NOT NULL,
  value     REAL NOT NULL,
  usable    INTEGER NOT NULL, -- 0: its round was found off by the probe; not part of the history
  PRIMARY KEY (machine, device, kind, round_seq, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE acceptance (
  seq     INTEGER PRIMARY KEY AUTOINCREMENT,
  project TEXT NOT NULL,
  branch  TEXT NOT NULL,
  suite   TEXT NOT NULL,
  reason  TEXT NOT NULL,
  by_whom TEXT NOT NULL,
  at_ns   INTEGER NOT NULL,
  rounds  INTEGER NOT NULL
) STRICT;

CREATE TABLE pin (
  name    TEXT NOT NULL,
  project TEXT NOT NULL,
  branch  TEXT NOT NULL,
  suite   TEXT NOT NULL,
  runs    TEXT NOT NULL,
  reason  TEXT NOT NULL,
  by_whom TEXT NOT NULL,
  at_ns   INTEGER NOT NULL,
  PRIMARY KEY (name, project, suite)
) STRICT;

CREATE TABLE task (
  kind     TEXT NOT NULL,
  key      TEXT NOT NULL,
  due_ns   INTEGER NOT NULL,
  lease_ns INTEGER NOT NULL DEFAULT 0, -- held until then; 0: free
  tries    INTEGER NOT NULL DEFAULT 0,
  gen      INTEGER NOT NULL DEFAULT 1,
  problem  TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_due ON task (kind, due_ns);

CREATE TABLE event (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ns  INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  kind   TEXT NOT NULL,
  data   TEXT NOT NULL
) STRICT;
CREATE INDEX event_run ON event (run_id, id);

CREATE TABLE audit (
  seq    INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ns  INTEGER NOT NULL,
  who    TEXT NOT NULL,
  action TEXT NOT NULL,
  object TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;

-- +goose Down
DROP TABLE audit;
DROP TABLE event;
DROP TABLE task;
DROP TABLE pin;
DROP TABLE acceptance;
DROP TABLE probe;
DROP TABLE round_value;
DROP TABLE series;
DROP TABLE round;
DROP TABLE stream;
DROP TABLE batch;
DROP TABLE claim_none;
DROP TABLE device_lease;
DROP TABLE attempt;
DROP TABLE agent;
DROP TABLE judgement;
DROP TABLE run;
