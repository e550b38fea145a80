/// How much of a database a process uses, as far as its store can tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The connections of the pool.
    pub connections: Option<Connections>,
    /// The write-ahead log of a SQLite file.
    pub wal: Option<Wal>,
}

/// The connections of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Those that callers hold now.
    pub in_use: u64,
    /// The most that they may hold.
    pub most: u64,
}

/// The write-ahead log of a SQLite file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wal {
    /// The size of its file in bytes.
    pub bytes: u64,
    /// How often it was begun anew after all of it was copied into the database, since its file was made.
    pub restarts: u64,
}
