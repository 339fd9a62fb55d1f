//! Matrix products.

use super::call::{Call, Made, product};
use super::elementwise::broadcast;
use super::fact::{Fact, Reason};

/// `[…, M, K]` times `[…, K, N]` with broadcast leading dimensions.
pub(super) fn matmul(call: &Call) -> Result<Made, Reason> {
    let (left, right) = (call.input(0)?, call.like_first(1)?);
    if left.rank() < 2 || right.rank() < 2 {
        return Err(format!("a product of {:?} and {:?}; expected matrices", left.dims, right.dims));
    }
    let (left_batch, left_matrix) = left.dims.split_at(left.rank() - 2);
    let (right_batch, right_matrix) = right.dims.split_at(right.rank() - 2);
    if left_matrix[1] != right_matrix[0] {
        return Err(format!("matrices {:?} and {:?} are incompatible", left.dims, right.dims));
    }
    let mut dims = broadcast(&[left_batch, right_batch])?;
    dims.extend([left_matrix[0], right_matrix[1]]);
    let operations = product(&dims).saturating_mul(left_matrix[1] as u64);
    let is_constant = left.is_constant && right.is_constant;
    Ok(Made::with(vec![Fact { element: left.element, dims, integers: None, is_constant }], operations))
}

/// `alpha A B + beta C`.
pub(super) fn gemm(call: &Call) -> Result<Made, Reason> {
    let (left, right) = (call.input(0)?, call.like_first(1)?);
    call.float("alpha", 1.0)?;
    call.float("beta", 1.0)?;
    let (&[mut rows, mut inner], &[mut inner_right, mut columns]) = (&left.dims[..], &right.dims[..]) else {
        return Err(format!("a product of {:?} and {:?}; expected matrices", left.dims, right.dims));
    };
    if call.flag("transA", false)? {
        (rows, inner) = (inner, rows);
    }
    if call.flag("transB", false)? {
        (inner_right, columns) = (columns, inner_right);
    }
    if inner != inner_right {
        return Err(format!("matrices {:?} and {:?} are incompatible", left.dims, right.dims));
    }
    let dims = vec![rows, columns];
    let mut is_constant = left.is_constant && right.is_constant;
    if call.node.input.len() == 3 {
        let added = call.like_first(2)?;
        if broadcast(&[&added.dims, &dims])? != dims {
            return Err(format!("C of shape {:?} does not fit {dims:?}", added.dims));
        }
        is_constant &= added.is_constant;
    }
    let operations = product(&dims).saturating_mul(inner as u64);
    Ok(Made::with(vec![Fact { element: left.element, dims, integers: None, is_constant }], operations))
}
