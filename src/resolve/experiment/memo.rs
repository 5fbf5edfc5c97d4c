//! What a cell has in common with the one before it is worked out once, and shared.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::super::Stage;
use super::super::draft::Section;
use super::super::eval::{Eval, Params};

/// The stages as they were last worked out, by name.
#[derive(Default)]
pub struct Memo(BTreeMap<String, Known>);

/// A stage with all that it was worked out of.
struct Known {
    draft: Rc<Section>,
    section: Section,
    /// The overrides of the parameters that it depends on.
    params: Params,
    /// Those parameters, overridden or not.
    used: BTreeSet<(u16, String)>,
    stage: Rc<Stage>,
}

impl Eval<'_> {
    /// The stage that `section` declares, the known one if it is the same.
    pub(super) fn remembered(
        &mut self,
        draft: &Rc<Section>,
        section: &Section,
        memo: &mut Memo,
    ) -> Option<Rc<Stage>> {
        let name = &section.name.node;
        if let Some(known) = memo.0.get(name).filter(|known| known.holds(self, draft, section)) {
            return Some(known.stage.clone());
        }
        self.used.clear();
        let stage = Rc::new(self.stage(draft, section)?);
        let used = std::mem::take(&mut self.used);
        let params = self.overrides_of(&used);
        let known = Known {
            draft: draft.clone(),
            section: section.clone(),
            params,
            used,
            stage: stage.clone(),
        };
        memo.0.insert(name.clone(), known);
        Some(stage)
    }

    fn overrides_of(&self, used: &BTreeSet<(u16, String)>) -> Params {
        let found = used.iter().filter_map(|key| self.params.get_key_value(key));
        found.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl Known {
    /// Whether it is what `section` of `draft` would be worked out to.
    fn holds(&self, eval: &Eval, draft: &Rc<Section>, section: &Section) -> bool {
        let same = |key: &(u16, String)| self.params.get(key) == eval.params.get(key);
        let is_own = section.kind == "stage";
        let begins = self.stage.begins_with.is_some() || self.stage.groups.is_some();
        self.used.iter().all(same)
            && self.stage.train.method.is_half == eval.is_half
            && (!begins || self.draft.stages().eq(draft.stages()))
            && (Rc::ptr_eq(&self.draft, draft) || self.draft.trains_like(draft))
            && (!is_own || self.section == *section)
    }
}
