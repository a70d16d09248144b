-- Layout 1 of titanic's database, frozen: what `schema.migrate` must be able to bring up to date.
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE requests (
    seq      INTEGER PRIMARY KEY,
    id       BLOB NOT NULL UNIQUE,
    service  TEXT NOT NULL,
    state    INTEGER NOT NULL,
    tries    INTEGER NOT NULL,
    created  REAL NOT NULL,
    body     BLOB NOT NULL,
    reply    BLOB
);
CREATE INDEX waiting ON requests (service, seq) WHERE state = 0;
CREATE TABLE store (
    service TEXT NOT NULL,
    section TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   BLOB NOT NULL,
    PRIMARY KEY (service, section, key)
) WITHOUT ROWID;
INSERT INTO requests VALUES (3, x'00000000000000000000000000000003', 'pi.a.x', 0, 2, 1769000000.5, x'00000003616263', NULL);
INSERT INTO requests VALUES (4, x'00000000000000000000000000000004', 'pi.a.x', 0, 0, 12.5, x'0000000364656600000000', NULL);
INSERT INTO requests VALUES (5, x'00000000000000000000000000000005', 'pi.b.x', 1, 0, 1769000001.5, x'00000000', x'000000026f6b00000003323030');
INSERT INTO requests VALUES (6, x'00000000000000000000000000000006', 'pi.b.x', 2, 9, 1769000002.5, x'00000000', x'00000003776879');
INSERT INTO store VALUES ('onewire', 'devices', 'tank', x'7b7d');
PRAGMA user_version = 1;
COMMIT;
