//! A draft to a complete experiment: every field evaluated, every default written out.

use super::draft::{Patch, Section, Slot, as_path};
use super::import::Program;
use super::scope;
use super::value::{Eval, Want};
use super::{Entry, Experiment, Keep, Stage, Term, Train};
use crate::catalog::{Bound, Features, Kind, ParamType, Type, Value};
use crate::diag::{Diagnostic, Spanned, closest, codes};
use crate::syntax::{Expr, ExprKind, Op, Path};

const TRAIN: &[&str] = &["optimizer", "schedule", "batch", "for", "drop_last", "keep"];
const SPLITS: &[&str] = &["train", "val", "test"];
const COUNT: Type = Type::Int { name: "count", min: 1, max: 1 << 30 };
const WEIGHT: Type = Type::Real { name: "nonneg", min: 0.0, max: f64::INFINITY, open: false };

/// The draft of the experiment, augmentation or loss block that `path` names, with what it extends.
pub(super) fn inherit(
    program: &Program,
    path: &Path,
    kind: &'static str,
    out: &mut Vec<Diagnostic>,
) -> Option<Section> {
    let mut chain: Vec<&crate::syntax::Block> = Vec::new();
    let mut next = Some(path.clone());
    while let Some(path) = next {
        let block = match scope::block(program, &path, &[kind]) {
            Ok(block) => block,
            Err(diagnostic) => {
                out.push(diagnostic);
                return None;
            }
        };
        if chain.iter().any(|it| it.header == block.header) {
            out.push(
                Diagnostic::new(&codes::CYCLE, format!("`{}` extends itself", path.text()))
                    .at(path.span, "comes back here"),
            );
            return None;
        }
        next = block.extends.clone();
        chain.push(block);
    }
    let (base, rest) = chain.split_last()?;
    let mut draft = Section::of(base, out);
    for block in rest.iter().rev() {
        draft.name = block.label.clone().unwrap_or(draft.name);
        extend(&mut draft, block, out);
    }
    Some(draft)
}

/// Lays a child's body on top: its own fields and blocks first, then its overrides by path.
fn extend(draft: &mut Section, block: &crate::syntax::Block, out: &mut Vec<Diagnostic>) {
    use crate::syntax::Statement;
    let is_override =
        |it: &Statement| matches!(it, Statement::Field(field) if field.path.parts.len() > 1);
    let (overrides, own): (Vec<_>, Vec<_>) = block.body.iter().cloned().partition(is_override);
    let over = Section::of(&crate::syntax::Block { body: own, ..block.clone() }, out);
    draft.merge(&over);
    for statement in overrides {
        if let Statement::Field(field) = statement {
            out.extend(draft.set(&field.path.parts, &field.value).err());
        }
    }
}

impl Eval<'_> {
    /// The experiment a draft describes; none when something is wrong with it.
    pub fn experiment(&mut self, draft: &Section) -> Option<Experiment> {
        let before = crate::diag::has_errors(self.out);
        let count = self.out.len();
        self.check_sections(draft);
        let mut sections: Vec<&Section> = draft.stages().collect();
        let single = Section { name: main_name(draft), ..draft.clone() };
        if sections.is_empty() {
            sections.push(&single);
        }
        let stages: Vec<_> = sections.iter().map(|stage| self.stage(draft, stage)).collect();
        let names: Vec<&str> = sections.iter().map(|it| it.name.node.as_str()).collect();
        let evaluations = self.evaluations(draft, &names);
        let failed = crate::diag::has_errors(&self.out[count..]);
        if before || failed {
            return None;
        }
        Some(Experiment {
            name: draft.name.clone(),
            stages: stages.into_iter().collect::<Option<_>>()?,
            evaluations,
        })
    }

    fn check_sections(&mut self, draft: &Section) {
        let run: &[(&str, Type)] = &[
            ("precision", Type::Choice(&["f32"])),
            ("determinism", Type::Choice(&["strict"])),
            ("device", Type::Choice(&["auto", "cpu", "cuda"])),
        ];
        for slot in draft.section("run").into_iter().flat_map(|run| &run.fields) {
            match run.iter().find(|(name, _)| *name == slot.name.node) {
                Some((name, ty)) => {
                    self.value(&slot.expr, &[], Want { ty, name, docs: "" });
                }
                None => {
                    let names: Vec<_> = run.iter().map(|(name, _)| *name).collect();
                    self.unknown_field("run", slot, &names);
                }
            }
        }
    }

    fn unknown_field(&mut self, block: &str, slot: &Slot, names: &[&str]) {
        let message = format!("`{block}` has no field `{}`", slot.name.node);
        let near = closest(&slot.name.node, names.iter().copied());
        let all = format!("it has {}", names.join(", "));
        self.out.push(Diagnostic::new(&codes::UNKNOWN_BLOCK, message).suggest(
            slot.name.span,
            near,
            all,
        ));
    }

    fn stage(&mut self, draft: &Section, stage: &Section) -> Option<Stage> {
        let own = |name: &str| stage.get(name).or_else(|| draft.get(name));
        let data = self.required(stage, own("data"), "data", Kind::Dataset);
        let encoder = self.required(stage, own("encoder"), "encoder", Kind::Encoder);
        let augment = self.list(draft, stage, "augment").unwrap_or_default();
        let augment = self.entries(&augment, Kind::Augment);
        let views = match own("views") {
            Some(slot) => self.count(slot),
            None => Some(Spanned { node: 1, span: stage.span }),
        };
        let loss = self.list(draft, stage, "loss");
        if loss.is_none() && own("loss").is_none() {
            let message = format!("stage `{}` has no loss", stage.name.node);
            self.out.push(
                Diagnostic::new(&codes::NO_LOSS, message)
                    .at(stage.name.span, "add `loss { term = weight * call(…) }`"),
            );
        }
        let terms: Vec<_> =
            loss.iter().flatten().filter_map(|slot| self.term(slot).transpose()).collect();
        let terms: Option<Vec<Term>> = terms.into_iter().collect::<Result<_, ()>>().ok();
        let train = self.train(draft, stage, terms.as_deref().unwrap_or_default());
        Some(Stage {
            name: stage.name.clone(),
            data: data?,
            encoder: encoder?,
            augment,
            views: views?,
            terms: terms?,
            train: train?,
            loss: stage.section("loss").map_or(stage.span, |loss| loss.span),
        })
    }

    fn required(
        &mut self,
        stage: &Section,
        slot: Option<&Slot>,
        name: &'static str,
        kind: Kind,
    ) -> Option<Spanned<Bound>> {
        let Some(slot) = slot else {
            let message = format!("`{}` has no `{name}`", stage.name.node);
            let near = self.catalog.of(kind).next().map_or("…", |spec| spec.name);
            self.out.push(
                Diagnostic::new(&codes::MISSING, message)
                    .at(stage.name.span, format!("add `{name} = {near}(…)`")),
            );
            return None;
        };
        self.call(slot, kind, name)
    }

    /// The component in a slot, with the overrides that reach inside it.
    fn call(&mut self, slot: &Slot, kind: Kind, name: &str) -> Option<Spanned<Bound>> {
        let patches: Vec<&Patch> = slot.patches.iter().collect();
        let want = Want { ty: &Type::Component(kind), name, docs: "" };
        match self.value(&slot.expr, &patches, want)? {
            Value::Component(bound) => Some(Spanned { node: *bound, span: slot.expr.span }),
            _ => None,
        }
    }

    fn count(&mut self, slot: &Slot) -> Option<Spanned<usize>> {
        let want = Want { ty: &COUNT, name: &slot.name.node, docs: "" };
        match self.value(&slot.expr, &[], want)? {
            Value::Int(value) => Some(Spanned { node: value as usize, span: slot.expr.span }),
            _ => None,
        }
    }

    /// The lines of a stage's `loss` or `augment`: of its own block, of a named one, or of the
    /// experiment's. None when there is neither.
    fn list(&mut self, draft: &Section, stage: &Section, kind: &'static str) -> Option<Vec<Slot>> {
        let here = [stage, draft].into_iter();
        let found =
            here.into_iter().find(|it| it.get(kind).is_some() || it.section(kind).is_some())?;
        if let Some(section) = found.section(kind) {
            return Some(section.fields.clone());
        }
        self.named_list(found.get(kind)?, kind)
    }

    /// The lines of the named block a field stands for, with its overrides handed down.
    fn named_list(&mut self, slot: &Slot, kind: &'static str) -> Option<Vec<Slot>> {
        if slot.expr.kind == ExprKind::None {
            return Some(Vec::new());
        }
        let Some(path) = as_path(&slot.expr) else {
            let message = format!("`{kind}` is a block or the name of one");
            self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, message)
                    .at(slot.expr.span, format!("write `{kind} {{ name = call(…) }}`")),
            );
            return None;
        };
        let mut section = inherit(self.program, path, kind, self.out)?;
        for patch in &slot.patches {
            let (first, inside) = patch.path.split_first()?;
            match section.fields.iter_mut().find(|it| it.name.node == first.node) {
                Some(slot) if inside.is_empty() => {
                    slot.expr = patch.value.clone();
                    slot.patches.clear();
                }
                Some(slot) => {
                    slot.patches.push(Patch { path: inside.to_vec(), value: patch.value.clone() })
                }
                None => {
                    let names: Vec<_> =
                        section.fields.iter().map(|it| it.name.node.as_str()).collect();
                    let message = format!("`{}` has no line `{}`", path.text(), first.node);
                    let near = closest(&first.node, names.iter().copied());
                    let all = format!("it has {}", names.join(", "));
                    self.out.push(
                        Diagnostic::new(&codes::BAD_PATH, message).suggest(first.span, near, all),
                    );
                }
            }
        }
        Some(section.fields)
    }

    /// Named components, without those set to `none`.
    fn entries(&mut self, slots: &[Slot], kind: Kind) -> Vec<Entry> {
        let slots = slots.iter().filter(|slot| slot.expr.kind != ExprKind::None);
        slots
            .filter_map(|slot| {
                let call = self.call(slot, kind, &slot.name.node)?;
                Some(Entry { name: slot.name.clone(), call })
            })
            .collect()
    }

    /// `weight * call(…)`; nothing for a term set to `none`.
    fn term(&mut self, slot: &Slot) -> Result<Option<Term>, ()> {
        if slot.expr.kind == ExprKind::None {
            return Ok(None);
        }
        let (weight, call) = match split(&slot.expr) {
            Ok(parts) => parts,
            Err(diagnostic) => {
                self.out.push(*diagnostic);
                return Err(());
            }
        };
        let is_weight = |patch: &&Patch| patch.path.len() == 1 && patch.path[0].node == "weight";
        let patched = slot.patches.iter().rev().find(is_weight).map(|patch| &patch.value);
        let patches = slot.patches.iter().filter(|patch| !is_weight(patch)).cloned().collect();
        let inner = Slot { name: slot.name.clone(), expr: call.clone(), patches };
        let formula = patched.or(weight);
        let value = match formula {
            Some(expr) => {
                let want = Want { ty: &WEIGHT, name: "weight", docs: "" };
                let value = self.value(expr, &[], want).ok_or(())?;
                Spanned { node: f64::from_value_of(&value), span: expr.span }
            }
            None => Spanned { node: 1.0, span: call.span },
        };
        let call = self.call(&inner, Kind::Loss, &slot.name.node).ok_or(())?;
        let formula = formula.map_or("1".to_owned(), plain);
        Ok(Some(Term { name: slot.name.clone(), weight: value, formula, call }))
    }

    fn train(&mut self, draft: &Section, stage: &Section, terms: &[Term]) -> Option<Train> {
        let mut section = draft.section("train").cloned();
        match (&mut section, stage.section("train")) {
            (Some(section), Some(own)) if stage.kind == "stage" => section.merge(own),
            (None, Some(own)) => section = Some(own.clone()),
            _ => {}
        }
        let Some(section) = section else {
            let message = format!("stage `{}` does not say how to train", stage.name.node);
            self.out.push(Diagnostic::new(&codes::MISSING, message).at(
                stage.name.span,
                "add `train { optimizer = adamw(lr=1e-3); batch = 128; for = 50 epochs }`",
            ));
            return None;
        };
        for slot in section.fields.iter().filter(|it| !TRAIN.contains(&it.name.node.as_str())) {
            self.unknown_field("train", slot, TRAIN);
        }
        let optimizer = self.trained(&section, "optimizer", "optimizer = adamw(lr=1e-3)");
        let batch = self.trained(&section, "batch", "batch = 128");
        let length = self.trained(&section, "for", "for = 50 epochs");
        let optimizer = optimizer.and_then(|slot| self.call(&slot, Kind::Optimizer, "optimizer"));
        let batch = batch.and_then(|slot| self.count(&slot));
        let length = length.and_then(|slot| self.length(&slot));
        let schedule = match section.get("schedule") {
            Some(slot) => self.call(slot, Kind::Schedule, "schedule"),
            None => self
                .catalog
                .find(Kind::Schedule, "constant")
                .map(|spec| Spanned { node: Bound::defaults(spec), span: section.span }),
        };
        let drop_last = match section.get("drop_last") {
            Some(slot) => self.truth(&slot.expr)?,
            None => false,
        };
        let keep = match section.get("keep") {
            Some(slot) => self.keep(slot, terms)?,
            None => Keep::Last,
        };
        let (optimizer, schedule, batch, length) = (optimizer?, schedule?, batch?, length?);
        Some(Train { optimizer, schedule, batch, length, drop_last, keep })
    }

    fn trained(&mut self, train: &Section, name: &str, example: &str) -> Option<Slot> {
        if let Some(slot) = train.get(name) {
            return Some(slot.clone());
        }
        self.out.push(
            Diagnostic::new(&codes::MISSING, format!("`train` needs `{name}`"))
                .at(train.span, format!("add `{example}`")),
        );
        None
    }

    fn length(&mut self, slot: &Slot) -> Option<Spanned<crate::catalog::Duration>> {
        let want = Want { ty: &Type::Duration, name: "for", docs: "" };
        match self.value(&slot.expr, &[], want)? {
            Value::Duration(node) => Some(Spanned { node, span: slot.expr.span }),
            _ => None,
        }
    }

    /// `last`, or `best(val.TERM.accuracy)`.
    fn keep(&mut self, slot: &Slot, terms: &[Term]) -> Option<Keep> {
        let how = "write `keep = last` or `keep = best(val.TERM.accuracy)`";
        let path = match &slot.expr.kind {
            ExprKind::Path(path) if path.single() == Some("last") => return Some(Keep::Last),
            ExprKind::Call(call) if call.path.single() == Some("best") && call.args.len() == 1 => {
                as_path(&call.args[0].value)
            }
            _ => None,
        };
        let Some([split, term, metric]) = path.map(|path| &path.parts[..]) else {
            self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, "`keep` says which state is evaluated")
                    .at(slot.expr.span, "cannot be read as one")
                    .help(how),
            );
            return None;
        };
        if split.node != "val" {
            self.out.push(
                Diagnostic::new(
                    &codes::TEST_SELECTION,
                    "the model is selected on the data it is reported on",
                )
                .at(split.span, format!("the state would be chosen on `{}`", split.node))
                .help(format!("use `keep = best(val.{}.{})`", term.node, metric.node)),
            );
            return None;
        }
        let heads: Vec<&str> = terms
            .iter()
            .filter(|it| it.call.node.spec.name == "cross_entropy")
            .map(|it| it.name.node.as_str())
            .collect();
        if !heads.contains(&term.node.as_str()) || metric.node != "accuracy" {
            let near = closest(&term.node, heads.iter().copied());
            let message = format!("`{}.{}` is not measured in training", term.node, metric.node);
            let all = match &heads[..] {
                [] => "a term with a classifier is needed: `class = cross_entropy()`".to_owned(),
                heads => format!("there is {}", heads.join(", ")),
            };
            self.out
                .push(Diagnostic::new(&codes::UNKNOWN_NAME, message).suggest(term.span, near, all));
            return None;
        }
        Some(Keep::Best { term: term.clone() })
    }

    fn evaluations(&mut self, draft: &Section, stages: &[&str]) -> Vec<Entry> {
        let slots = draft.section("eval").map_or(&[][..], |eval| &eval.fields);
        for slot in slots.iter().filter(|slot| SPLITS.contains(&slot.name.node.as_str())) {
            self.out.push(
                Diagnostic::new(&codes::DUPLICATE, format!("`{}` names a split", slot.name.node))
                    .at(slot.name.span, "an evaluation needs another name"),
            );
        }
        let mut entries = self.entries(slots, Kind::Evaluation);
        for entry in &mut entries {
            self.place(entry, stages);
        }
        entries
    }

    /// Settles which stages an evaluation reads.
    fn place(&mut self, entry: &mut Entry, stages: &[&str]) {
        let Some(Value::Features(on)) = entry.call.node.value("on").cloned() else { return };
        if on == Features::Auto {
            if let [only] = stages {
                let on = Features::Encoder((*only).to_owned());
                entry.call.node = entry.call.node.clone().with("on", on.to_value());
                return;
            }
            let list: Vec<_> = stages.iter().map(|stage| format!("{stage}.encoder")).collect();
            self.out.push(
                Diagnostic::new(&codes::MISSING, "this evaluation could read several stages")
                    .at(entry.call.span, format!("add `on={}`", list[0]))
                    .help(format!("or all of them: `on=concat({})`", list.join(", "))),
            );
            return;
        }
        for stage in on.stages().into_iter().filter(|stage| !stages.contains(stage)) {
            let near = closest(stage, stages.iter().copied());
            let all = format!("the stages are {}", stages.join(", "));
            let message = format!("no stage is called `{stage}`");
            self.out.push(Diagnostic::new(&codes::UNKNOWN_NAME, message).suggest(
                entry.call.span,
                near,
                all,
            ));
        }
    }
}

fn main_name(draft: &Section) -> crate::syntax::Name {
    Spanned { node: "main".into(), span: draft.name.span }
}

/// The weight and the call of a term.
fn split(expr: &Expr) -> Result<(Option<&Expr>, &Expr), Box<Diagnostic>> {
    match &expr.kind {
        ExprKind::Call(_) | ExprKind::Path(_) => Ok((None, expr)),
        ExprKind::Paren(inner) => split(inner),
        ExprKind::Binary { op: Op::Multiply, left, right } if is_call(right) => {
            Ok((Some(left), right))
        }
        ExprKind::Binary { op: Op::Multiply, left, right } if is_call(left) => Err(Box::new(
            Diagnostic::new(&codes::WRONG_TYPE, "a term's weight stands before its call")
                .at(right.span, "this is the weight")
                .help(format!("write `{} * {left}`", plain(right))),
        )),
        _ => Err(Box::new(
            Diagnostic::new(&codes::WRONG_TYPE, "a loss term is `weight * call(…)`")
                .at(expr.span, "cannot be read as one")
                .help("for example `0.5 * supcon(temperature=0.5)`; terms add up line by line"),
        )),
    }
}

fn is_call(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Call(_) => true,
        ExprKind::Paren(inner) => is_call(inner),
        _ => false,
    }
}

/// An expression without the parentheses around all of it.
pub(super) fn plain(expr: &Expr) -> String {
    let text = expr.to_string();
    let is_whole = matches!(
        &expr.kind,
        ExprKind::Binary { .. } | ExprKind::Negate(_) | ExprKind::Not(_) | ExprKind::If { .. }
    );
    match (&expr.kind, is_whole) {
        (ExprKind::Paren(inner), _) => plain(inner),
        (_, true) => text[1..text.len() - 1].to_owned(),
        _ => text,
    }
}

trait FromValueOf {
    fn from_value_of(value: &Value) -> f64;
}

impl FromValueOf for f64 {
    /// The number of a value that was checked to be real.
    fn from_value_of(value: &Value) -> f64 {
        match value {
            Value::Real(value) => *value,
            other => unreachable!("the checker promised `{other}` to be a number"),
        }
    }
}
