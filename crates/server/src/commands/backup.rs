//! `roster backup` and `roster restore`

use std::path::Path;

use anyhow::Context as _;

use super::progress::{Progress, mebibytes};
use crate::compose;
use crate::config::Config;
use crate::output;

/// Copies the database into a new file.
pub fn back_up(config: &Config, file: &Path) -> anyhow::Result<()> {
    let mut progress = Progress::new();
    let size = compose::back_up(config, file, &mut |done, total| {
        progress.show(done, total, |_| format!("of {}", mebibytes(total)));
    });
    drop(progress);
    let size = size.context("there is no backup")?;
    output::print(&format!("{}, {}\n", file.display(), mebibytes(size)))
}

/// Replaces the database with a backup.
pub fn restore(config: &Config, file: &Path, force: bool) -> anyhow::Result<()> {
    let mut progress = Progress::new();
    let missing = compose::restore(config, file, force, &mut |done, total| {
        progress.show(done, total, |_| format!("of {}", mebibytes(total)));
    });
    drop(progress);
    let missing = missing.context("nothing was restored")?;
    let next = match missing.as_slice() {
        [] => String::new(),
        older => {
            format!("It is of an older program: the next start, or `roster migrate`, applies {}\n", older.join(", "))
        }
    };
    output::print(&format!("Restored into {}\n{next}", config.database.url))
}
