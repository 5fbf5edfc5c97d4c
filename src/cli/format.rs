//! The forms in which diagnostics are told, and which of them stop.

use crate::report::diagnostics::{Checked, github, json, sarif};

/// `--format`
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Drawn, with the lines they point at
    #[default]
    Human,
    /// One object, described in docs/guide/checking.md
    Json,
    /// Annotations of a GitHub workflow
    Github,
    /// SARIF 2.1.0
    Sarif,
}

/// `--deny`
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deny {
    /// Warnings stop as errors do
    Warnings,
}

impl Format {
    /// Everything in this format; nothing where it is drawn for people.
    pub fn text(self, checked: &[Checked]) -> String {
        match self {
            Self::Human => String::new(),
            Self::Json => json(checked),
            Self::Github => github(checked),
            Self::Sarif => sarif(checked),
        }
    }
}
