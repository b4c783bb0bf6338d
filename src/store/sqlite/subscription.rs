//! The former table of subscriptions: [`super::kv`] migrates it.

pub(super) const TABLE: &str = "
    CREATE TABLE subscription (
        center TEXT NOT NULL,
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        callback BLOB NOT NULL,
        PRIMARY KEY (center, id, name, callback)
    ) STRICT, WITHOUT ROWID;
";
