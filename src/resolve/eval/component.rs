//! The component a call asks for.

use super::super::draft::Patch;
use super::value::with_article;
use super::{Eval, scope};
use crate::catalog::{Kind, Spec};
use crate::diag::{Diagnostic, Span, codes};
use crate::resolve::Called;
use crate::resolve::scope::Meaning;
use crate::syntax::{Arg, ExprKind, Path};

impl Eval<'_> {
    /// The component of `kind` called `path`, with `args`.
    pub(super) fn component(
        &mut self,
        kind: Kind,
        path: &Path,
        args: &[Arg],
        span: Span,
        patches: &[&Patch],
    ) -> Option<Called> {
        match self.catalog.find(kind, &path.text()) {
            Some(spec) => self.bind(spec, args, span, patches),
            None => {
                let diagnostic = self.no_component(kind, path);
                self.out.extend(diagnostic);
                None
            }
        }
    }

    fn no_component(&self, kind: Kind, path: &Path) -> Option<Diagnostic> {
        let name = path.text();
        let found = scope::lookup(self.program, path.span.file, &path.parts);
        if let Some((_, meaning)) = found {
            return Some(self.not_a_call(kind, path, &meaning));
        }
        if scope::is_lost(self.program, path) {
            return None;
        }
        let names = self.catalog.of(kind).map(|spec| spec.name);
        if let Some(other) = self.catalog.named(&name).first() {
            return Some(other_kind(other, kind, path, names.collect()));
        }
        if let Some(diagnostic) = scope::unknown_alias(self.program, path) {
            return Some(diagnostic);
        }
        let message = format!("no {} is called `{name}`", kind.name());
        let is_component = |meaning: &Meaning| match meaning {
            Meaning::Let(value) => matches!(value.kind, ExprKind::Call(_)),
            Meaning::Declaration(declared, _) => *declared == kind.name(),
            _ => false,
        };
        let declared = scope::visible(self.program, path.span.file, is_component);
        let all = names.chain(declared.iter().map(String::as_str));
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        Some(diagnostic.expected(path.span, &name, all))
    }

    /// A name of the file where a component is called.
    fn not_a_call(&self, kind: Kind, path: &Path, meaning: &Meaning) -> Diagnostic {
        let name = path.text();
        let (message, label) = match meaning {
            Meaning::Block(block) => {
                let what = scope::block_name(&block.kind.node);
                let wanted = with_article(kind.name());
                (format!("`{name}` is {}, not {wanted}", with_article(what)), None)
            }
            _ => (format!("`{name}` is a name of this file, and takes no arguments"), Some(&name)),
        };
        let label = match label {
            Some(name) => format!("write `{name}`; override arguments by path"),
            None => format!("expected {}", with_article(kind.name())),
        };
        Diagnostic::new(&codes::WRONG_TYPE, message).at(path.span, label)
    }
}

fn other_kind(other: &Spec, kind: Kind, path: &Path, names: Vec<&str>) -> Diagnostic {
    let message = format!("`{}` is not {}", other.name, with_article(kind.name()));
    Diagnostic::new(&codes::WRONG_TYPE, message)
        .at(path.span, format!("this is {}", with_article(other.kind.name())))
        .help(format!("expected {}", crate::diag::or_list(&names)))
}
