-- Stable views for auditors. Times are UTC; hashes and keys are lowercase hex.

-- One row per checked entry.
CREATE VIEW entries AS
  SELECT idx AS "index", id, decision, approver, rp_id,
         lower(hex(key)) AS key, sign_count, payload_encoding, lower(hex(payload_hash)) AS payload_hash,
         strftime('%Y-%m-%dT%H:%M:%fZ', requested_at / 1000.0, 'unixepoch') AS requested,
         strftime('%Y-%m-%dT%H:%M:%fZ', decided_at / 1000.0, 'unixepoch') AS decided,
         strftime('%Y-%m-%dT%H:%M:%fZ', expires_at / 1000.0, 'unixepoch') AS expires,
         requested_at AS requested_ms, decided_at AS decided_ms, expires_at AS expires_ms
  FROM entry_columns;

-- One row per leaf, as text.
CREATE VIEW leaf_text AS SELECT idx AS "index", CAST(leaf AS TEXT) AS leaf FROM leaves;

-- One row per standing finding.
CREATE VIEW standing_findings AS
  SELECT code, severity, idx AS "index", entry_id AS id, message, evidence, first_seen, last_seen
  FROM findings WHERE ended IS NULL AND pending = 0;

-- One row per signed head.
CREATE VIEW signed_heads AS
  SELECT size, lower(hex(root)) AS root, format, time,
         strftime('%Y-%m-%dT%H:%M:%fZ', time / 1000.0, 'unixepoch') AS signed,
         status, provenance, first_seen, last_seen, raw
  FROM heads;

-- One row per approver and passkey.
CREATE VIEW passkeys AS
  SELECT k.approver, lower(hex(k.key)) AS key, k.first_idx AS first_index, k.last_count AS sign_count,
         nullif(k.backup_eligible, 2) AS backup_eligible FROM keys k;
