//! One layer of text over another: fields replace, sections merge, overrides by path come last.

use super::Section;
use crate::diag::Diagnostic;
use crate::syntax::Name;

impl Section {
    /// Lays `over` on top, its overrides included.
    pub fn lay(&mut self, over: &Self, out: &mut Vec<Diagnostic>) {
        self.merge(over, out);
        self.settle(out);
    }

    fn merge(&mut self, over: &Self, out: &mut Vec<Diagnostic>) {
        self.is_damaged |= over.is_damaged;
        self.meant.extend(&over.meant);
        for slot in &over.fields {
            self.sections.retain(|it| it.kind == "stage" || it.kind != slot.name.node);
            match self.get_mut(&slot.name.node) {
                Some(own) => {
                    own.replace(&slot.expr, out);
                    own.past.extend(slot.past.iter().cloned());
                    own.patches = slot.patches.clone();
                }
                None => self.fields.push(slot.clone()),
            }
        }
        for section in &over.sections {
            let found =
                self.sections.iter_mut().find(|it| it.is(&section.kind, &section.name.node));
            match found {
                Some(own) => own.merge(section, out),
                None => self.adopt(section),
            }
        }
        self.overrides.extend(over.overrides.iter().cloned());
    }

    /// Takes over a section this one does not have; a block replaces the field of its name, unless
    /// it only overrides what is inside.
    fn adopt(&mut self, section: &Self) {
        let only_overrides = section.fields.is_empty() && !section.overrides.is_empty();
        match self.get_mut(&section.kind) {
            Some(slot) if only_overrides => {
                section.overrides.iter().for_each(|it| slot.patch(&it.path, &it.value));
            }
            _ => {
                self.fields.retain(|slot| slot.name.node != section.kind);
                self.sections.push(section.clone());
            }
        }
    }

    /// Applies the overrides written in this section and in those inside it.
    pub fn settle(&mut self, out: &mut Vec<Diagnostic>) {
        if self.kind != "experiment" {
            return self.settle_fields(out);
        }
        for at in 0..self.sections.len() {
            if self.sections[at].kind != "stage" {
                self.sections[at].settle_fields(out);
                continue;
            }
            self.inherit_for_overrides(at);
            for (block, path) in self.sections[at].overridden() {
                self.inherit_line(at, &block, &path);
            }
            for section in self.sections[at].sections.iter_mut() {
                section.settle_fields(out);
            }
            let stage = self.sections[at].name.clone();
            for patch in std::mem::take(&mut self.sections[at].overrides) {
                let path = [std::slice::from_ref(&stage), &patch.path].concat();
                self.set(&path, &patch.value, out);
            }
        }
        for patch in std::mem::take(&mut self.overrides) {
            self.set(&patch.path, &patch.value, out);
        }
    }

    /// What is overridden within its blocks: the block and the path in it.
    fn overridden(&self) -> Vec<(String, Vec<Name>)> {
        let of_block = |block: &Self| {
            let paths = block.overrides.iter().map(|it| it.path.clone());
            paths.map(|path| (block.kind.clone(), path)).collect::<Vec<_>>()
        };
        self.sections.iter().flat_map(of_block).collect()
    }

    fn settle_fields(&mut self, out: &mut Vec<Diagnostic>) {
        for patch in std::mem::take(&mut self.overrides) {
            self.set_field(&patch.path, &patch.value, out);
        }
    }

    /// A block of a stage that only overrides begins as a copy of the experiment's.
    fn inherit_for_overrides(&mut self, at: usize) {
        let overriding = |it: &Self| !it.overrides.is_empty() && it.fields.is_empty();
        let kinds: Vec<String> = self.sections[at]
            .sections
            .iter()
            .filter(|section| overriding(section))
            .map(|section| section.kind.clone())
            .collect();
        for kind in kinds {
            let slot = self.get(&kind).cloned();
            let fields = self.section(&kind).map(|section| section.fields.clone());
            let stage = &mut self.sections[at];
            let Some(own) = stage.sections.iter().position(|it| it.kind == kind) else { continue };
            match (slot, fields) {
                (Some(mut slot), _) => {
                    let section = stage.sections.remove(own);
                    section.overrides.iter().for_each(|it| slot.patch(&it.path, &it.value));
                    stage.fields.push(slot);
                }
                (None, Some(fields)) => stage.sections[own].fields = fields,
                (None, None) => {}
            }
        }
    }
}
