//! Which stages need what others have trained: the encoder they begin with, the groups they read.

use std::rc::Rc;

use super::{Experiment, Keep, Stage, WORST_FOUND_GROUP};
use crate::catalog::{Port, Value};

impl Experiment {
    /// The stages that `is_read` names and those they need, each behind what it needs.
    pub fn in_order(&self, is_read: impl Fn(&str) -> bool) -> Vec<&Rc<Stage>> {
        let mut order: Vec<&Rc<Stage>> = Vec::new();
        for stage in self.stages.iter().filter(|it| is_read(&it.name.node)) {
            self.put_behind(stage, &mut Vec::new(), &mut order);
        }
        order
    }

    /// Adds `stage` to `order`, behind what it needs; `open` are those that wait for it.
    fn put_behind<'a>(
        &'a self,
        stage: &'a Rc<Stage>,
        open: &mut Vec<&'a Rc<Stage>>,
        order: &mut Vec<&'a Rc<Stage>>,
    ) {
        let is_known = |it: &&&Rc<Stage>| Rc::ptr_eq(it, stage);
        if order.iter().chain(open.iter()).any(|it| is_known(&it)) {
            return;
        }
        open.push(stage);
        for before in stage.before().into_iter().filter_map(|name| self.stage(name)) {
            self.put_behind(before, open, order);
        }
        open.pop();
        order.push(stage);
    }
}

impl Stage {
    /// The stage whose trained encoder it begins with.
    pub fn upstream(&self) -> Option<&str> {
        self.begins_with.as_ref().map(|it| it.node.as_str())
    }

    /// The stages that find its groups.
    pub fn found_by(&self) -> Vec<&str> {
        match self.groups.as_ref().and_then(|groups| groups.bound.value("on")) {
            Some(Value::Features(of)) => of.stages(),
            _ => Vec::new(),
        }
    }

    /// Whether its training reads groups of images, where it finds some; whose state is kept, that
    /// of the groups of the data may say.
    pub fn reads_groups(&self) -> bool {
        let terms = self.terms.iter().filter(|term| !term.weight.node.is_zero());
        let is_chosen = matches!(
            &self.train.keep, Keep::Best { metric, .. } if *metric == WORST_FOUND_GROUP
        );
        is_chosen
            || self.train.method.sampler.bound.needs(Port::Groups)
            || terms.into_iter().any(|term| term.call.bound.needs(Port::Groups))
    }

    /// The stages that have to be trained before.
    pub fn before(&self) -> Vec<&str> {
        let found_by = if self.reads_groups() { self.found_by() } else { Vec::new() };
        self.upstream().into_iter().chain(found_by).collect()
    }

    /// The same, whether its groups are read or not.
    pub(super) fn declared_before(&self) -> Vec<&str> {
        self.upstream().into_iter().chain(self.found_by()).collect()
    }
}
