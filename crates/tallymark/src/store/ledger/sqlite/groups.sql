-- Pushed groups: documents under keys, and the order in which they changed.

-- One row: drawn when the database was made, and how many changes there were.
CREATE TABLE revision (epoch BLOB NOT NULL, number INTEGER NOT NULL);
INSERT INTO revision VALUES (randomblob(16), 0);

-- A group that was deleted has no document; its row is kept for a thousand changes, for those that knew it.
CREATE TABLE groups (
    key BLOB PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    document BLOB
) WITHOUT ROWID;
