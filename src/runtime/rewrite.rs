//! Rewrites a graph before tract optimises it, where tract alone is slow. Values stay equal up to rounding.
//!
//! 1. Batch norm becomes part of the weights of the convolution before it. tract does so only where the convolution is neither
//!    depthwise nor 1×1.
//! 2. tract simplifies the graph; padding becomes part of convolutions.
//! 3. Convolutions that read few channels, and the `Clip` after them, become ours. tract's matrix products are fast only
//!    where they have many channels to sum over, and its depthwise kernels use vectors on Arm and WebAssembly only.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::math;

use super::planar::Window;
use super::planar_conv::PlanarConvOp;

/// Most values that an output of [`PlanarConvOp`] is a sum of, unless it is depthwise: our kernel loads a vector for every
/// product, a matrix product for several.
const SUMMANDS_MAX: usize = 32;

/// Largest stride of [`PlanarConvOp`] in either direction. It keeps a plane for each remainder, so that a graph with large strides
/// would take memory that admission does not count.
const STRIDE_MAX: usize = 4;

/// `model`, simplified and with our convolutions where tract has no vector kernels.
pub(super) fn simplified(mut model: TypedModel) -> TractResult<TypedModel> {
    model.prop_consts()?;
    fold_batch_norm(&mut model)?;
    model.declutter()?;
    if tract_linalg::routines::depthwise_c_f32().is_none() {
        lower_planar(&mut model)?;
    }
    Ok(model)
}

fn fold_batch_norm(model: &mut TypedModel) -> TractResult<()> {
    let rewriter = Rewriter::default()
        .with_rule_for("fold batch norm", |_: &(), model, node, name, conv| folded(model, node, name, conv));
    rewriter.rewrite(&(), model)
}

fn lower_planar(model: &mut TypedModel) -> TractResult<()> {
    let rewriter = Rewriter::default()
        .with_rule_for("planar convolution", |_: &(), model, node, name, conv| planar(model, node, name, conv))
        .with_rule_for("limits of a planar convolution", |_: &(), model, node, _, op| limited(model, node, op));
    rewriter.rewrite(&(), model)
}

/// The constants of a convolution in f32.
struct ConvParts {
    /// `[O, I, kernel]`.
    kernel: Arc<Tensor>,
    /// `[O]`.
    bias: Vec<f32>,
}

impl ConvParts {
    /// `None` if they are not constant or not in f32.
    fn of(model: &TypedModel, node: &TypedNode, conv: &Conv) -> TractResult<Option<Self>> {
        let facts = model.node_input_facts(node.id)?;
        let is_plain = conv.q_params.is_none() && conv.kernel_fmt == KernelFormat::OIHW;
        let [x, kernel, bias] = facts[..] else { return Ok(None) };
        let (Some(kernel), Some(bias)) = (&kernel.konst, &bias.konst) else { return Ok(None) };
        if !is_plain || [x.datum_type, kernel.datum_type(), bias.datum_type()] != [DatumType::F32; 3] {
            return Ok(None);
        }
        let bias = per_channel(bias, conv.pool_spec.output_channels, 0, bias.rank())?;
        Ok(bias.map(|bias| Self { kernel: kernel.clone(), bias }))
    }
}

/// The convolution with the multiplication or addition that is its only reader, if that has one number per channel.
fn folded(model: &TypedModel, node: &TypedNode, name: &str, conv: &Conv) -> TractResult<Option<TypedModelPatch>> {
    let Some(ConvParts { kernel, mut bias }) = ConvParts::of(model, node, conv)? else { return Ok(None) };
    let Some((reader, op, operand)) = constant_reader(model, node)? else { return Ok(None) };
    let fact = &node.outputs[0].fact;
    let axis = conv.pool_spec.data_format.shape(&fact.shape)?.c_axis();
    let Some(operand) = per_channel(&operand, bias.len(), axis, fact.rank())? else { return Ok(None) };
    let mut kernel = kernel.into_tensor();
    if op.0.is::<math::Mul>() {
        let filter_len = kernel.len() / bias.len();
        let mut weights = kernel.try_as_plain_ram_mut()?;
        for (filter, factor) in weights.as_slice_mut::<f32>()?.chunks_exact_mut(filter_len).zip(&operand) {
            filter.iter_mut().for_each(|weight| *weight *= factor);
        }
        bias.iter_mut().zip(&operand).for_each(|(bias, factor)| *bias *= factor);
    } else if op.0.is::<math::Add>() {
        bias.iter_mut().zip(&operand).for_each(|(bias, summand)| *bias += summand);
    } else {
        return Ok(None);
    }
    let mut patch = TypedModelPatch::default();
    let x = patch.tap_model(model, node.inputs[0])?;
    let kernel = patch.add_const(format!("{name}.{}.kernel", reader.name), kernel)?;
    let bias = patch.add_const(format!("{name}.{}.bias", reader.name), tensor1(&bias))?;
    let out = patch.wire_node(&reader.name, conv.clone(), &[x, kernel, bias])?;
    patch.shunt_outside(model, reader.id.into(), out[0])?;
    Ok(Some(patch))
}

/// Our convolution, if it reads few channels of one image in planes.
fn planar(model: &TypedModel, node: &TypedNode, name: &str, conv: &Conv) -> TractResult<Option<TypedModelPatch>> {
    let Some(ConvParts { kernel, bias }) = ConvParts::of(model, node, conv)? else { return Ok(None) };
    let spec = &conv.pool_spec;
    let from = &model.outlet_fact(node.inputs[0])?.shape;
    let to = &node.outputs[0].fact.shape;
    let (Some(from), Some(to)) = (from.as_concrete(), to.as_concrete()) else { return Ok(None) };
    let (input, output) = (spec.data_format.shape(from)?, spec.data_format.shape(to)?);
    let is_planes = spec.rank() == 2 && !spec.data_format.c_is_last() && input.n().is_none_or(|&images| images == 1);
    let is_depthwise = conv.group > 1 && conv.group == spec.input_channels;
    let summands = kernel.len() / bias.len();
    let is_small =
        (is_depthwise || summands <= SUMMANDS_MAX) && spec.strides().iter().all(|&stride| stride <= STRIDE_MAX);
    if !is_planes || from.contains(&0) || !is_small {
        return Ok(None);
    }
    let pair = |values: &[usize]| [values[0], values[1]];
    let padding = spec.computed_padding(input.hw_dims());
    let window = Window {
        kernel: pair(&spec.kernel_shape),
        stride: pair(&spec.strides()),
        dilation: pair(&spec.dilations()),
        padding: [padding[0].pad_before, padding[1].pad_before],
    };
    let sizes = [input, output].map(|shape| pair(shape.hw_dims()));
    let mut patch = TypedModelPatch::default();
    let x = patch.tap_model(model, node.inputs[0])?;
    let kernel = kernel.into_tensor().into_shape(&[bias.len(), summands])?;
    let kernel = patch.add_const(format!("{name}.planar_kernel"), kernel)?;
    let bias = patch.add_const(format!("{name}.planar_bias"), tensor1(&bias))?;
    let out = patch.wire_node(name, PlanarConvOp::new(window, conv.group, sizes, to), &[x, kernel, bias])?;
    patch.shunt_outside(model, node.id.into(), out[0])?;
    Ok(Some(patch))
}

/// Our convolution with the maximum or minimum that is its only reader, if that has one number.
fn limited(model: &TypedModel, node: &TypedNode, op: &PlanarConvOp) -> TractResult<Option<TypedModelPatch>> {
    let Some((reader, after, operand)) = constant_reader(model, node)? else { return Ok(None) };
    let Some(&[limit]) = per_channel(&operand, 1, 0, operand.rank())?.as_deref() else { return Ok(None) };
    let [least, most] = op.limits();
    let limits = if limit.is_nan() {
        return Ok(None);
    } else if after.0.is::<math::Max>() && most == f32::INFINITY {
        [least.max(limit), most]
    } else if after.0.is::<math::Min>() {
        [least, most.min(limit)]
    } else {
        return Ok(None);
    };
    let mut patch = TypedModelPatch::default();
    let inputs = patch.taps(model, &node.inputs)?;
    let out = patch.wire_node(&reader.name, op.clone().with_limits(limits), &inputs)?;
    patch.shunt_outside(model, reader.id.into(), out[0])?;
    Ok(Some(patch))
}

/// The only reader of `node`, if it combines its value with a constant and keeps its shape; and the constant.
fn constant_reader<'m>(
    model: &'m TypedModel,
    node: &TypedNode,
) -> TractResult<Option<(&'m TypedNode, &'m TypedBinOp, Arc<Tensor>)>> {
    let is_output = model.output_outlets()?.contains(&node.id.into());
    let (false, [only]) = (is_output, &node.outputs[0].successors[..]) else { return Ok(None) };
    let reader = model.node(only.node);
    let Some(op) = reader.op_as::<TypedBinOp>() else { return Ok(None) };
    let constant = model.outlet_fact(reader.inputs[1 - only.slot])?.konst.clone();
    let keeps_shape = reader.outputs[0].fact.shape == node.outputs[0].fact.shape;
    Ok(constant.filter(|_| keeps_shape).map(|constant| (reader, op, constant)))
}

/// One number per channel of `tensor`, which holds one for all, or has the shape of a value of `rank` dimensions that are all 1
/// except that of the channels, `axis`. `None` if it is otherwise or not in f32.
fn per_channel(tensor: &Tensor, channels: usize, axis: usize, rank: usize) -> TractResult<Option<Vec<f32>>> {
    if tensor.datum_type() != DatumType::F32 {
        return Ok(None);
    }
    let values = tensor.try_as_plain_ram()?.as_slice::<f32>()?;
    let fits = |(at, &dim): (usize, &usize)| dim == if at == axis { channels } else { 1 };
    Ok(match values {
        &[one] => Some(vec![one; channels]),
        _ if tensor.rank() == rank && tensor.shape().iter().enumerate().all(fits) => Some(values.to_vec()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use tract_onnx::tract_core::ops::cnn::{PaddingSpec, PoolSpec};
    use tract_onnx::tract_core::ops::nn::DataFormat;

    use super::super::planar;
    use super::*;

    fn numbers(shape: &[usize]) -> Tensor {
        Tensor::from_shape(shape, &planar::tests::numbers(shape.iter().product(), 0)).unwrap()
    }

    /// A convolution to test with.
    #[derive(Clone, Copy)]
    struct Case {
        groups: usize,
        inputs: usize,
        outputs: usize,
        side: usize,
        stride: usize,
        /// Before and after.
        padding: [usize; 2],
    }

    const DEPTHWISE: Case = Case { groups: 6, inputs: 6, outputs: 6, side: 3, stride: 1, padding: [1, 1] };

    impl Case {
        /// The convolution of 9 × 11 pixels, followed by batch norm and ReLU6. `is_read_twice`: the result of the convolution
        /// is an output, too.
        fn model(self, is_read_twice: bool) -> TypedModel {
            let Self { groups, inputs, outputs, side, stride, padding: [before, after] } = self;
            let mut model = TypedModel::default();
            let x = model.add_source("x", f32::fact([1, inputs, 9, 11])).unwrap();
            let mut constant = |name: &str, tensor: Tensor| model.add_const(name, tensor).unwrap();
            let kernel = constant("kernel", numbers(&[outputs, inputs / groups, side, side]));
            let bias = constant("bias", numbers(&[outputs]));
            let scale = constant("scale", numbers(&[1, outputs, 1, 1]));
            let shift = constant("shift", numbers(&[1, outputs, 1, 1]));
            let [zero, six] = [0.0f32, 6.0].map(|limit| constant(&format!("{limit}"), numbers_of(limit)));
            let pool_spec = PoolSpec::new(
                DataFormat::NCHW,
                tvec!(side, side),
                PaddingSpec::Explicit(tvec!(before, before), tvec!(after, after)),
                None,
                Some(tvec!(stride, stride)),
                inputs,
                outputs,
            );
            let conv = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group: groups, q_params: None };
            let conv = model.wire_node("conv", conv, &[x, kernel, bias]).unwrap()[0];
            let scaled = model.wire_node("scaled", math::mul(), &[conv, scale]).unwrap()[0];
            let shifted = model.wire_node("shifted", math::add(), &[scaled, shift]).unwrap()[0];
            let raised = model.wire_node("raised", math::max(), &[shifted, zero]).unwrap()[0];
            let limited = model.wire_node("limited", math::min(), &[raised, six]).unwrap()[0];
            let outputs = [limited, conv];
            model.select_output_outlets(&outputs[..1 + usize::from(is_read_twice)]).unwrap();
            model
        }
    }

    fn numbers_of(limit: f32) -> Tensor {
        Tensor::from_shape(&[1, 1, 1, 1], &[limit]).unwrap()
    }

    fn rewritten(mut model: TypedModel) -> TypedModel {
        fold_batch_norm(&mut model).unwrap();
        model.declutter().unwrap();
        lower_planar(&mut model).unwrap();
        model
    }

    /// The operators of `model`, without constants.
    fn operators(model: &TypedModel) -> Vec<String> {
        let nodes = model.eval_order().unwrap().into_iter().map(|id| model.node(id).op.name().to_string());
        nodes.filter(|name| name != "Const" && name != "Source").collect()
    }

    fn outputs(model: TypedModel) -> Vec<f32> {
        let shape = model.outlet_fact(model.input_outlets().unwrap()[0]).unwrap().shape.as_concrete().unwrap().to_vec();
        let runnable = model.into_optimized().unwrap().into_runnable().unwrap();
        let outputs = runnable.run(tvec!(numbers(&shape).into_tvalue())).unwrap();
        let values = |output: &TValue| output.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec();
        outputs.iter().flat_map(values).collect()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!((found - expected).abs() < 1e-5, "value {at}: {found} != {expected}");
        }
    }

    #[test]
    fn convolutions_of_few_channels_become_one_operator_with_the_same_values() {
        for case in [
            DEPTHWISE,
            Case { stride: 2, ..DEPTHWISE },
            Case { stride: 2, padding: [0, 1], ..DEPTHWISE },
            Case { side: 5, stride: 2, padding: [1, 2], ..DEPTHWISE },
            Case { groups: 1, inputs: 3, outputs: 8, side: 3, stride: 2, padding: [1, 1] },
            Case { groups: 3, inputs: 6, outputs: 9, side: 3, stride: 1, padding: [0, 0] },
        ] {
            let model = case.model(false);
            let rewritten = rewritten(model.clone());
            assert_eq!(operators(&rewritten), ["PlanarConv"], "group {}, side {}", case.groups, case.side);
            assert_close(&outputs(rewritten), &outputs(model));
        }
    }

    #[test]
    fn batch_norm_is_folded_into_convolutions_of_many_channels() {
        for side in [1, 3] {
            let model = Case { groups: 1, inputs: 40, outputs: 8, side, stride: 1, padding: [0, 0] }.model(false);
            let rewritten = rewritten(model.clone());
            let operators = operators(&rewritten);
            assert!(!operators.contains(&"Mul".to_owned()), "{operators:?}");
            assert!(!operators.contains(&"PlanarConv".to_owned()), "{operators:?}");
            assert_close(&outputs(rewritten), &outputs(model));
        }
    }

    #[test]
    fn large_strides_stay_with_tract() {
        let model = Case { stride: STRIDE_MAX + 1, ..DEPTHWISE }.model(false);
        let rewritten = rewritten(model.clone());
        assert!(!operators(&rewritten).contains(&"PlanarConv".to_owned()));
        assert_close(&outputs(rewritten), &outputs(model));
    }

    #[test]
    fn a_value_that_is_also_an_output_keeps_its_own_weights() {
        let model = DEPTHWISE.model(true);
        let rewritten = rewritten(model.clone());
        assert!(operators(&rewritten).contains(&"Mul".to_owned()));
        assert_close(&outputs(rewritten), &outputs(model));
    }

    #[test]
    fn only_constants_with_one_number_per_channel_or_in_all_are_folded() {
        let per = |shape: &[usize]| per_channel(&numbers(shape), 4, 1, 4).unwrap();
        assert_eq!(per(&[1, 4, 1, 1]).map(|values| values.len()), Some(4));
        assert_eq!(per(&[1, 1, 1, 1]).map(|values| values.len()), Some(4));
        for shape in [&[1, 1, 4, 1][..], &[4, 4, 1, 1], &[4, 1, 1], &[4]] {
            assert_eq!(per(shape), None, "{shape:?}");
        }
        let halves = numbers(&[1, 4, 1, 1]).cast_to::<f16>().unwrap().into_owned();
        assert_eq!(per_channel(&halves, 4, 1, 4).unwrap(), None);
    }
}
