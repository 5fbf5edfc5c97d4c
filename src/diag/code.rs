//! The kinds of problem balance knows: a number to search for, a name to remember.

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Stops before any training.
    Error,
    /// Is probably not what was meant.
    Warning,
    /// Is worth knowing.
    Note,
}

/// A kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// `B0102`: stable, to search for.
    pub number: &'static str,
    /// `unknown-name`: to remember.
    pub name: &'static str,
    pub severity: Severity,
    /// One sentence on what is wrong in general.
    pub summary: &'static str,
    /// Why it matters, a file that has it and the file mended, in Markdown.
    pub page: &'static str,
}

impl Code {
    /// The code of this number or name; capitals of the number do not count.
    pub fn find(name: &str) -> Option<&'static Self> {
        ALL.iter().copied().find(|it| it.number.eq_ignore_ascii_case(name) || it.name == name)
    }
}

macro_rules! codes {
    ($( $constant:ident = $number:literal $name:literal $severity:ident $summary:literal; )+) => {
        /// One constant per kind of problem.
        pub mod codes {
            use super::{Code, Severity};
            $( #[doc = $summary]
            pub static $constant: Code = Code {
                number: $number, name: $name, severity: Severity::$severity, summary: $summary,
                page: include_str!(concat!(
                    env!("CARGO_MANIFEST_DIR"), "/docs/reference/diagnostics/", $name, ".md"
                )),
            }; )+
        }

        /// Every code, in order of number.
        pub static ALL: &[&Code] = &[ $( &codes::$constant ),+ ];
    };
}

codes! {
    DELIMITER = "B0001" "unbalanced-delimiter" Error "a bracket or brace is not closed, or closes nothing";
    STRING = "B0002" "unclosed-string" Error "a string does not end on its line";
    STATEMENT = "B0003" "bad-statement" Error "a statement cannot be read";
    HEADER = "B0004" "bad-block-header" Error "the words before `{` are not a block's header";
    UNREADABLE = "B0005" "unreadable-file" Error "a file cannot be read as text";
    EMPTY = "B0006" "nothing-to-run" Error "a file declares no experiment";
    LOOP = "B0010" "no-loops" Error "the language has no loops";
    PLUS_KEY = "B0011" "no-plus-key" Error "fields are set without `+`";
    COLON = "B0012" "no-colon" Error "a field is set with `=`, not `:`";
    JUXTAPOSED = "B0013" "missing-star" Error "a weight needs `*` before its term";
    EDITION = "B0020" "edition" Error "the edition is unknown, or not where it belongs";
    IMPORT = "B0021" "import" Error "an imported file is missing, unreadable or imports its importer";
    DUPLICATE = "B0022" "declared-twice" Error "one name is declared twice";
    CYCLE = "B0023" "cyclic-definition" Error "a name is defined by itself";
    NO_EDITION = "B0024" "no-edition" Warning "a file does not say which edition of the language it is written in";
    NO_REASON = "B0030" "allow-needs-reason" Error "an `allow` does not say why";
    CANNOT_ALLOW = "B0031" "cannot-allow" Error "an `allow` names an error, or nothing that is known";
    UNUSED_ALLOW = "B0032" "unused-allow" Warning "an `allow` silences nothing";
    UNKNOWN_BLOCK = "B0101" "unknown-block" Error "no block or field has this name here";
    UNKNOWN_NAME = "B0102" "unknown-name" Error "no component, argument or value has this name";
    WRONG_TYPE = "B0103" "wrong-type" Error "a value is of another type than is needed here";
    MISSING = "B0104" "missing-argument" Error "something that has no default is left out";
    OUT_OF_RANGE = "B0105" "out-of-range" Error "a value lies outside what is allowed";
    BAD_PATH = "B0106" "unknown-path" Error "an override names something the experiment does not have";
    OVERRIDE_LOST = "B0108" "override-lost" Note "an override of an argument is dropped with its call";
    LINK_CUT = "B0110" "link-cut" Note "an override replaces a weight that followed a parameter";
    SHAPE = "B0201" "shape-mismatch" Error "two shapes do not fit";
    VIEWS = "B0203" "too-few-views" Error "a term compares views, but there is only one";
    TRANSFORMS = "B0204" "transforms-do-not-fit" Error "a transform does not fit the images it is given";
    NO_BOUND = "B0205" "no-lipschitz-bound" Error "a network whose distances have no bound is asked to keep one";
    MIXED = "B0206" "mixed-classes" Error "a term reads one class of images that are mixed of two";
    ETF = "B0210" "simplex-does-not-fit" Note "the embedding has too few dimensions for the class simplex";
    PARTNERS = "B0212" "lonely-anchors" Warning "many anchors have no other example of their class in the batch";
    PIECES = "B0213" "pieces-differ" Warning "a batch in pieces is not the whole batch for what compares its items";
    CHUNKS = "B0214" "chunks-differ" Error "a batch in chunks cannot be computed as the whole batch is";
    OUT_OF_REACH = "B0215" "theory-out-of-reach" Warning "an evaluation asks theory of a training that it does not reach";
    SCHEDULE = "B0301" "schedule-ends-early" Error "a schedule disagrees with the length of training";
    ZERO_WEIGHT = "B0302" "weight-zero" Note "a term of weight 0 is left out of training";
    UNFINISHED = "B0303" "schedule-unfinished" Warning "training ends before its schedule has run";
    UNUSED_STAGE = "B0310" "unused-stage" Warning "a stage is trained but nothing uses it";
    NO_LOSS = "B0311" "nothing-to-train" Error "a stage has no loss term, or none of positive weight";
    CONSTANT = "B0312" "constant-term" Warning "a loss term has one value whatever is learned";
    AS_DRAWN = "B0313" "frozen-as-drawn" Warning "a network is frozen before it has learned anything";
    UNREAD_GROUPS = "B0314" "unread-groups" Warning "groups are asked for that no training reads";
    UNIT = "B0401" "missing-unit" Error "a quantity needs a unit";
    AMBIGUOUS = "B0402" "ambiguous-amount" Error "a number could be a fraction or a count";
    WRONG_UNIT = "B0403" "wrong-unit" Error "a unit does not belong here";
    TEST_SELECTION = "B0501" "selected-on-test" Error "the model is selected on the data it is reported on";
    SPLIT_DIFFERS = "B0503" "split-differs" Error "cells that are compared do not share their splits";
    HELD_OUT = "B0504" "held-out-seen" Error "a stage holds out images that its encoder was trained on";
    CONTROL = "B0505" "control-cannot-match" Error "a control of the capacity of the largest method cannot be derived";
    AXIS_CLASH = "B0520" "axes-clash" Error "two axes set one path, or share one name";
    EQUAL_CELLS = "B0521" "equal-cells" Note "two cells of a sweep are the same experiment";
    NO_EFFECT = "B0522" "axis-without-effect" Warning "all levels of an axis are the same experiment";
    TOO_MANY_CELLS = "B0523" "too-many-cells" Error "a sweep is larger than can be meant";
    CONFOUNDED = "B0524" "confounded-effects" Note "a fractional design cannot tell some effects apart";
    NOT_YET = "B0590" "not-computed" Warning "a declared analysis is read but not computed by this version";
    HOPELESS = "B0601" "comparison-cannot-succeed" Error "a declared comparison can never be significant";
    LOW_POWER = "B0602" "low-power" Note "a declared comparison sees only large differences";
    UNCORRECTED = "B0603" "uncorrected-comparisons" Warning "several comparisons are made without a correction";
    MEMORY = "B0701" "too-little-memory" Error "a training needs more memory than the machine has";
    TIME = "B0702" "too-little-time" Error "a run takes longer than its `limit`";
    DISK = "B0703" "too-little-disk" Error "the results need more disk than is free";
    DATA = "B0801" "data-missing" Warning "a dataset is not on this machine";
    BATCH = "B0802" "batch-too-large" Error "a batch is larger than the training data";
    NO_DATA = "B0803" "no-data" Error "a dataset that is needed is not on this machine";
    BAD_DATA = "B0804" "bad-data" Error "the files of a dataset are not what they should be";
    SKIPPED = "B0805" "images-skipped" Warning "images that cannot be decoded are left out";
    NO_GROUPS = "B0806" "no-groups" Error "groups are read, and the data name none";
    EMPTY_GROUP = "B0807" "empty-group" Warning "a group has no image to train on";
    WEIGHTS = "B0810" "weights-misfit" Error "a file of weights is not one of this encoder";
    LEFT_OUT = "B0811" "weights-left-out" Note "a classifier in a file of weights is not used";
    COLLAPSE = "T01" "collapse-expected" Note "every class is expected to collapse to a point";
    SYMMETRY = "T02" "symmetry-unbroken" Note "nothing tells the members of a class apart";
    IMBALANCE = "T03" "imbalance-voids-etf" Note "classes of different size need not form a simplex";
    SEPARATION = "T04" "classes-not-separated" Note "nothing keeps the classes apart";
    TEMPERATURE = "T05" "temperature-without-normalization" Note "a temperature means little where lengths are free";
    REFERENCE = "T06" "reference-loss" Note "what a loss is worth at collapse, and where nothing is learned";
}
