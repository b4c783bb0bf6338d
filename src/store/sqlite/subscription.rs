//! The table that subscriptions had to themselves before there were facts: [`super::state`] carries it over.

pub(super) const TABLE: &str = "
    CREATE TABLE subscription (
        center TEXT NOT NULL,
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        callback BLOB NOT NULL,
        PRIMARY KEY (center, id, name, callback)
    ) STRICT, WITHOUT ROWID;
";
