//! What each file declares under which name.

use super::import::{Module, Program};
use crate::catalog::Catalog;
use crate::diag::{Diagnostic, Span, closest, codes};
use crate::syntax::{Block, Expr, Name, Param, Path, Statement};

/// The newest edition of the language.
const EDITION: u64 = 1;
/// What a declaration `KIND NAME = …` may begin with.
const DECLARED: &[&str] = &["dataset", "encoder"];
/// What a block at the top of a file may begin with.
pub(super) const TOP_BLOCKS: &[&str] = &["experiment", "sweep", "search", "augment", "loss"];

/// What a name stands for.
#[derive(Clone, Copy)]
pub(super) enum Meaning<'a> {
    Let(&'a Expr),
    Param(&'a Param),
    /// `dataset NAME = …`, `encoder NAME = …`
    Declaration(&'a Expr),
    /// A named block at the top of a file.
    Block(&'a Block),
}

/// The names a module declares itself, with what they stand for.
pub(super) fn names(module: &Module) -> impl Iterator<Item = (&Name, Meaning<'_>)> {
    module.tree.statements.iter().filter_map(|statement| match statement {
        Statement::Let { name, value } => Some((name, Meaning::Let(value))),
        Statement::Param(param) => Some((&param.name, Meaning::Param(param))),
        Statement::Declaration { name, value, .. } => Some((name, Meaning::Declaration(value))),
        Statement::Block(block) => block.label.as_ref().map(|label| (label, Meaning::Block(block))),
        _ => None,
    })
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
            let target = import(module, &alias.node)?;
            find(program.module(target)?, &name.node).map(|meaning| (target, meaning))
        }
        _ => None,
    }
}

/// The file imported as `alias`.
pub(super) fn import(module: &Module, alias: &str) -> Option<u16> {
    module.imports.iter().find(|(name, _)| name == alias).map(|(_, file)| *file)
}

fn find<'a>(module: &'a Module, wanted: &str) -> Option<Meaning<'a>> {
    names(module).find(|(name, _)| name.node == wanted).map(|(_, meaning)| meaning)
}

/// Every name that can be written in `file` for a value, for suggestions.
pub(super) fn visible(program: &Program, file: u16) -> Vec<String> {
    let Some(module) = program.module(file) else { return Vec::new() };
    let mut all: Vec<String> = names(module).map(|(name, _)| name.node.clone()).collect();
    for (alias, target) in &module.imports {
        let imported = program.module(*target).into_iter().flat_map(names);
        all.extend(imported.map(|(name, _)| format!("{alias}.{}", name.node)));
    }
    all
}

/// The block of one of `kinds` that `path` names.
pub(super) fn block<'a>(
    program: &'a Program,
    path: &Path,
    kinds: &[&str],
) -> Result<&'a Block, Diagnostic> {
    let file = path.span.file;
    if let Some((_, Meaning::Block(block))) = lookup(program, file, &path.parts)
        && kinds.contains(&block.kind.node.as_str())
    {
        return Ok(block);
    }
    let wanted = path.text();
    let message = format!("no {} is called `{wanted}`", kinds[0]);
    let names = visible_blocks(program, file, kinds);
    let near = closest(&wanted, names.iter().map(String::as_str));
    let all = match &names[..] {
        [] => format!("this file declares and imports no {}", kinds[0]),
        names => format!("there are: {}", names.join(", ")),
    };
    Err(Diagnostic::new(&codes::UNKNOWN_NAME, message).suggest(path.span, near, all))
}

fn visible_blocks(program: &Program, file: u16, kinds: &[&str]) -> Vec<String> {
    let is_wanted = |meaning: &Meaning| match meaning {
        Meaning::Block(block) => kinds.contains(&block.kind.node.as_str()),
        _ => false,
    };
    let Some(module) = program.module(file) else { return Vec::new() };
    let own = names(module).filter(|(_, it)| is_wanted(it)).map(|(name, _)| name.node.clone());
    let imported = module.imports.iter().flat_map(|(alias, target)| {
        let names = program.module(*target).into_iter().flat_map(names);
        names.filter(|(_, it)| is_wanted(it)).map(move |(name, _)| format!("{alias}.{}", name.node))
    });
    own.chain(imported).collect()
}

/// What is wrong with the files as such: editions, names declared twice, unknown blocks.
pub(super) fn check_files(program: &Program, catalog: &Catalog) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for module in &program.files {
        check_edition(module, &mut out);
        check_names(module, catalog, &mut out);
        check_statements(module, &mut out);
    }
    out
}

fn check_edition(module: &Module, out: &mut Vec<Diagnostic>) {
    let editions = module.tree.statements.iter().filter_map(|statement| match statement {
        Statement::Edition(edition) => Some(edition),
        _ => None,
    });
    for (at, edition) in editions.enumerate() {
        if edition.node != EDITION {
            let message = format!("edition {} is not known", edition.node);
            out.push(
                Diagnostic::new(&codes::EDITION, message)
                    .at(edition.span, format!("the newest is {EDITION}"))
                    .help(format!("write `edition {EDITION}`")),
            );
        } else if at > 0 {
            out.push(
                Diagnostic::new(&codes::EDITION, "the edition is given twice")
                    .at(edition.span, "leave this out"),
            );
        }
    }
}

fn check_names(module: &Module, catalog: &Catalog, out: &mut Vec<Diagnostic>) {
    let mut seen: Vec<(&str, Span)> = Vec::new();
    let imports = module.tree.statements.iter().filter_map(|statement| match statement {
        Statement::Import { name, .. } => Some(name),
        _ => None,
    });
    for name in imports.chain(names(module).map(|(name, _)| name)) {
        if let Some((_, first)) = seen.iter().find(|(it, _)| *it == name.node) {
            let message = format!("`{}` is declared twice", name.node);
            out.push(
                Diagnostic::new(&codes::DUPLICATE, message)
                    .at(name.span, "a second time")
                    .at(*first, "first here"),
            );
        }
        seen.push((&name.node, name.span));
    }
    for (name, meaning) in names(module) {
        let shadows =
            !matches!(meaning, Meaning::Block(_)) && !catalog.named(&name.node).is_empty();
        if shadows {
            let message = format!("`{}` is the name of a component", name.node);
            out.push(
                Diagnostic::new(&codes::DUPLICATE, message)
                    .at(name.span, "choose another name, or it could not be told apart"),
            );
        }
    }
}

fn check_statements(module: &Module, out: &mut Vec<Diagnostic>) {
    for statement in &module.tree.statements {
        match statement {
            Statement::Block(block) => check_block(block, out),
            Statement::Declaration { kind, .. } if !DECLARED.contains(&kind.node.as_str()) => {
                let message = format!("`{}` does not declare anything", kind.node);
                let near = closest(&kind.node, DECLARED.iter().copied());
                out.push(Diagnostic::new(&codes::UNKNOWN_BLOCK, message).suggest(
                    kind.span,
                    near,
                    "write `dataset NAME = …`, `encoder NAME = …` or `let NAME = …`",
                ));
            }
            Statement::Field(field) => out.push(outside(field.path.span, "a field")),
            Statement::Where(it) | Statement::Expect(it) => out.push(outside(it.span, "a clause")),
            Statement::Claim { text, .. } => out.push(outside(text.span, "a claim")),
            _ => {}
        }
    }
}

fn outside(span: Span, what: &str) -> Diagnostic {
    Diagnostic::new(&codes::UNKNOWN_BLOCK, format!("{what} stands outside any experiment"))
        .at(span, "belongs inside a block")
        .help("write `experiment NAME { … }` around it, or `let NAME = …` for a value")
}

fn check_block(block: &Block, out: &mut Vec<Diagnostic>) {
    let kind = block.kind.node.as_str();
    if !TOP_BLOCKS.contains(&kind) {
        let near = closest(kind, TOP_BLOCKS.iter().copied());
        let all = format!("a file holds {}", TOP_BLOCKS.join(", "));
        let message = format!("a file has no block `{kind}`");
        out.push(Diagnostic::new(&codes::UNKNOWN_BLOCK, message).suggest(
            block.kind.span,
            near,
            all,
        ));
    } else if block.label.is_none() {
        let message = format!("this {kind} has no name");
        out.push(
            Diagnostic::new(&codes::HEADER, message)
                .at(block.header, format!("write `{kind} NAME {{ … }}`")),
        );
    }
}
