//! Maps of single elements.

use balance::kernel;

use crate::beside::{same, tensor};

#[test]
fn sums_are_those_of_the_cpu() {
    for shape in [&[3, 5][..], &[7, 65, 32]] {
        let inputs = [tensor(shape, 1)];
        same("sum", &inputs, |it| kernel::sum(&it[0], &(&it[0] * 0.5)?));
    }
}
