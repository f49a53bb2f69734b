//! The files, one after another, with a progress bar for large ones.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use digime::{Delivery, PostboxItem};
use indicatif::{ProgressBar, ProgressStyle};

use crate::user::User;

/// The size, in bytes, from which a file gets a progress bar.
const LARGE: u64 = 4 * 1024 * 1024;

/// Checks that the files exist, before the user is asked for anything.
pub(crate) fn check(files: &[PathBuf]) -> Result<()> {
    for file in files {
        std::fs::File::open(file).with_context(|| format!("can't read `{}`", file.display()))?;
    }
    Ok(())
}

/// Pushes one file after another, until one fails.
pub(crate) async fn push_all(
    files: &[PathBuf],
    account: Option<String>,
    user: &User,
    push: impl AsyncFn(PostboxItem, &Path) -> std::result::Result<Delivery, digime::Error>,
) -> Result<()> {
    for file in files {
        let bar = progress_bar(file)?;
        let shown = bar.clone();
        let mut item =
            PostboxItem::file(file).on_progress(move |progress| shown.set_position(progress.sent));
        if let Some(account) = &account {
            item = item.account(account);
        }
        let delivery = push(item, file).await;
        bar.finish_and_clear();
        user.receive(file, &delivery?)?;
    }
    Ok(())
}

/// A progress bar on standard error, if that is a terminal and the file is large.
fn progress_bar(file: &Path) -> Result<ProgressBar> {
    let length = std::fs::metadata(file)?.len();
    if length < LARGE {
        return Ok(ProgressBar::hidden());
    }
    let style =
        ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}")?;
    Ok(ProgressBar::new(length)
        .with_style(style)
        .with_message(file.display().to_string()))
}
