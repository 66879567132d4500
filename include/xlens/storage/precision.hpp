// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace xlens {

/// How products with weights from a file are computed.
///   f32     exactly what the stored numbers say, every multiply-add in f32
///   native  with the integer instructions of the processor where the format has integers and they
///           win (kernels/integer_dots.hpp): inputs are rounded to 8 bits, 32 of them to a scale.
///           Where they do not, the same as f32.
enum class precision { f32, native };

}  // namespace xlens
