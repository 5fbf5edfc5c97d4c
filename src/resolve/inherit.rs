//! A block with what it extends, laid over each other.

use super::draft::Section;
use super::import::Program;
use super::scope;
use crate::diag::{Diagnostic, codes};
use crate::syntax::{Block, Path};

/// The draft of the experiment, augmentation or loss block that `path` names, with what it extends.
pub(super) fn inherit(
    program: &Program,
    path: &Path,
    kind: &'static str,
    out: &mut Vec<Diagnostic>,
) -> Option<Section> {
    let chain = chain(program, path, kind, out)?;
    let (base, rest) = chain.split_last()?;
    let mut draft = Section::read(base, out);
    draft.settle(out);
    for block in rest.iter().rev() {
        let over = Section::read(block, out);
        draft.name = over.name.clone();
        draft.span = over.span;
        draft.lay(&over, out);
    }
    Some(draft)
}

/// The block and all it extends, one after the other.
fn chain<'a>(
    program: &'a Program,
    path: &Path,
    kind: &'static str,
    out: &mut Vec<Diagnostic>,
) -> Option<Vec<&'a Block>> {
    let mut chain: Vec<&Block> = Vec::new();
    let mut next = Some(path.clone());
    while let Some(path) = next {
        let block = match scope::block(program, &path, kind) {
            Ok(block) => block,
            Err(diagnostic) => {
                out.extend(diagnostic);
                return None;
            }
        };
        if let Some(first) = chain.iter().find(|it| it.header == block.header) {
            let message = format!("`{}` extends itself", path.text());
            out.push(
                Diagnostic::new(&codes::CYCLE, message)
                    .at(path.span, "comes back here")
                    .at(first.header, "begins here"),
            );
            return None;
        }
        next = block.extends.clone();
        chain.push(block);
    }
    Some(chain)
}
