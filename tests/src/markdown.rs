//! The pages of the project, of which tests run what they print.

use std::fs;
use std::path::Path;

/// A fenced block of a page.
#[derive(Debug)]
pub struct Block {
    /// What is written behind the fence, such as `sh`.
    pub language: String,
    /// Its lines.
    pub text: String,
}

/// The text of `README.md`.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn readme() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    fs::read_to_string(root.join("README.md")).expect("README.md")
}

/// The fenced blocks of a page, in their order.
///
/// # Panics
/// If the last one does not end.
#[must_use]
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in markdown.lines() {
        if let Some(language) = line.strip_prefix("```") {
            match open.take() {
                Some(block) => blocks.push(block),
                None => open = Some(Block { language: language.to_owned(), text: String::new() }),
            }
        } else if let Some(block) = &mut open {
            block.text.push_str(line);
            block.text.push('\n');
        }
    }
    assert!(open.is_none(), "the last block does not end");
    blocks
}
