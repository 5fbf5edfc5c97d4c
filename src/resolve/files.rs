//! What is wrong with the files as such: editions, names declared twice, unknown blocks.

use super::draft::EXPERIMENT_BLOCKS;
use super::import::{Module, Program};
use super::reserved::check_reserved;
use super::scope;
use crate::catalog::{Catalog, Type};
use crate::diag::{Diagnostic, Span, codes};
use crate::syntax::{Block, File, Name, Statement};

/// The newest edition of the language.
const EDITION: u64 = 1;
/// What a declaration `KIND NAME = …` may begin with.
const DECLARED: &[&str] = &["dataset", "encoder"];
/// What a block at the top of a file may begin with.
const TOP_BLOCKS: &[&str] = &["experiment", "sweep", "search", "augment", "loss"];

/// Checks every file of `program` by itself.
pub(super) fn check_files(program: &Program, catalog: &Catalog) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for module in &program.files {
        out.extend(check_edition(&module.tree));
        check_names(module, &mut out);
        check_shadows(module, catalog, &mut out);
        check_reserved(program, module, &mut out);
        for statement in &module.tree.statements {
            out.extend(misplaced(statement));
        }
    }
    out
}

/// What is wrong with the editions that one file gives.
pub fn check_edition(tree: &File) -> Vec<Diagnostic> {
    let (mut out, mut first) = (Vec::new(), None::<Span>);
    for (at, statement) in tree.statements.iter().enumerate() {
        let Statement::Edition(edition) = statement else { continue };
        if edition.node != EDITION {
            let message = format!("edition {} is not known", edition.node);
            out.push(
                Diagnostic::new(&codes::EDITION, message)
                    .at(edition.span, format!("write `edition {EDITION}`")),
            );
        } else if let Some(first) = first {
            out.push(
                Diagnostic::new(&codes::EDITION, "the edition is given twice")
                    .at(edition.span, "leave this out")
                    .at(first, "given here"),
            );
        } else if at > 0 {
            out.push(
                Diagnostic::new(&codes::EDITION, "the edition comes first in a file")
                    .at(edition.span, "move this line to the top"),
            );
        }
        first = first.or(Some(edition.span));
    }
    out
}

fn check_names(module: &Module, out: &mut Vec<Diagnostic>) {
    let mut seen: std::collections::BTreeMap<&str, Span> = Default::default();
    let imports = module.tree.statements.iter().filter_map(|statement| match statement {
        Statement::Import { name, .. } => Some(name),
        _ => None,
    });
    for name in imports.chain(scope::names(module).map(|(name, _)| name)) {
        match seen.get(name.node.as_str()) {
            Some(first) => out.push(twice(name, *first)),
            None => {
                seen.insert(&name.node, name.span);
            }
        }
    }
}

fn twice(name: &Name, first: Span) -> Diagnostic {
    Diagnostic::new(&codes::DUPLICATE, format!("`{}` is declared twice", name.node))
        .at(name.span, "a second time")
        .at(first, "first here")
}

/// A value under the name of a component, or of a word that an argument takes, could not be told
/// from it.
fn check_shadows(module: &Module, catalog: &Catalog, out: &mut Vec<Diagnostic>) {
    for (name, _) in scope::names(module).filter(|(_, meaning)| meaning.is_value()) {
        let component = catalog.named(&name.node).first().map(|spec| {
            let label = format!("the {} is called so", spec.kind.name());
            ("the name of a component", label)
        });
        let word = || word_of(catalog, &name.node);
        let Some((what, label)) = component.or_else(word) else { continue };
        out.push(
            Diagnostic::new(&codes::DUPLICATE, format!("`{}` is {what}", name.node))
                .at(name.span, label)
                .help(format!("choose another name, for example `my_{}`", name.node)),
        );
    }
}

/// The argument that takes `name` as one of its words.
fn word_of(catalog: &Catalog, name: &str) -> Option<(&'static str, String)> {
    for spec in catalog.all() {
        let takes = |ty: &Type| matches!(ty, Type::Choice(words) if words.contains(&name));
        if let Some(param) = spec.params.iter().find(|param| takes(&param.ty)) {
            let label = format!("`{}` of `{}` can be `{name}`", param.name, spec.name);
            return Some(("a word that an argument takes", label));
        }
    }
    None
}

fn misplaced(statement: &Statement) -> Option<Diagnostic> {
    match statement {
        Statement::Block(block) => check_block(block),
        Statement::Declaration { kind, .. } if !DECLARED.contains(&kind.node.as_str()) => {
            let message = format!("`{}` does not declare anything", kind.node);
            let words = DECLARED.iter().copied().chain(["let", "param"]);
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_BLOCK, message);
            Some(diagnostic.expected(kind.span, &kind.node, words))
        }
        Statement::Field(field) => Some(outside(field.path.span, "a field")),
        Statement::Where(it) | Statement::Expect(it) => Some(outside(it.span, "a clause")),
        Statement::Claim { text, .. } => Some(outside(text.span, "a claim")),
        _ => None,
    }
}

fn outside(span: Span, what: &str) -> Diagnostic {
    Diagnostic::new(&codes::UNKNOWN_BLOCK, format!("{what} stands outside any block"))
        .at(span, "belongs inside a block")
        .help("write `experiment NAME { … }` around it, or `let NAME = …` for a value")
}

fn check_block(block: &Block) -> Option<Diagnostic> {
    let kind = block.kind.node.as_str();
    let message = match kind {
        _ if TOP_BLOCKS.contains(&kind) => return misheaded(block),
        "variant" => "a labelled variant stands in `choose` only".to_owned(),
        kind if EXPERIMENT_BLOCKS.contains(&kind) => {
            let message = format!("`{kind}` stands outside any experiment");
            return Some(
                Diagnostic::new(&codes::UNKNOWN_BLOCK, message)
                    .at(block.kind.span, "write `experiment NAME { … }` around it"),
            );
        }
        kind => format!("a file has no block `{kind}`"),
    };
    let diagnostic = Diagnostic::new(&codes::UNKNOWN_BLOCK, message);
    Some(diagnostic.expected(block.kind.span, kind, TOP_BLOCKS.iter().copied()))
}

fn misheaded(block: &Block) -> Option<Diagnostic> {
    let kind = block.kind.node.as_str();
    let is_sweep = matches!(kind, "sweep" | "search");
    let wrong = |message: &str, span: Span, label: String| {
        Some(Diagnostic::new(&codes::HEADER, message).at(span, label))
    };
    match (&block.label, &block.of, &block.extends) {
        (None, ..) => {
            let (message, relation) = (format!("this {kind} has no name"), relation(is_sweep));
            wrong(&message, block.header, format!("write `{kind} NAME{relation} {{ … }}`"))
        }
        (_, Some(of), _) if !is_sweep => {
            let message = format!("only a sweep is `of` something, not `{kind}`");
            wrong(&message, of.span, format!("write `extends {}`", of.text()))
        }
        (_, _, Some(extends)) if is_sweep => {
            let message = format!("a {kind} is `of` an experiment");
            wrong(&message, extends.span, format!("write `of {}`", extends.text()))
        }
        (Some(label), None, _) if is_sweep => {
            let advice = format!("write `{kind} {} of EXPERIMENT {{ … }}`", label.node);
            wrong(&format!("this {kind} does not say of what"), block.header, advice)
        }
        _ if block.otherwise.is_some() => {
            wrong("only a `toggle` has an `else`", block.header, "not this block".to_owned())
        }
        _ => None,
    }
}

fn relation(is_sweep: bool) -> &'static str {
    if is_sweep { " of EXPERIMENT" } else { "" }
}
