//! An experiment as layers of text: fields and sections that inherit from each other and can be
//! overridden by path, before anything is evaluated.

use crate::diag::{Diagnostic, Span, closest, codes};
use crate::syntax::{Block, Expr, ExprKind, Field, Name, Path, Statement};

/// A field's expression, and what overrides reach inside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slot {
    pub name: Name,
    pub expr: Expr,
    pub patches: Vec<Patch>,
}

/// An override of something inside an expression: an argument of a call, a term's weight.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Patch {
    pub path: Vec<Name>,
    pub value: Expr,
}

/// A block's fields and sections, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Section {
    pub kind: String,
    pub name: Name,
    pub fields: Vec<Slot>,
    pub sections: Vec<Section>,
    /// Where it is written.
    pub span: Span,
}

/// What may stand directly in an experiment or a stage.
const FIELDS: &[&str] = &["data", "encoder", "augment", "views", "loss"];
const STAGE_BLOCKS: &[&str] = &["augment", "loss", "train"];
const EXPERIMENT_BLOCKS: &[&str] = &["augment", "loss", "train", "eval", "run", "stage"];
const NOTES: &[&str] = &["note", "tags"];

impl Section {
    /// The section that `block` writes, without what it extends.
    pub fn of(block: &Block, out: &mut Vec<Diagnostic>) -> Self {
        let name = block.label.clone().unwrap_or_else(|| block.kind.clone());
        let mut section = Self::empty(&block.kind.node, name, block.header);
        section.add(&block.body, out);
        section
    }

    fn empty(kind: &str, name: Name, span: Span) -> Self {
        Self { kind: kind.into(), name, fields: Vec::new(), sections: Vec::new(), span }
    }

    /// Adds `statements`; paths of several names are overrides of what stands above them.
    pub fn add(&mut self, statements: &[Statement], out: &mut Vec<Diagnostic>) {
        for statement in statements {
            match statement {
                Statement::Field(field) => self.field(field, out),
                Statement::Block(block) => self.block(block, out),
                other => out.push(self.stranger(other)),
            }
        }
    }

    fn field(&mut self, field: &Field, out: &mut Vec<Diagnostic>) {
        let [name] = &field.path.parts[..] else {
            out.extend(self.set(&field.path.parts, &field.value).err());
            return;
        };
        if let Some(allowed) = self.allowed_fields()
            && !allowed.contains(&name.node.as_str())
        {
            out.push(self.unknown(name, &allowed));
            return;
        }
        if let Some(first) = self.fields.iter().find(|slot| slot.name.node == name.node) {
            out.push(
                Diagnostic::new(&codes::DUPLICATE, format!("`{}` is set twice", name.node))
                    .at(name.span, "a second time")
                    .at(first.name.span, "first here"),
            );
            return;
        }
        self.fields.push(Slot {
            name: name.clone(),
            expr: field.value.clone(),
            patches: Vec::new(),
        });
    }

    /// The fields this section may have; none when their names are the user's.
    fn allowed_fields(&self) -> Option<Vec<&'static str>> {
        match self.kind.as_str() {
            "experiment" => Some([FIELDS, NOTES].concat()),
            "stage" => Some(FIELDS.to_vec()),
            _ => None,
        }
    }

    fn allowed_blocks(&self) -> &'static [&'static str] {
        match self.kind.as_str() {
            "experiment" | "sweep" | "variant" | "toggle" => EXPERIMENT_BLOCKS,
            "stage" => STAGE_BLOCKS,
            _ => &[],
        }
    }

    fn unknown(&self, name: &Name, allowed: &[&str]) -> Diagnostic {
        let article = if self.kind == "experiment" { "an" } else { "a" };
        let message = format!("{article} {} has no field `{}`", self.kind, name.node);
        let names = allowed.iter().chain(self.allowed_blocks()).copied();
        let near = closest(&name.node, names);
        let all = format!("it has {}", allowed.join(", "));
        Diagnostic::new(&codes::UNKNOWN_BLOCK, message).suggest(name.span, near, all)
    }

    fn block(&mut self, block: &Block, out: &mut Vec<Diagnostic>) {
        let kind = block.kind.node.as_str();
        let allowed = self.allowed_blocks();
        if !allowed.contains(&kind) {
            let message = format!("a block `{kind}` cannot stand in `{}`", self.kind);
            let near = closest(kind, allowed.iter().copied());
            let all = match allowed {
                [] => format!("`{}` holds `name = value` lines only", self.kind),
                allowed => format!("it holds {}", allowed.join(", ")),
            };
            out.push(Diagnostic::new(&codes::UNKNOWN_BLOCK, message).suggest(
                block.kind.span,
                near,
                all,
            ));
            return;
        }
        if kind == "stage" && block.label.is_none() {
            let message = "a stage needs a name";
            out.push(
                Diagnostic::new(&codes::HEADER, message)
                    .at(block.header, "write `stage NAME { … }`"),
            );
            return;
        }
        let section = Self::of(block, out);
        if let Some(first) = self.sections.iter().find(|it| it.is(kind, &section.name.node)) {
            out.push(
                Diagnostic::new(&codes::DUPLICATE, format!("`{kind}` stands here twice"))
                    .at(block.header, "a second time")
                    .at(first.span, "first here"),
            );
            return;
        }
        self.sections.push(section);
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
        };
        let message = format!("{what} cannot stand in `{}`", self.kind);
        Diagnostic::new(&codes::UNKNOWN_BLOCK, message).at(span, "not here")
    }

    fn is(&self, kind: &str, name: &str) -> bool {
        self.kind == kind && (kind != "stage" || self.name.node == name)
    }

    /// The field called `name`.
    pub fn get(&self, name: &str) -> Option<&Slot> {
        self.fields.iter().find(|slot| slot.name.node == name)
    }

    /// The section of `kind`.
    pub fn section(&self, kind: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    /// The stages, in order.
    pub fn stages(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| section.kind == "stage")
    }

    /// Lays `over` on top: its fields replace, its sections merge.
    pub fn merge(&mut self, over: &Section) {
        for slot in &over.fields {
            self.sections.retain(|it| it.kind == "stage" || it.kind != slot.name.node);
            match self.fields.iter_mut().find(|it| it.name.node == slot.name.node) {
                Some(own) => *own = slot.clone(),
                None => self.fields.push(slot.clone()),
            }
        }
        for section in &over.sections {
            self.fields.retain(|slot| slot.name.node != section.kind);
            let found =
                self.sections.iter_mut().find(|it| it.is(&section.kind, &section.name.node));
            match found {
                Some(own) => own.merge(section),
                None => self.sections.push(section.clone()),
            }
        }
    }

    /// Sets what `path` names inside this experiment to `value`.
    pub fn set(&mut self, path: &[Name], value: &Expr) -> Result<(), Diagnostic> {
        let (first, rest) = path.split_first().expect("a path has a name");
        if let Some(at) = self.sections.iter().position(|it| it.is("stage", &first.node)) {
            return self.set_in_stage(at, rest, first, value);
        }
        let eval = self.sections.iter_mut().find(|section| section.kind == "eval");
        if let Some(eval) = eval.filter(|eval| eval.get(&first.node).is_some()) {
            return eval.set_field(path, value);
        }
        let is_own = FIELDS.contains(&first.node.as_str())
            || ["train", "run", "eval"].contains(&first.node.as_str());
        if !is_own {
            return Err(self.no_such_path(path));
        }
        self.set_everywhere(path, value)
    }

    /// A path that begins at the experiment holds for every stage.
    fn set_everywhere(&mut self, path: &[Name], value: &Expr) -> Result<(), Diagnostic> {
        let has = |section: &Section| {
            let name = &path[0].node;
            section.get(name).is_some() || section.section(name).is_some()
        };
        let in_stages: Vec<usize> = (0..self.sections.len())
            .filter(|at| self.sections[*at].kind == "stage" && has(&self.sections[*at]))
            .collect();
        let is_inherited = in_stages.len() < self.stages().count() || in_stages.is_empty();
        for at in &in_stages {
            self.sections[*at].set_here(path, value)?;
        }
        if is_inherited || has(self) {
            self.set_here(path, value)?;
        }
        Ok(())
    }

    fn set_in_stage(
        &mut self,
        at: usize,
        rest: &[Name],
        stage: &Name,
        value: &Expr,
    ) -> Result<(), Diagnostic> {
        let Some(first) = rest.first() else {
            let message = format!("`{}` is a stage and cannot be set", stage.node);
            return Err(Diagnostic::new(&codes::BAD_PATH, message)
                .at(stage.span, "name something inside it")
                .help(format!("for example `{}.encoder = …`", stage.node)));
        };
        let inherited = self.clone();
        let section = &mut self.sections[at];
        let is_absent =
            section.get(&first.node).is_none() && section.section(&first.node).is_none();
        // An override inside something the stage inherits makes a copy of its own.
        if is_absent {
            section.fields.extend(inherited.get(&first.node).cloned());
            section.sections.extend(inherited.section(&first.node).cloned());
        }
        section.set_here(rest, value)
    }

    /// Sets a path that begins with a field or a section of this very block.
    fn set_here(&mut self, path: &[Name], value: &Expr) -> Result<(), Diagnostic> {
        let (first, rest) = path.split_first().expect("a path has a name");
        if rest.is_empty() {
            self.sections.retain(|it| it.kind == "stage" || it.kind != first.node);
            return self.set_field(path, value);
        }
        let section = self.sections.iter_mut().find(|it| it.kind == first.node);
        if let Some(section) = section {
            return section.set_field(rest, value);
        }
        if self.get(&first.node).is_some() {
            return self.set_field(path, value);
        }
        if first.node == "train" || first.node == "run" {
            let mut section = Self::empty(&first.node, first.clone(), first.span);
            section.set_field(rest, value)?;
            self.sections.push(section);
            return Ok(());
        }
        Err(self.no_such_path(path))
    }

    /// Sets a field of this section, or something inside it.
    fn set_field(&mut self, path: &[Name], value: &Expr) -> Result<(), Diagnostic> {
        let (name, inside) = path.split_first().expect("a path has a name");
        let slot = self.fields.iter_mut().find(|slot| slot.name.node == name.node);
        match (slot, inside) {
            (Some(slot), []) => {
                slot.expr = value.clone();
                slot.patches.clear();
            }
            (Some(slot), inside) => {
                slot.patches.retain(|patch| !patch.path.starts_with_names(inside));
                slot.patches.push(Patch { path: inside.to_vec(), value: value.clone() });
            }
            (None, []) => self.fields.push(Slot {
                name: name.clone(),
                expr: value.clone(),
                patches: Vec::new(),
            }),
            (None, _) => return Err(self.no_such_path(path)),
        }
        Ok(())
    }

    fn no_such_path(&self, path: &[Name]) -> Diagnostic {
        let first = &path[0];
        let mut names: Vec<&str> = self.fields.iter().map(|it| it.name.node.as_str()).collect();
        names.extend(self.stages().map(|stage| stage.name.node.as_str()));
        names.extend(
            self.section("eval")
                .into_iter()
                .flat_map(|eval| eval.fields.iter().map(|slot| slot.name.node.as_str())),
        );
        if self.kind == "experiment" {
            names.extend(["data", "encoder", "augment", "views", "loss", "train"]);
        }
        names.sort_unstable();
        names.dedup();
        let near = closest(&first.node, names.iter().copied());
        let whole: Vec<_> = path.iter().map(|name| name.node.as_str()).collect();
        let message = format!("`{}` has nothing called `{}`", self.kind, whole.join("."));
        let all = format!("it has {}", names.join(", "));
        Diagnostic::new(&codes::BAD_PATH, message).suggest(first.span, near, all)
    }
}

trait StartsWithNames {
    fn starts_with_names(&self, names: &[Name]) -> bool;
}

impl StartsWithNames for Vec<Name> {
    /// Whether an older override lies inside the thing a newer one replaces.
    fn starts_with_names(&self, names: &[Name]) -> bool {
        self.len() >= names.len() && self.iter().zip(names).all(|(a, b)| a.node == b.node)
    }
}

/// A path that stands for a whole value, as in `augment = lib.simclr`.
pub(super) fn as_path(expr: &Expr) -> Option<&Path> {
    match &expr.kind {
        ExprKind::Path(path) => Some(path),
        ExprKind::Paren(inner) => as_path(inner),
        _ => None,
    }
}
