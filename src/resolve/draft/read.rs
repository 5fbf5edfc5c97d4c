//! Blocks to sections: which fields and blocks may stand in which.

use super::super::foreign;
use super::{Patch, Section, Slot};
use crate::diag::{Diagnostic, closest, codes};
use crate::syntax::{Block, Field, Name, Statement};

const EXPERIMENT: &[&str] =
    &["data", "encoder", "projector", "augment", "views", "loss", "note", "tags"];
const STAGE: &[&str] = &["data", "encoder", "projector", "groups", "augment", "views", "loss"];
const TRAIN: &[&str] = &[
    "optimizer",
    "schedule",
    "batch",
    "for",
    "drop_last",
    "keep",
    "sampler",
    "clip",
    "accumulate",
    "chunk",
    "ema",
    "swa",
    "freeze",
];
const RUN: &[&str] = &["precision", "determinism", "device", "limit", "checkpoint", "workers"];
/// The streams of random numbers of a training.
pub(in crate::resolve) const SEED: &[&str] = &["split", "init", "order", "augment", "dropout"];
/// The blocks an experiment may hold, and what is laid over one.
pub(in crate::resolve) const EXPERIMENT_BLOCKS: &[&str] =
    &["augment", "loss", "train", "eval", "run", "seed", "stage"];
const STAGE_BLOCKS: &[&str] = &["augment", "loss", "train"];

impl Section {
    /// What `block` writes itself, without what it extends; its overrides are still to be applied.
    pub fn read(block: &Block, out: &mut Vec<Diagnostic>) -> Self {
        let name = block.label.clone().unwrap_or_else(|| block.kind.clone());
        let mut section = Self::empty(&block.kind.node, name, block.header);
        for statement in &block.body {
            section.statement(statement, out);
        }
        section
    }

    /// One block of an experiment that stands elsewhere, to be laid over it.
    pub fn over(statement: &Statement, name: &Name, out: &mut Vec<Diagnostic>) -> Self {
        let mut section = Self::empty("variant", name.clone(), name.span);
        section.statement(statement, out);
        section
    }

    fn statement(&mut self, statement: &Statement, out: &mut Vec<Diagnostic>) {
        match statement {
            Statement::Field(field) => self.field(field, out),
            Statement::Block(block) => self.block(block, out),
            Statement::Unreadable(_) => self.is_damaged = true,
            other => out.push(self.stranger(other)),
        }
    }

    fn field(&mut self, field: &Field, out: &mut Vec<Diagnostic>) {
        let [name] = &field.path.parts[..] else {
            let path = field.path.parts.clone();
            return self.overrides.push(Patch { path, value: field.value.clone() });
        };
        if let Err(diagnostic) = self.may_have(name) {
            self.meant.extend(self.meant_by(name));
            return out.push(diagnostic);
        }
        if let Some(first) = self.get(&name.node) {
            return out.push(
                Diagnostic::new(&codes::DUPLICATE, format!("`{}` is set twice", name.node))
                    .at(name.span, "a second time")
                    .at(first.name.span, "first here"),
            );
        }
        self.fields.push(Slot::new(name, &field.value));
    }

    /// The fields this section may have; none when their names are the user's.
    pub(super) fn known_fields(&self) -> Option<&'static [&'static str]> {
        match self.kind.as_str() {
            "experiment" | "variant" => Some(EXPERIMENT),
            "stage" => Some(STAGE),
            "train" => Some(TRAIN),
            "run" => Some(RUN),
            "seed" => Some(SEED),
            _ => None,
        }
    }

    fn known_blocks(&self) -> &'static [&'static str] {
        match self.kind.as_str() {
            "experiment" | "variant" => EXPERIMENT_BLOCKS,
            "stage" => STAGE_BLOCKS,
            _ => &[],
        }
    }

    /// Whether a field called `name` may stand here.
    pub(super) fn may_have(&self, name: &Name) -> Result<(), Diagnostic> {
        let Some(fields) = self.known_fields() else { return Ok(()) };
        let (kind, text) = (self.kind_name(), name.node.as_str());
        if fields.contains(&text) {
            return Ok(());
        }
        let blocks = self.known_blocks();
        if blocks.contains(&text) {
            let message = format!("`{text}` is a block");
            return Err(Diagnostic::new(&codes::UNKNOWN_BLOCK, message)
                .at(name.span, format!("write `{text} {{ … }}`")));
        }
        let message = format!("{kind} has no field `{text}`");
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_BLOCK, message);
        if let Some(meant) = foreign::field(text) {
            return Err(diagnostic.at(name.span, meant.advice));
        }
        let blocks = blocks.iter().filter(|block| !fields.contains(block));
        Err(diagnostic.expected(name.span, text, fields.iter().chain(blocks).copied()))
    }

    /// The field of this section that the misnamed `name` stands for.
    fn meant_by(&self, name: &Name) -> Option<&'static str> {
        let fields = self.known_fields()?;
        let near = || closest(&name.node, fields.iter().copied());
        foreign::field(&name.node).map(|meant| meant.word).or_else(near)
    }

    /// What a user calls a section of this kind.
    pub(super) fn kind_name(&self) -> &str {
        match self.kind.as_str() {
            "experiment" => "an experiment",
            "variant" => "a sweep",
            "stage" => "a stage",
            "train" => "`train`",
            "run" => "`run`",
            "seed" => "`seed`",
            "eval" => "`eval`",
            "loss" => "this loss",
            "augment" => "this augmentation",
            other => other,
        }
    }

    fn block(&mut self, block: &Block, out: &mut Vec<Diagnostic>) {
        let kind = block.kind.node.as_str();
        let problem = self.misplaced(block).or_else(|| misheaded(block));
        if let Some(problem) = problem {
            self.is_damaged = true;
            return out.push(problem);
        }
        let section = Self::read(block, out);
        if let Some(first) = self.sections.iter().find(|it| it.is(kind, &section.name.node)) {
            let what = match kind {
                "stage" => format!("the stage `{}`", section.name.node),
                kind => format!("the block `{kind}`"),
            };
            return out.push(
                Diagnostic::new(&codes::DUPLICATE, format!("{what} stands here twice"))
                    .at(block.header, "a second time")
                    .at(first.span, "first here"),
            );
        }
        self.sections.push(section);
    }

    /// A block that does not belong into this section.
    fn misplaced(&self, block: &Block) -> Option<Diagnostic> {
        let (kind, allowed) = (block.kind.node.as_str(), self.known_blocks());
        if allowed.contains(&kind) {
            return None;
        }
        let is_field = self.known_fields().is_some_and(|fields| fields.contains(&kind));
        if is_field {
            let message = format!("`{kind}` is a field");
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_BLOCK, message);
            return Some(diagnostic.at(block.kind.span, format!("write `{kind} = …`")));
        }
        let diagnostic = match kind {
            "variant" => {
                let message = "a labelled variant stands in `choose` only";
                return Some(
                    Diagnostic::new(&codes::UNKNOWN_BLOCK, message)
                        .at(block.header, "not in a block of its own"),
                );
            }
            kind => Diagnostic::new(
                &codes::UNKNOWN_BLOCK,
                format!("{} has no block `{kind}`", self.kind_name()),
            ),
        };
        Some(match allowed {
            [] => diagnostic.at(block.kind.span, "only `name = value` lines stand here"),
            allowed => diagnostic.expected(block.kind.span, kind, allowed.iter().copied()),
        })
    }

    fn stranger(&self, statement: &Statement) -> Diagnostic {
        let (what, span) = match statement {
            Statement::Edition(it) => ("the edition", it.span),
            Statement::Import { path, .. } => ("an import", path.span),
            Statement::Let { name, .. } => ("a `let`", name.span),
            Statement::Param(param) => ("a `param`", param.name.span),
            Statement::Declaration { name, .. } => ("a declaration", name.span),
            Statement::Where(it) => ("`where`", it.span),
            Statement::Expect(it) => ("`expect`", it.span),
            Statement::Claim { text, .. } => ("`claim`", text.span),
            Statement::Field(field) => ("a field", field.path.span),
            Statement::Block(block) => ("a block", block.header),
            Statement::Unreadable(span) => ("this", *span),
        };
        let place = match statement {
            Statement::Where(_) | Statement::Expect(_) | Statement::Claim { .. } => "in a `sweep`",
            _ => "at the top of the file",
        };
        let message = format!("{what} cannot stand in {}", self.kind_name());
        Diagnostic::new(&codes::UNKNOWN_BLOCK, message).at(span, format!("it stands {place}"))
    }
}

/// What is wrong with the words before a block's `{`, or behind its `}`, inside an experiment.
fn misheaded(block: &Block) -> Option<Diagnostic> {
    let kind = block.kind.node.as_str();
    let wrong = |message: String, span, label: String| {
        Some(Diagnostic::new(&codes::HEADER, message).at(span, label))
    };
    match (&block.label, kind) {
        (None, "stage") => {
            let label = "write `stage NAME { … }`".to_owned();
            return wrong("a stage needs a name".to_owned(), block.header, label);
        }
        (Some(label), kind) if kind != "stage" => {
            let advice = format!("write `{kind} {{ … }}`");
            return wrong(format!("`{kind}` takes no name here"), label.span, advice);
        }
        _ => {}
    }
    if let Some(path) = block.extends.as_ref().or(block.of.as_ref()) {
        let label = "leave this out".to_owned();
        return wrong(format!("`{kind}` cannot extend anything"), path.span, label);
    }
    block.otherwise.as_ref()?;
    let label = "no `else` may follow this block".to_owned();
    wrong("only a `toggle` has an `else`".to_owned(), block.header, label)
}
