-- The tables of a Tallymark store in SQLite, format 1. docs/stores/sqlite.md says what may be done with them.
--
-- Moments are nanoseconds since the Unix epoch where they are INTEGER, seconds where they are REAL. SQLite has no NaN: a
-- NULL where a REAL belongs is NaN. Lists and labels are JSON as json_array() and json_object() write it.

-- One row.
CREATE TABLE store (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL,     -- UUID, drawn when the database was made
    clock INTEGER NOT NULL   -- the latest moment it was told; never goes back
);

-- What a metric is. All but help and unit makes two definitions the same family.
CREATE TABLE families (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,         -- as OpenMetrics has it: a counter's without _total
    type TEXT NOT NULL,         -- counter, gauge, histogram, summary, info, stateset, …
    mode TEXT NOT NULL,         -- how a gauge's values of several processes become one; auto for the other types
    label_names TEXT NOT NULL,  -- ["method","code"]
    bounds TEXT NOT NULL,       -- a histogram's: ["0.5","1.0","+Inf"]
    states TEXT NOT NULL,       -- a state set's: ["off","on"]
    help TEXT NOT NULL,
    unit TEXT NOT NULL,
    UNIQUE (name, type, mode, label_names, bounds, states)
);

-- One set of label values, and the numbers of which a series has one.
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    family INTEGER NOT NULL REFERENCES families (id),
    labels TEXT NOT NULL,                  -- {"method":"GET","code":"200"}, in the order of label_names
    created REAL NOT NULL,                 -- the earliest anybody said, 0 if nobody did
    used INTEGER NOT NULL,                 -- when a batch was last about it
    -- A counter is whole + sum + sum_low, a histogram's or summary's sum is sum + sum_low.
    whole INTEGER NOT NULL CHECK (typeof(whole) = 'integer' AND whole >= 0),
    sum REAL CHECK (typeof(sum) IN ('real', 'null')),
    sum_low REAL NOT NULL CHECK (typeof(sum_low) = 'real'),  -- what rounding took from sum
    UNIQUE (family, labels)
);

-- Observations by bucket, each in one only: buckets are counted from 0, as in bounds. A summary's count is that of bucket 0.
-- No row is 0.
CREATE TABLE bucket_counts (
    series INTEGER NOT NULL REFERENCES series (id),
    bucket INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (typeof(count) = 'integer' AND count >= 0),
    PRIMARY KEY (series, bucket)
) WITHOUT ROWID;

-- A gauge's values, by process; a state set's, which are indexes into states.
CREATE TABLE gauge_values (
    series INTEGER NOT NULL REFERENCES series (id),
    writer INTEGER NOT NULL,   -- writers.id; 0: what is kept of writers that have ended
    place INTEGER NOT NULL,    -- counts those of one series and writer
    instance TEXT,             -- with writer 0: the host that it was
    pid INTEGER NOT NULL,
    value REAL,
    stamp INTEGER NOT NULL,    -- when it was set; 0: never, 1: before a restart of the host
    live INTEGER NOT NULL,     -- whether the process lived when its writer was last heard of
    kept INTEGER NOT NULL,     -- 1: stands for processes that have ended
    PRIMARY KEY (series, writer, place)
) WITHOUT ROWID;
CREATE INDEX gauge_values_by_writer ON gauge_values (writer);

-- Exemplars, of bucket `part` (0 for a counter), and the labels of infos (part 0, without value and time).
CREATE TABLE notes (
    series INTEGER NOT NULL REFERENCES series (id),
    part INTEGER NOT NULL,
    stamp INTEGER NOT NULL,    -- the newest stays
    labels TEXT NOT NULL,
    value REAL,
    time REAL,                 -- NULL: none was said
    PRIMARY KEY (series, part)
) WITHOUT ROWID;

-- Who sends batches: the spool of a host.
CREATE TABLE writers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    instance TEXT,                 -- its host; NULL: it said goodbye, or never said who it is
    sequence INTEGER,              -- the number of the last batch that was taken from it
    lease_ends INTEGER NOT NULL,   -- its processes are taken to live until then
    processes INTEGER NOT NULL,
    users TEXT NOT NULL            -- how many of its processes count in which family: {"<FNV-1a of its key>":2}
);
CREATE INDEX writers_by_lease ON writers (lease_ends);

-- Series that were removed, for the writers that have not heard of it. The last 1000 are kept.
CREATE TABLE removals (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    writer TEXT NOT NULL,      -- writers.uuid of the one who removed them
    id INTEGER NOT NULL,       -- names it among those of the writer
    family INTEGER NOT NULL REFERENCES families (id),
    wanted TEXT NOT NULL,      -- which values at which places of label_names, counted from 0: [[0,"GET"]]
    UNIQUE (writer, id)
);

-- A series goes with all that is its own, whoever deletes it.
CREATE TRIGGER series_deleted AFTER DELETE ON series BEGIN
    DELETE FROM bucket_counts WHERE series = old.id;
    DELETE FROM gauge_values WHERE series = old.id;
    DELETE FROM notes WHERE series = old.id;
END;
CREATE TRIGGER writers_deleted AFTER DELETE ON writers BEGIN
    DELETE FROM gauge_values WHERE writer = old.id;
END;

CREATE VIEW counters AS
SELECT f.name || '_total' AS name, s.labels,
    CASE WHEN s.sum = 0 AND s.sum_low = 0 THEN s.whole ELSE s.whole + (s.sum + s.sum_low) END AS value
FROM series AS s JOIN families AS f ON f.id = s.family
WHERE f.type = 'counter';

-- Process by process; how they become one is for the mode to say.
CREATE VIEW gauges AS
SELECT f.name, s.labels, f.mode, coalesce(w.instance, v.instance) AS instance, v.pid, v.value,
    CASE WHEN v.stamp > 1 THEN datetime(v.stamp / 1000000000, 'unixepoch') END AS set_at,
    v.live AND coalesce(w.lease_ends, 0) > strftime('%s', 'now') * 1000000000 AS live
FROM gauge_values AS v
JOIN series AS s ON s.id = v.series
JOIN families AS f ON f.id = s.family
LEFT JOIN writers AS w ON w.id = v.writer
WHERE f.type = 'gauge';

-- Cumulative, as in an exposition.
CREATE VIEW histograms AS
SELECT f.name, s.labels, le.value AS le,
    (SELECT coalesce(sum(b.count), 0) FROM bucket_counts AS b WHERE b.series = s.id AND b.bucket <= le.key) AS count
FROM series AS s JOIN families AS f ON f.id = s.family, json_each(f.bounds) AS le
WHERE f.type = 'histogram';

-- Count and sum of summaries, and of histograms.
CREATE VIEW summaries AS
SELECT f.name, s.labels, f.type,
    (SELECT coalesce(sum(b.count), 0) FROM bucket_counts AS b WHERE b.series = s.id) AS count,
    s.sum + s.sum_low AS sum
FROM series AS s JOIN families AS f ON f.id = s.family
WHERE f.type IN ('summary', 'histogram');

CREATE VIEW infos AS
SELECT f.name || '_info' AS name, s.labels, n.labels AS info
FROM notes AS n JOIN series AS s ON s.id = n.series JOIN families AS f ON f.id = s.family
WHERE f.type = 'info';

CREATE VIEW states AS
SELECT f.name, s.labels, (
        SELECT state.value FROM gauge_values AS v JOIN json_each(f.states) AS state ON state.key = v.value
        WHERE v.series = s.id ORDER BY v.stamp DESC LIMIT 1
    ) AS state
FROM series AS s JOIN families AS f ON f.id = s.family
WHERE f.type = 'stateset';

CREATE VIEW exemplars AS
SELECT f.name, s.labels, json_extract(f.bounds, '$[' || n.part || ']') AS le, n.labels AS exemplar, n.value, n.time
FROM notes AS n JOIN series AS s ON s.id = n.series JOIN families AS f ON f.id = s.family
WHERE f.type <> 'info';
