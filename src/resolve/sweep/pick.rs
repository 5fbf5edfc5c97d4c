//! What the command line picks of a sweep: `--only axis=level`, `--seeds 0..3`.

use super::filter::near;
use super::{Axis, Reader};
use crate::diag::{Diagnostic, Span, Spanned, codes};
use crate::syntax::Name;

/// A level that `--only` keeps of an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub axis: Name,
    pub level: Name,
}

impl Kept {
    /// Reads `axis=level`, the text of file number `file`.
    pub fn parse(file: u16, text: &str) -> Result<Self, Diagnostic> {
        let whole =
            |(axis, level): &(&str, &str)| !axis.trim().is_empty() && !level.trim().is_empty();
        let Some((axis, level)) = text.split_once('=').filter(whole) else {
            return Err(Diagnostic::new(&codes::STATEMENT, "`--only` names an axis and a level")
                .at(Span::new(file, 0, text.len()), "write `axis=level`"));
        };
        let piece = |piece: &str, offset: usize| {
            let start = offset + piece.len() - piece.trim_start().len();
            let node = piece.trim().to_owned();
            Spanned { span: Span::new(file, start, start + node.len()), node }
        };
        let (axis, mut level) = (piece(axis, 0), piece(level, axis.len() + 1));
        if let Some(inner) = level.node.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
            level.node = inner.to_owned();
        }
        Ok(Self { axis, level })
    }

    /// Whether it keeps the level called `label`.
    fn keeps(&self, label: &str) -> bool {
        let same_number = || Some(near(number(&self.level.node)?, number(label)?));
        self.level.node == label || same_number().unwrap_or(false)
    }
}

/// `--seeds 0..3` and `--seeds 1,2` as they would stand in a file.
pub fn seeds_as_field(text: &str) -> String {
    let is_range = text.contains("..") && !text.contains(',');
    match is_range || text.trim_start().starts_with('[') {
        true => format!("seeds = {text}"),
        false => format!("seeds = [{text}]"),
    }
}

/// Which levels of each axis are kept.
pub(super) struct Picked(Vec<Vec<bool>>);

impl Picked {
    /// Whether the cell with these levels is kept.
    pub fn keeps(&self, levels: &[usize]) -> bool {
        self.0.iter().zip(levels).all(|(kept, at)| kept[*at])
    }
}

impl Reader<'_> {
    /// The levels that `kept` leaves; several of one axis add up.
    pub(super) fn pick(&mut self, axes: &[Axis], kept: &[Kept], design: &Name) -> Picked {
        let mut asked = vec![false; axes.len()];
        let mut picked: Vec<Vec<bool>> =
            axes.iter().map(|axis| vec![true; axis.levels.len()]).collect();
        for kept in kept {
            let Some((at, name)) = find(axes, &kept.axis.node) else {
                self.out.push(no_axis(axes, kept, design));
                continue;
            };
            if !std::mem::replace(&mut asked[at], true) {
                picked[at].fill(false);
            }
            let levels = axes[at].levels.iter();
            let found: Vec<bool> = levels.map(|level| kept.keeps(&level.labels[name])).collect();
            if !found.contains(&true) {
                self.out.push(no_level(&axes[at], name, kept));
                picked[at].fill(true);
            }
            picked[at].iter_mut().zip(found).for_each(|(kept, found)| *kept |= found);
        }
        Picked(picked)
    }
}

/// The axis of a name, or of a path it sets: its number, and the name's number on it.
pub(super) fn find(axes: &[Axis], text: &str) -> Option<(usize, usize)> {
    axes.iter().enumerate().find_map(|(at, axis)| {
        let by_name = axis.names.iter().position(|name| name.node == text);
        let by_path = || axis.paths.iter().position(|it| it.as_deref() == Some(text));
        Some((at, by_name.or_else(by_path)?))
    })
}

fn no_axis(axes: &[Axis], kept: &Kept, design: &Name) -> Diagnostic {
    let message = format!("`{}` has no axis `{}`", design.node, kept.axis.node);
    let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
    let names: Vec<&str> =
        axes.iter().flat_map(|axis| &axis.names).map(|name| name.node.as_str()).collect();
    match names[..] {
        [] => diagnostic.at(kept.axis.span, "it has no axis at all"),
        _ => diagnostic.expected(kept.axis.span, &kept.axis.node, names),
    }
}

fn no_level(axis: &Axis, name: usize, kept: &Kept) -> Diagnostic {
    let message = format!("`{}` is never `{}`", axis.names[name].node, kept.level.node);
    let labels = axis.levels.iter().map(|level| level.labels[name].as_str());
    Diagnostic::new(&codes::UNKNOWN_NAME, message)
        .expected(kept.level.span, &kept.level.node, labels)
        .at(axis.names[name].span, "of this axis")
}

/// The number a level is written as.
fn number(text: &str) -> Option<f64> {
    match text.strip_suffix('%') {
        Some(share) => share.trim().parse::<f64>().ok().map(|it| it / 100.0),
        None => text.parse().ok(),
    }
}
