//! Who is compared with whom: the rows sorted by class, so that positives are slices.

use std::ops::Range;

/// The items of a batch sorted by class. Row v·B + p of the sorted embeddings is view v of the
/// item at position p.
pub(super) struct Classes {
    views: usize,
    /// The item at each position.
    order: Vec<usize>,
    /// The label at each position.
    labels: Vec<u32>,
    /// The positions of the class at each position.
    classes: Vec<Range<usize>>,
}

impl Classes {
    pub(super) fn new(labels: &[u32], views: usize) -> Self {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by_key(|item| labels[*item]);
        let labels: Vec<u32> = order.iter().map(|item| labels[*item]).collect();
        let class = |label: &u32| {
            labels.partition_point(|other| other < label)
                ..labels.partition_point(|other| other <= label)
        };
        let classes = labels.iter().map(class).collect();
        Self { views, order, labels, classes }
    }

    /// The same items in `views` views.
    pub(super) fn of_views(&self, views: usize) -> Self {
        let Self { order, labels, classes, .. } = self;
        Self { views, order: order.clone(), labels: labels.clone(), classes: classes.clone() }
    }

    pub(super) fn views(&self) -> usize {
        self.views
    }

    /// The number of items B.
    pub(super) fn items(&self) -> usize {
        self.order.len()
    }

    /// The item at each position.
    pub(super) fn order(&self) -> impl Iterator<Item = usize> {
        self.order.iter().copied()
    }

    /// The number of embeddings V·B.
    pub(super) fn rows(&self) -> usize {
        self.views * self.items()
    }

    /// Label and number of items of the class of each item.
    pub(super) fn labels(&self) -> impl Iterator<Item = (u32, usize)> {
        self.labels.iter().copied().zip(self.classes.iter().map(Range::len))
    }

    /// The positions of the class at a position.
    #[cfg(feature = "cuda")]
    pub(super) fn class(&self, position: usize) -> &Range<usize> {
        &self.classes[position]
    }

    /// The number of items in the class of the sorted `row`.
    pub(super) fn class_size(&self, row: usize) -> usize {
        self.classes[row % self.items()].len()
    }

    /// For each row of the sorted embeddings, the row it has in the batch.
    pub(super) fn sorted_rows(&self) -> impl Iterator<Item = usize> {
        let view = move |view| self.order.iter().map(move |item| view * self.items() + item);
        (0..self.views).flat_map(view)
    }

    /// What the anchor `row` is compared with when all rows are pooled.
    pub(super) fn pooled(&self, row: usize) -> Contrast {
        let position = row % self.items();
        let views = || (0..self.views).map(|view| self.view(view, position));
        Contrast {
            positives: views().flat_map(|view| without(view.class, row)).collect(),
            negatives: views().flat_map(|view| view.negatives).collect(),
            all: without(0..self.rows(), row).collect(),
            twins: views().flat_map(|view| without(view.twin, row)).collect(),
        }
    }

    /// What the anchor `row` is compared with in each earlier view.
    pub(super) fn across(&self, row: usize) -> Vec<Contrast> {
        let (view, position) = (row / self.items(), row % self.items());
        let contrast = |other: usize| {
            let view = self.view(other, position);
            let all = other * self.items()..(other + 1) * self.items();
            Contrast {
                positives: vec![view.class],
                negatives: view.negatives.to_vec(),
                all: vec![all],
                twins: vec![view.twin],
            }
        };
        (0..view).map(contrast).collect()
    }

    fn view(&self, view: usize, position: usize) -> View {
        let (start, end) = (view * self.items(), (view + 1) * self.items());
        let class = &self.classes[position];
        let class = start + class.start..start + class.end;
        let negatives = [start..class.start, class.end..end];
        View { class, negatives, twin: start + position..start + position + 1 }
    }
}

/// The rows of one view as an anchor sees them.
struct View {
    class: Range<usize>,
    negatives: [Range<usize>; 2],
    twin: Range<usize>,
}

/// The columns an anchor is compared with.
pub(super) struct Contrast {
    /// Rows of the anchor's class.
    pub(super) positives: Vec<Range<usize>>,
    /// Rows of other classes.
    pub(super) negatives: Vec<Range<usize>>,
    /// Both.
    pub(super) all: Vec<Range<usize>>,
    /// The same item in other views.
    pub(super) twins: Vec<Range<usize>>,
}

/// A range without one of its elements, if it has it.
fn without(range: Range<usize>, row: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = if range.contains(&row) {
        [range.start..row, row + 1..range.end]
    } else {
        [range.clone(), range.end..range.end]
    };
    parts.into_iter().filter(|part| !part.is_empty())
}
