-- +goose Up
-- What came with a submission to be compared with: baseline files, the suite of the
-- base ref, lists of commits. Named by contents, so that many runs share one.
CREATE TABLE kept (
  digest TEXT PRIMARY KEY, -- SHA-256 of the body as it came
  at_ns  INTEGER NOT NULL,
  body   BLOB NOT NULL -- zstd
) STRICT;
CREATE INDEX round_levels ON round (project, branch, suite, baseline, at_ns) WHERE baseline IN ('joined','pending');

-- +goose Down
DROP INDEX round_levels;
DROP TABLE kept;
