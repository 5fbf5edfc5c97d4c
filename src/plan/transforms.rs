//! What the transforms of a stage make of its images, in training and at evaluation.

use crate::catalog::{Bound, ImageShape, Misfit, Picture, Port};
use crate::diag::{Code, Diagnostic, Span, codes};
use crate::resolve::{Entry, Stage};

/// A side of an image that no transform is too large for.
const LARGE: usize = 1 << 20;

/// The shape of images of shape `image` behind the transforms of a stage that has passed the check.
pub(super) fn behind<'a>(calls: impl Iterator<Item = &'a Bound>, image: ImageShape) -> ImageShape {
    let picture = calls.fold(Picture::of_data(image), |it, call| call.picture(it).unwrap_or(it));
    picture.shape
}

/// The place that gives images their shape, where they come from the dataset as `image`.
pub(super) fn sized(stage: &Stage, image: ImageShape) -> Span {
    let walk = Walk::new(stage, image).along(stage.augment.iter().collect());
    walk.sized.map_or(stage.data.span, |entry| entry.call.span)
}

/// The shape of images as the encoder sees them, or all that is wrong with the transforms.
pub(super) fn check(stage: &Stage, image: ImageShape) -> Result<ImageShape, Vec<Diagnostic>> {
    let walk = |entries: Vec<_>| Walk::new(stage, image).along(entries);
    let training = walk(stage.augment.iter().collect());
    let fixed = walk(stage.augment.iter().filter(|it| it.call.bound.spec.fixed).collect());
    match (training.found.is_empty(), fixed.found.is_empty()) {
        (true, true) if training.now.shape == fixed.now.shape => Ok(training.now.shape),
        (true, true) => Err(vec![training.differs(&fixed)]),
        (true, false) => {
            let at_evaluation = |it: Diagnostic| Diagnostic {
                message: format!("at evaluation, {}", it.message),
                ..it.help("evaluations see images without the random transforms")
            };
            Err(fixed.found.into_iter().map(at_evaluation).collect())
        }
        (false, _) => Err(training.found),
    }
}

/// Images on their way through transforms.
struct Walk<'a> {
    stage: &'a Stage,
    now: Picture,
    /// What changed their shape last.
    sized: Option<&'a Entry>,
    /// What normalised them.
    normalized: Option<&'a Entry>,
    found: Vec<Diagnostic>,
}

impl<'a> Walk<'a> {
    fn new(stage: &'a Stage, image: ImageShape) -> Self {
        let now = Picture::of_data(image);
        Self { stage, now, sized: None, normalized: None, found: Vec::new() }
    }

    fn along(mut self, entries: Vec<&'a Entry>) -> Self {
        for entry in entries {
            self.pass(entry);
        }
        self
    }

    fn pass(&mut self, entry: &'a Entry) {
        let call = &entry.call;
        if let Some(normalized) = self.normalized.filter(|_| call.bound.needs(Port::Unit)) {
            self.found.push(late(entry, normalized));
        }
        match call.bound.picture(self.now) {
            Ok(next) => {
                let is_sized = next.shape != self.now.shape;
                self.sized = if is_sized { Some(entry) } else { self.sized };
                let is_normalized = self.now.is_unit && !next.is_unit;
                self.normalized = if is_normalized { Some(entry) } else { self.normalized };
                self.now = next;
            }
            Err(misfit) if fits_nothing(&call.bound) => {
                self.found.push(unfit(&codes::OUT_OF_RANGE, misfit, entry));
            }
            Err(misfit) => {
                let diagnostic = self.seen(unfit(&codes::TRANSFORMS, misfit, entry));
                self.found.push(diagnostic);
            }
        }
    }

    /// With the place that gives images their shape.
    fn seen(&self, diagnostic: Diagnostic) -> Diagnostic {
        let (span, label) = match self.sized {
            Some(entry) => (entry.call.span, format!("makes images {}", self.now.shape)),
            None => (self.stage.data.span, format!("images are {}", self.now.shape)),
        };
        diagnostic.at(span, label)
    }

    /// Training and evaluation see images of different shapes.
    fn differs(&self, fixed: &Self) -> Diagnostic {
        let ImageShape { height, width, .. } = self.now.shape;
        let message = "training and evaluation see images of different size";
        let mut diagnostic = Diagnostic::new(&codes::TRANSFORMS, message);
        if let Some(entry) = self.sized {
            let label = format!("a random transform: {} in training alone", self.now.shape);
            diagnostic = diagnostic.at(entry.call.span, label);
        }
        let label = format!("{} at evaluation", fixed.now.shape);
        let span = fixed.sized.map_or(self.stage.data.span, |entry| entry.call.span);
        let diagnostic = diagnostic.at(span, label);
        match height == width {
            true => diagnostic.help(format!(
                "`resize(size={height}, side=both)` behind it leaves its crops alone, and brings \
                 evaluation to their size"
            )),
            false => diagnostic.help("give both one size by `resize`"),
        }
    }
}

/// Whether the arguments are at fault, whatever the images are.
fn fits_nothing(call: &Bound) -> bool {
    let large = |channels| ImageShape { height: LARGE, width: LARGE, channels };
    [1, 3].into_iter().all(|it| call.picture(Picture::of_data(large(it))).is_err())
}

fn unfit(code: &'static Code, misfit: Misfit, entry: &Entry) -> Diagnostic {
    let Misfit { param, message, label, help } = misfit;
    let place = param.map_or(entry.call.span, |param| entry.call.place(param));
    Diagnostic::new(code, message).at(place, label).help(help)
}

/// A transform that comes too late.
fn late(entry: &Entry, normalized: &Entry) -> Diagnostic {
    let (name, component) = (&entry.name.node, entry.call.bound.spec.name);
    if entry.call.bound.spec == normalized.call.bound.spec {
        return Diagnostic::new(&codes::TRANSFORMS, "images are normalised twice")
            .at(normalized.call.span, "here")
            .at(entry.call.span, "and here, by statistics they no longer have")
            .help(format!("leave out `{name}`"));
    }
    let message = format!("`{component}` comes too late");
    Diagnostic::new(&codes::TRANSFORMS, message)
        .at(entry.call.span, "needs values from 0 to 1")
        .at(normalized.call.span, "behind this their mean is 0")
        .help(format!("write `{name}` before `{}`", normalized.name.node))
}
