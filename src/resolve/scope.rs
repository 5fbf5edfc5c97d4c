//! What each file declares under which name.

use super::import::{Module, Program};
use crate::diag::{Diagnostic, Span, codes};
use crate::syntax::{Block, Expr, Name, Param, Path, Statement};

/// What a name stands for.
#[derive(Clone, Copy)]
pub(super) enum Meaning<'a> {
    Let(&'a Expr),
    Param(&'a Param),
    /// `dataset NAME = …`, `encoder NAME = …`: the kind, and what it is.
    Declaration(&'a str, &'a Expr),
    /// A named block at the top of a file.
    Block(&'a Block),
}

impl Meaning<'_> {
    /// Whether it is a value, and not a block.
    pub fn is_value(&self) -> bool {
        !matches!(self, Self::Block(_))
    }

    /// Whether it is a parameter whose value to begin with may depend on another.
    pub fn is_linked_param(&self) -> bool {
        use crate::syntax::ExprKind::{Bool, None, Number, Text};
        let is_plain = |it: &Expr| matches!(it.kind, Number { .. } | Text(_) | Bool(_) | None);
        matches!(self, Self::Param(param) if !is_plain(&param.default))
    }

    fn is_block_of(&self, kind: &str) -> bool {
        matches!(self, Self::Block(block) if block.kind.node == kind)
    }
}

/// The names a module declares itself, with what they stand for.
pub(super) fn names(module: &Module) -> impl Iterator<Item = (&Name, Meaning<'_>)> {
    module.tree.statements.iter().filter_map(declared_by)
}

/// The name a statement declares, with what it stands for.
pub(super) fn declared_by(statement: &Statement) -> Option<(&Name, Meaning<'_>)> {
    match statement {
        Statement::Let { name, value } => Some((name, Meaning::Let(value))),
        Statement::Param(param) => Some((&param.name, Meaning::Param(param))),
        Statement::Declaration { kind, name, value } => {
            Some((name, Meaning::Declaration(&kind.node, value)))
        }
        Statement::Block(block) => block.label.as_ref().map(|label| (label, Meaning::Block(block))),
        _ => None,
    }
}

/// What `path`, written in file `file`, stands for: a name of that file, or of one it imports.
/// Gives the file the meaning is in.
pub(super) fn lookup<'a>(
    program: &'a Program,
    file: u16,
    path: &[Name],
) -> Option<(u16, Meaning<'a>)> {
    let module = program.module(file)?;
    match path {
        [name] => find(module, &name.node).map(|meaning| (module.file, meaning)),
        [alias, name] => {
            let target = module.import(&alias.node)?;
            find(program.module(target)?, &name.node).map(|meaning| (target, meaning))
        }
        _ => None,
    }
}

fn find<'a>(module: &'a Module, wanted: &str) -> Option<Meaning<'a>> {
    let at = *module.names.get(wanted)?;
    declared_by(&module.tree.statements[at]).map(|(_, meaning)| meaning)
}

/// Every name of `file` and of its imports whose meaning `is_wanted`, as it is written there.
pub(super) fn visible(
    program: &Program,
    file: u16,
    is_wanted: impl Fn(&Meaning) -> bool,
) -> Vec<String> {
    let Some(module) = program.module(file) else { return Vec::new() };
    let of = |module: &Module, prefix: &str| -> Vec<String> {
        let wanted = names(module).filter(|(_, meaning)| is_wanted(meaning));
        wanted.map(|(name, _)| format!("{prefix}{}", name.node)).collect()
    };
    let mut all = of(module, "");
    for (alias, target) in &module.imports {
        let target = target.and_then(|target| program.module(target));
        all.extend(target.into_iter().flat_map(|it| of(it, &format!("{alias}."))));
    }
    all
}

/// Whether `path` may name something that could not be read, which was reported already.
pub(super) fn is_lost(program: &Program, path: &Path) -> bool {
    let Some(module) = program.module(path.span.file) else { return false };
    let is_damaged = |module: &Module| {
        module.tree.statements.iter().any(|it| matches!(it, Statement::Unreadable(_)))
    };
    let alias = &path.parts[0].node;
    match module.imports.iter().find(|(name, _)| path.parts.len() > 1 && name == alias) {
        Some((_, None)) => true,
        Some((_, Some(target))) => program.module(*target).is_some_and(is_damaged),
        None => is_damaged(module),
    }
}

/// What to say of `a.b` where nothing is imported as `a`.
pub(super) fn unknown_alias(program: &Program, path: &Path) -> Option<Diagnostic> {
    let module = program.module(path.span.file)?;
    let [alias, _] = &path.parts[..] else { return None };
    if module.imports.iter().any(|(name, _)| *name == alias.node) {
        return None;
    }
    let message = format!("nothing is imported as `{}`", alias.node);
    let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
    let names: Vec<&str> = module.imports.iter().map(|(name, _)| name.as_str()).collect();
    Some(match names[..] {
        [] => diagnostic
            .at(alias.span, "this file imports nothing")
            .help(format!("write `import \"FILE.exp\" as {}` at the top", alias.node)),
        _ => diagnostic.expected(alias.span, &alias.node, names),
    })
}

/// The block of `kind` that `path` names, or what to say of it, if anything.
pub(super) fn block<'a>(
    program: &'a Program,
    path: &Path,
    kind: &str,
) -> Result<&'a Block, Option<Diagnostic>> {
    let file = path.span.file;
    let found = lookup(program, file, &path.parts).map(|(_, meaning)| meaning);
    if let Some(Meaning::Block(block)) = found
        && block.kind.node == kind
    {
        return Ok(block);
    }
    if found.is_none() && is_lost(program, path) {
        return Err(None);
    }
    if let Some(diagnostic) = unknown_alias(program, path) {
        return Err(Some(diagnostic));
    }
    let wanted = path.text();
    let message = format!("no {} is called `{wanted}`", block_name(kind));
    let names = visible(program, file, |meaning| meaning.is_block_of(kind));
    let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
    let mut diagnostic = match &names[..] {
        [] => diagnostic.at(path.span, "this file declares and imports none"),
        names => diagnostic.expected(path.span, &wanted, names.iter().map(String::as_str)),
    };
    if let Some((span, what)) = found.map(|meaning| declared(&meaning)) {
        diagnostic = diagnostic.at(span, format!("this is {what}"));
    }
    Err(Some(diagnostic))
}

/// What a user calls a block of this kind.
pub(super) fn block_name(kind: &str) -> &str {
    match kind {
        "augment" => "augmentation",
        other => other,
    }
}

/// Where and as what a name was declared.
fn declared(meaning: &Meaning) -> (Span, String) {
    match meaning {
        Meaning::Let(value) => (value.span, "a `let`".to_owned()),
        Meaning::Param(param) => (param.name.span, "a parameter".to_owned()),
        Meaning::Declaration(kind, value) => (value.span, format!("a declared {kind}")),
        Meaning::Block(block) => (block.header, format!("a block `{}`", block.kind.node)),
    }
}
